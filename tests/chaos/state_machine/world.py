"""What the worlds of the machines have in common: a loop that is run to the end of each step, and sudden deaths."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import text

from rustok.db.transaction import Transaction
from tests.integration.events.log import until_gone

Opened = TypeVar("Opened")

_PID = text("SELECT pg_backend_pid()")
_DIE = text("SELECT pg_terminate_backend(pg_backend_pid())")


class World:
    """*admin*: a connection of the server's administrator, who sees and may do everything."""

    def __init__(self, runner: asyncio.Runner, admin: asyncpg.Connection) -> None:
        self._runner = runner
        self._dying: list[int] = []
        self.admin = admin

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do *work* to its end. Whoever died of it has let go of his locks then."""
        try:
            return self._runner.run(work)
        finally:
            while self._dying:
                self._runner.run(until_gone(self.admin, self._dying.pop()))

    async def die(self, transaction: Transaction) -> None:
        """Lose the connection, as to an operator, a crash or the network."""
        self._dying.append((await transaction.execute(_PID)).scalar_one())
        await transaction.execute(_DIE)


@contextmanager
def opened(runner: asyncio.Runner, manager: AbstractAsyncContextManager[Opened]) -> Iterator[Opened]:
    """Open *manager* on the runner's loop."""
    try:
        yield runner.run(manager.__aenter__())
    finally:
        runner.run(manager.__aexit__(None, None, None))
