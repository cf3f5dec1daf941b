"""What a process may ask of the stand-in for PostgreSQL: statements on their own, and transactions."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Protocol, TypeVar

from tests.chaos.simulator.database import Database, RowLocked, Transaction

Answer = TypeVar("Answer")
Statement = Callable[[Transaction], Answer]


class Wire(Protocol):
    """Carries requests of one connection, in order."""

    async def call(self, work: Callable[[], Answer]) -> Answer:
        """Have the server do *work*. Raises ConnectionError when that is not known to have happened."""

    def when_gone(self, action: Callable[[], None]) -> None:
        """Have *action* called when the server notices that this connection is lost, or closed."""

    def close(self) -> None:
        """Let the server end what is open, after what it was asked before."""


class Session:
    """What a process may ask of the database; *open_wire* opens a connection."""

    def __init__(self, database: Database, open_wire: Callable[[], Wire], *, is_durable: bool = True) -> None:
        self._database = database
        self._open_wire = open_wire
        self._is_durable = is_durable

    async def run(self, statement: Statement[Answer]) -> Answer:
        """Run one statement in a transaction of its own."""
        return await self._open_wire().call(partial(self._database.alone, statement, is_durable=self._is_durable))

    @asynccontextmanager
    async def begin(self) -> AsyncIterator["OpenTransaction"]:
        """Open a transaction; commit on leaving, roll back on an exception."""
        opened = OpenTransaction(self._open_wire(), partial(self._database.begin, is_durable=self._is_durable))
        try:
            yield opened
            await opened.commit()
        finally:
            opened.close()


class OpenTransaction:
    """A transaction as its client sees it. It begins with its first statement."""

    def __init__(self, wire: Wire, begin: Callable[[], Transaction]) -> None:
        self.last_words: list[Statement[object]] = []
        """Statements that go with the COMMIT."""
        self._wire = wire
        self._begin = begin
        self._transaction: Transaction | None = None

    async def run(self, statement: Statement[Answer]) -> Answer:
        return await self._wire.call(lambda: statement(self._opened()))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        mark = await self.run(lambda transaction: transaction.mark())
        try:
            yield
        except BaseException:
            await self.run(lambda transaction: transaction.undo_to(mark))
            raise

    async def commit(self) -> None:
        await self._wire.call(self._commit)

    def close(self) -> None:
        """Roll back what is not committed."""
        self._wire.close()

    def _opened(self) -> Transaction:
        if self._transaction is None:
            self._transaction = self._begin()
            self._wire.when_gone(self._transaction.roll_back)
        if not self._transaction.is_open:
            raise ConnectionResetError("the server has ended the transaction")
        return self._transaction

    def _commit(self) -> None:
        transaction = self._opened()
        for statement in self.last_words:
            statement(transaction)
        transaction.commit()


class DirectWire:
    """No way at all: for tests of the stores alone, on an ordinary event loop."""

    def __init__(self) -> None:
        self._when_gone: list[Callable[[], None]] = []

    async def call(self, work: Callable[[], Answer]) -> Answer:
        while True:
            await asyncio.sleep(0)
            try:
                return work()
            except RowLocked as locked:
                ended = asyncio.Event()
                locked.holder.when_ended(ended.set)
                await ended.wait()

    def when_gone(self, action: Callable[[], None]) -> None:
        self._when_gone.append(action)

    def close(self) -> None:
        for action in self._when_gone:
            action()
