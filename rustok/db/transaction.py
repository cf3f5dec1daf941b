"""A transaction on the driver's own connection: SQLAlchemy keeps the pool, asyncpg runs the statements.

SQLAlchemy's way to a row costs 100 to 300 us of Python a statement, more than PostgreSQL takes for most of ours,
and opens a transaction in a round trip of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from typing import Any, NamedTuple

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement
from sqlalchemy import TextClause
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import PoolProxiedConnection

_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call] # SQLAlchemy's own constructor
_ROLLBACK_TIMEOUT_S = 1.0
_FOR_EVER_S = 10**9
_JSON_LINES = {"format": "csv", "delimiter": "\x02", "quote": "\x01"}
"""The form of COPY that leaves JSON as it is, since it holds neither of these."""
_PREPARED_LIMIT = 500
"""Statements that a connection keeps prepared at most; the platform has fewer."""


class Rows(IteratorResult[*tuple[Any, ...]]):
    """What a statement returned, read as any result of SQLAlchemy. `rowcount`: rows returned or changed."""

    rowcount: int


class AbortedTransaction(Exception):
    """A defect of the caller: it caught the error of a statement and went on as if nothing had happened."""


class _Prepared(NamedTuple):
    statement: PreparedStatement
    columns: SimpleResultMetaData


class Transaction:
    """Runs statements, each prepared once a connection. Make one with `begin`."""

    def __init__(self, driver: asyncpg.Connection, prepared: dict[str, _Prepared]) -> None:
        self._driver = driver
        self._prepared = prepared
        self.last_words = ""
        """Statements that end with a semicolon and go with the COMMIT, in its round trip. As for `begin`: there are
        no parameters, and no text that came from outside."""

    async def execute(self, statement: TextClause, parameters: Mapping[str, Any] | None = None) -> Rows:
        """Run one statement.

        Raises:
            IntegrityError: it violated a constraint.
            DBAPIError: PostgreSQL refused it for another reason.

        """
        sql, names = _compiled(statement)
        values = parameters or {}
        try:
            prepared = self._prepared.get(sql) or await self._prepare(sql)
            records = await prepared.statement.fetch(*[values[name] for name in names])
        except asyncpg.IntegrityConstraintViolationError as error:
            raise IntegrityError(sql, None, error) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            if isinstance(error, asyncpg.InvalidCachedStatementError):
                self._prepared.clear()  # a migration ran meanwhile
            raise DBAPIError(sql, None, error, connection_invalidated=self._driver.is_closed()) from error
        rows = Rows(prepared.columns, map(tuple, records))
        rows.rowcount = _row_count(prepared.statement.get_statusmsg())
        return rows

    async def copy_json(self, query: str, values: Sequence[Any], write: Callable[[bytes], Awaitable[None]]) -> None:
        """Have what *query* returns, one JSON value a row, written as lines while it arrives, without an end in time.

        Args:
            query: SQL of ours, with `$1`, `$2`, ... for *values*.

        Raises:
            DBAPIError: PostgreSQL refused it.

        """
        try:
            await self._driver.copy_from_query(query, *values, output=write, timeout=_FOR_EVER_S, **_JSON_LINES)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise DBAPIError(query, None, error, connection_invalidated=self._driver.is_closed()) from error

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what happens inside if it raises. Savepoints nest: the last one of the name is meant."""
        await self._driver.execute("SAVEPOINT inside")
        try:
            yield
        except BaseException:
            await self._driver.execute("ROLLBACK TO inside; RELEASE inside")
            raise
        await self._driver.execute("RELEASE inside")

    async def _prepare(self, sql: str) -> _Prepared:
        if len(self._prepared) >= _PREPARED_LIMIT:
            self._prepared.clear()
        statement = await self._driver.prepare(sql)
        columns = SimpleResultMetaData([attribute.name for attribute in statement.get_attributes()])
        prepared = self._prepared[sql] = _Prepared(statement, columns)
        return prepared


@asynccontextmanager
async def begin(engine: AsyncEngine, script: str) -> AsyncIterator[tuple[Transaction, int]]:
    """Open a transaction by way of *script*, in one round trip; commit on leaving, roll back on an exception.

    Args:
        script: statements that begin with BEGIN. There are no parameters: values of ours only, never a text
            that came from outside.

    Yields:
        The transaction, and the row count of the script's last statement.

    """
    pooled = await engine.raw_connection()
    driver: asyncpg.Connection = pooled.driver_connection
    try:
        transaction = _on(pooled)
        yield transaction, _row_count(await driver.execute(script))
        await _commit(driver, transaction.last_words)
    except BaseException:
        await _roll_back(pooled)
        raise
    finally:
        pooled.close()


async def run_alone(engine: AsyncEngine, statement: TextClause, parameters: Mapping[str, Any] | None = None) -> Rows:
    """Run one statement in a transaction of its own, in one round trip. Raises as `Transaction.execute` does."""
    pooled = await engine.raw_connection()
    try:
        return await _on(pooled).execute(statement, parameters)
    except TimeoutError:  # what is to be cancelled would keep the next one waiting
        pooled.invalidate()
        raise
    finally:
        pooled.close()


def _on(pooled: PoolProxiedConnection) -> Transaction:
    return Transaction(pooled.driver_connection, pooled.info.setdefault("prepared", {}))


async def _commit(driver: asyncpg.Connection, last_words: str) -> None:
    if await driver.execute(f"{last_words} COMMIT") != "COMMIT":  # PostgreSQL's way to say that it rolled back
        raise AbortedTransaction("A statement failed and the transaction went on: nothing was written.")


async def _roll_back(pooled: PoolProxiedConnection) -> None:
    """End the transaction or, where the server does not answer, the connection: the pool takes no open one back."""
    driver: asyncpg.Connection = pooled.driver_connection
    has_ended = False
    try:
        with suppress(Exception):  # the error that led here is the one to tell
            if not driver.is_closed():
                async with asyncio.timeout(_ROLLBACK_TIMEOUT_S):
                    await driver.execute("ROLLBACK")
                has_ended = True
    finally:
        if not has_ended:
            pooled.invalidate()


@lru_cache(maxsize=1024)
def _compiled(statement: TextClause) -> tuple[str, tuple[str, ...]]:
    """Return the statement as PostgreSQL reads it, and the names of its parameters `$1`, `$2`, ..."""
    compiled = statement.compile(dialect=_DIALECT)
    return str(compiled), tuple(compiled.positiontup or ())


def _row_count(status: str | None) -> int:
    """Return the number at the end of a command's status, such as `INSERT 0 2`; 0 where it has none."""
    number = (status or "").rpartition(" ")[2]
    return int(number) if number.isdigit() else 0
