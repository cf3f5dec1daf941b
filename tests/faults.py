"""Faults under the ordinary tests: with `--faults SEED` one statement in a hundred fails before it is executed, one is
cancelled as too slow, and of one that is executed the answer is lost.

They befall what this process does as a relay, as a worker, as the API, or as a platform under fire (`under_fire.py`),
and not the hand of the test. Which statements, the seed and the test's own id decide.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import suppress
from enum import StrEnum
from functools import partial
from typing import Any, ClassVar, NoReturn, TypeVar

import asyncpg
import pytest
from asyncpg import ConnectionDoesNotExistError, InFailedSQLTransactionError
from asyncpg.prepared_stmt import PreparedStatement

from tests.connections import connections_chosen

UNDER_FIRE = "rustok-under-fire"
"""How a platform under fire calls itself to PostgreSQL."""
_BEFALLEN = frozenset({UNDER_FIRE, "rustok_api", "rustok-relay", "rustok-worker", "rustok-scripts"})
_CHANCE = 0.01
_CANCEL = "DO $$ BEGIN RAISE 'a fault: cancelled as too slow' USING ERRCODE = 'query_canceled'; END $$"

Answer = TypeVar("Answer")


class Fault(StrEnum):
    BROKEN = "connection broken before the statement"
    CANCELLED = "statement cancelled as too slow"
    UNHEARD = "statement executed, answer lost"


class Faults:
    """A pytest plugin: the tests that are marked `under_fire`, and these alone, with faults by *seed*."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._chance = random.Random(seed)
        self._told: Counter[str] = Counter()
        self._connections = type("FailingConnection", (FailingConnection,), {"faults": self})

    def next(self) -> Fault | None:
        """Return what befalls the next statement; mostly nothing does."""
        chances = [*[_CHANCE] * len(Fault), 1 - _CHANCE * len(Fault)]
        fault: Fault | None = self._chance.choices([*Fault, None], chances)[0]
        self._told[fault or "none"] += 1
        return fault

    def pytest_report_header(self) -> str:
        return f"faults: seed {self._seed}; one test again: pytest --faults {self._seed} <its id>"

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        others = [item for item in items if item.get_closest_marker("under_fire") is None]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self) -> Generator[None, object, object]:
        with connections_chosen(self._choose):
            return (yield)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._chance.seed(f"{self._seed} {item.nodeid}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section(f"faults, seed {self._seed}")
        for fault in Fault:
            terminalreporter.line(f"{self._told[fault]} x {fault}")
        terminalreporter.line(f"{self._told.total()} statements")

    def _choose(self, parameters: Mapping[str, Any]) -> type[asyncpg.Connection] | None:
        name = parameters.get("server_settings", {}).get("application_name")
        return self._connections if name in _BEFALLEN else None


class FailingConnection(asyncpg.Connection):  # type: ignore[misc] # asyncpg ships no types
    """Its statements meet whatever `faults` say."""

    faults: ClassVar[Faults]

    async def execute(self, query: str, *arguments: Any, **options: Any) -> str:
        return await self.befall(partial(super().execute, query, *arguments, **options))

    async def prepare(self, query: str, **options: Any) -> "FailingStatement":
        return FailingStatement(self, await super().prepare(query, **options))

    async def befall(self, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do *work*, or fail before, or fail after it."""
        fault = self.faults.next()
        if fault is Fault.CANCELLED:
            with suppress(InFailedSQLTransactionError):  # a rollback takes no time
                await super().execute(_CANCEL)
        if fault is Fault.BROKEN:
            self._break(fault)
        answer = await work()
        if fault is Fault.UNHEARD:
            self._break(fault)
        return answer

    def _break(self, fault: Fault) -> NoReturn:
        self.terminate()
        raise ConnectionDoesNotExistError(f"a fault: {fault}")


class FailingStatement:
    """A prepared statement of such a connection."""

    def __init__(self, connection: FailingConnection, statement: PreparedStatement) -> None:
        self._connection = connection
        self._statement = statement

    async def fetch(self, *arguments: Any, **options: Any) -> Any:
        return await self._connection.befall(partial(self._statement.fetch, *arguments, **options))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._statement, name)
