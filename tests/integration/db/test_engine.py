"""Every connection ends what hangs: a process that stopped must not keep its locks for ever."""

import os
import signal

import asyncpg
import pytest
from sqlalchemy import text

from rustok.db.engine import open_engine
from rustok.db.failures import is_transient
from rustok.db.transaction import begin, run_alone
from rustok.testing import Database
from tests.waiting import eventually_async

_LIMITS = text(
    "SELECT name, setting || coalesce(unit, '') AS setting FROM pg_settings"
    " WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout')"
)
_SLEEP = text("SELECT pg_sleep(60)")
_ENDED = (asyncpg.InterfaceError, asyncpg.InternalClientError, asyncpg.PostgresError)
_BACKEND = text("SELECT pg_backend_pid()")
_LOCK = text("SELECT pg_try_advisory_xact_lock(1)")


async def test_statements_and_transactions_have_an_end(database: Database) -> None:
    """Without anybody asking for it: relay, workers and the command line connect like this. The API is stricter."""
    async with open_engine(database.system_url) as engine:
        found = {row.name: row.setting for row in await run_alone(engine, _LIMITS)}

    assert found == {"statement_timeout": "25000ms", "idle_in_transaction_session_timeout": "5000ms"}


async def test_a_statement_that_takes_too_long_is_cancelled_by_the_server(database: Database) -> None:
    """Whether or not the process that sent it still listens. It is worth another try."""
    async with open_engine(database.system_url, statement_timeout_s=0.05) as engine:
        with pytest.raises(Exception, match="statement timeout") as raised:
            await run_alone(engine, _SLEEP)

    assert is_transient(raised.value)


async def test_a_transaction_that_is_left_alone_is_ended_by_the_server(database: Database) -> None:
    """What it had locked is free, though its process still believes that it holds it."""
    async with (
        open_engine(database.system_url, idle_in_transaction_timeout_s=1.0) as engine,
        open_engine(database.admin_url) as others,
    ):

        async def is_free() -> bool:
            return bool((await run_alone(others, _LOCK)).scalar_one())

        await is_free()  # so that the connection is there before the time runs

        async def lock_and_leave_alone() -> None:
            async with begin(engine, "BEGIN; SELECT pg_advisory_xact_lock(1)"):
                assert not await is_free()
                await eventually_async(is_free)

        with pytest.raises(_ENDED) as raised:
            await lock_and_leave_alone()

    assert is_transient(raised.value)


async def test_a_server_that_has_become_silent_costs_one_call(database: Database) -> None:
    """The next one has another connection, and does not wait for what is still to be cancelled."""
    async with open_engine(database.system_url, pool_size=1, reply_timeout_s=1.0) as engine:
        silent = (await run_alone(engine, _BACKEND)).scalar_one()
        os.kill(silent, signal.SIGSTOP)
        try:
            with pytest.raises(TimeoutError) as raised:
                await run_alone(engine, _BACKEND)
            other = (await run_alone(engine, _BACKEND)).scalar_one()
        finally:
            os.kill(silent, signal.SIGCONT)

    assert is_transient(raised.value)
    assert other != silent
