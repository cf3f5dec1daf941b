"""The cage at an author's desk: the same that workers use."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from rustok.cli.environment import cli_settings
from rustok.cli.script_source import read_source
from rustok.kernel.errors import Unavailable
from rustok.sandbox.cage import Cage, CageConfig
from rustok.sandbox.contract import Compiled, Fault, SandboxUnavailable


@asynccontextmanager
async def open_cage() -> AsyncIterator[Cage]:
    """Boot a cage with one child.

    Raises:
        Unavailable: hooks cannot run on this machine.

    """
    unsafe_dev = cli_settings().sandbox == "unsafe-dev"
    try:
        async with Cage(CageConfig(children=1, unsafe_dev=unsafe_dev)) as cage:
            yield cage
    except SandboxUnavailable as error:
        raise Unavailable(f"The cage does not hold on this machine: {error}. `rustok doctor` tells more.") from error


async def compile_file(cage: Cage, file: Path) -> bytes | Sequence[Fault]:
    """Return the bytecode of a hook, or every fault."""
    return await compile_source(cage, read_source(file))


async def compile_source(cage: Cage, source: str) -> bytes | Sequence[Fault]:
    found = await cage.compile(source)
    return found.bytecode if isinstance(found, Compiled) else found
