"""Connections go to whoever has waited longest, and none is lost on its way."""

import asyncio

import pytest
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import open_engine
from rustok.db.failures import is_transient
from rustok.testing import Database


async def use(engine: AsyncEngine, name: str, served: list[str]) -> None:
    """Take a connection, say so, and give it back."""
    async with engine.connect():
        served.append(name)


async def start_waiting(engine: AsyncEngine, *names: str, served: list[str]) -> list[asyncio.Task[None]]:
    """Return tasks that wait for a connection, in this order."""
    tasks = [asyncio.create_task(use(engine, name, served)) for name in names]
    await asyncio.sleep(0)
    return tasks


async def test_whoever_asks_again_waits_for_those_who_were_there(database: Database) -> None:
    """A task that gives its connection back and asks for another, before those who wait have had their turn."""
    served: list[str] = []
    async with open_engine(database.app_url, pool_size=1) as engine:
        async with engine.connect():
            waiting = await start_waiting(engine, "first", "second", served=served)
        await use(engine, "again", served)
        await asyncio.gather(*waiting)

    assert served == ["first", "second", "again"]


async def test_who_is_cancelled_when_a_connection_comes_passes_it_on(database: Database) -> None:
    """It was given to a task that will never use it."""
    served: list[str] = []
    async with open_engine(database.app_url, pool_size=1) as engine:
        async with engine.connect() as connection:
            gone, waiting = await start_waiting(engine, "gone", "waiting", served=served)
            await connection.close()
            gone.cancel()
        await waiting
        await use(engine, "later", served)

    assert served == ["waiting", "later"]


async def test_who_has_gone_before_is_passed_over(database: Database) -> None:
    """The next in turn has its connection."""
    served: list[str] = []
    async with open_engine(database.app_url, pool_size=1) as engine:
        async with engine.connect():
            gone, waiting = await start_waiting(engine, "gone", "waiting", served=served)
            gone.cancel()
            await asyncio.wait([gone])
        await waiting

    assert served == ["waiting"]


async def test_who_has_waited_too_long_is_refused_and_others_go_on(database: Database) -> None:
    """The refusal is worth another try."""
    served: list[str] = []
    async with open_engine(database.app_url, pool_size=1, pool_timeout_s=0.02) as engine:
        async with engine.connect():
            with pytest.raises(exc.TimeoutError) as raised:
                await use(engine, "impatient", served)
        await use(engine, "later", served)

    assert (served, is_transient(raised.value)) == (["later"], True)
