"""Sources are compiled where they can do no harm."""

import psutil
import pytest

from rustok.sandbox.cage import Cage
from rustok.sandbox.compilation import compile_on
from rustok.sandbox.contract import Compiled, Limits
from rustok.sandbox.conversation import ChildLost
from rustok.sandbox.zygote_client import Zygote
from tests.integration.sandbox.hooks import job, nothing

_GOOD = "async def handle(event, ctx):\n    return 1\n"


async def test_a_good_source_gives_bytecode_that_fits(cage: Cage) -> None:
    """It says what it fits, and is the same for the same source."""
    first, second = await cage.compile(_GOOD), await cage.compile(_GOOD)

    assert isinstance(first, Compiled)
    assert first == second
    assert (first.policy_version, first.magic) == cage.fingerprint
    assert (await cage.run(job(first.bytecode), nothing)).result == 1


async def test_faults_are_told_in_the_order_of_lines(cage: Cage) -> None:
    """With a hint where there is one."""
    faults = await cage.compile("import os\nasync def handle(event, ctx):\n    return eval('1')\n")

    assert isinstance(faults, tuple)
    assert [(fault.code, fault.line) for fault in faults] == [("forbidden_syntax", 1), ("forbidden_syntax", 3)]
    assert faults[0].hint is not None


async def test_a_syntax_error_has_its_place(cage: Cage) -> None:
    """As CPython has it."""
    faults = await cage.compile("async def handle(event, ctx):\n    return )\n")

    assert isinstance(faults, tuple)
    assert (faults[0].code, faults[0].line, faults[0].column) == ("syntax_error", 2, 12)


@pytest.mark.parametrize(
    "source",
    [
        "x = 1\n" * 2_000_000,
        "(" * 60_000,
        "x = " + "-" * 60_000 + "1",
        "x = " + "[" * 5_000 + "]" * 5_000,
        "x" + ".a" * 30_000,
        "x = 1" + " + 1" * 15_000,
        "x = " + "f'{" * 200 + "1" + "}'" * 200,
        "x = f'" + "{1}" * 20_000 + "'",
        "x = 'a'" + " 'a'" * 16_000,
        "if x:\n" + "".join(" " * n + "if x:\n" for n in range(1, 99)) + " " * 99 + "pass",
        "lambda: " * 8_000 + "1",
        "x = '\ud800'",
        "x = '\0'",
        "# \ud800 caf\u00e9\n\ufeff",
        "x" * 60_000 + " = '",
    ],
    ids=range(15),
)
async def test_a_bomb_of_a_source_ends_with_a_fault(cage: Cage, source: str) -> None:
    """Within the limits of the child, whatever it is."""
    faults = await cage.compile(source)

    assert isinstance(faults, tuple)
    assert faults[0].code in {"syntax_error", "forbidden_syntax", "source_too_large"}


async def test_a_compilation_that_had_no_processor_is_no_verdict() -> None:
    """It is done again: the time passed, and none of it was the source's."""
    zygote = await Zygote.boot("compile", ())
    child = await zygote.fork(1000, 128 << 20, ())
    psutil.Process(child.host_pid()).suspend()

    with pytest.raises(ChildLost):
        await compile_on(child, _GOOD, Limits(cpu_ms=1000, wall_ms=50))
    await zygote.close()


@pytest.mark.parametrize("value", ["9 ** 9 ** 9", "'x' * 10 ** 12", "(0,) * 10 ** 10", "1 << 10 ** 12", "2 ** 100_000"])
async def test_a_constant_is_not_computed_when_it_is_huge(cage: Cage, value: str) -> None:
    """CPython folds small ones only; whatever it does is bounded."""
    assert await cage.compile(f"async def handle(event, ctx):\n    return {value}\n")
