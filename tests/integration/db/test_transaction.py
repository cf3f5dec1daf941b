"""A transaction on the driver's own connection: what goes with its COMMIT is part of it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import open_engine
from rustok.db.transaction import begin, run_alone
from rustok.testing import DatabaseServer

_WRITE = text("INSERT INTO notes VALUES (:note)")
_READ = text("SELECT note FROM notes ORDER BY note")


@pytest.fixture
async def engine(database_server: DatabaseServer) -> AsyncIterator[AsyncEngine]:
    """Connections of an administrator, to a database with an empty table `notes`."""
    async with database_server.throw_away() as database, open_engine(database.admin_url) as engine:
        await run_alone(engine, text("CREATE TABLE notes (note integer PRIMARY KEY)"))
        yield engine


async def note_one_and_end_with(engine: AsyncEngine, last_words: str) -> None:
    async with begin(engine, "BEGIN") as (transaction, _):
        await transaction.execute(_WRITE, {"note": 1})
        transaction.last_words = last_words


async def noted(engine: AsyncEngine) -> list[int]:
    return [row.note for row in await run_alone(engine, _READ)]


async def test_last_words_are_committed_with_the_rest(engine: AsyncEngine) -> None:
    """In the round trip of the COMMIT."""
    await note_one_and_end_with(engine, "INSERT INTO notes VALUES (2);")

    assert await noted(engine) == [1, 2]


async def test_last_words_that_fail_take_the_rest_with_them(engine: AsyncEngine) -> None:
    """The connection is free for others afterwards."""
    with pytest.raises(asyncpg.UniqueViolationError):
        await note_one_and_end_with(engine, "INSERT INTO notes VALUES (1);")

    assert await noted(engine) == []


async def test_last_words_are_forgotten_with_their_transaction(engine: AsyncEngine) -> None:
    """The next one on the same connection has none."""
    await note_one_and_end_with(engine, "INSERT INTO notes VALUES (2);")

    async with begin(engine, "BEGIN") as (transaction, _):
        await transaction.execute(_WRITE, {"note": 3})

    assert await noted(engine) == [1, 2, 3]
