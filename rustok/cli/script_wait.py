"""Waiting for a worker to do what was asked of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from rustok.cli.output import err
from rustok.cli.tenancy import TenantSession
from rustok.jobs.heartbeat import living_workers
from rustok.kernel.errors import Unavailable

T = TypeVar("T")

Patience = Annotated[float, typer.Option("--timeout-s", min=0.1, max=86_400, help="Seconds to wait for a worker.")]
PATIENCE_S = 30.0
_POLL_S = 0.1


async def wait_for(at: TenantSession, ask: Callable[[], Awaitable[T | None]], what: str, patience_s: float) -> T:
    """Return what *ask* answers as soon as that is something.

    Raises:
        Unavailable: it took longer than *patience_s*; the message says whether a worker runs.

    """
    try:
        with err.status(f"waiting for {what}"):
            async with asyncio.timeout(patience_s):
                while True:
                    found = await ask()
                    if found is not None:
                        return found
                    await asyncio.sleep(_POLL_S)
    except TimeoutError:
        workers = await living_workers(at.session.system_engine)
        hint = "workers are busy: look again later" if workers else "no worker runs: start one with `rustok worker`"
        raise Unavailable(f"Waited {patience_s:g} s for {what}; {hint}.") from None
