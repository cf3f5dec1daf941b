"""The worlds of the machines, each on a database of its own, which the examples of a test empty and share."""

import asyncio
from collections.abc import Iterator

import pytest

from rustok.testing import Database, DatabaseServer
from tests.chaos.state_machine.bugs import Bug, seeded
from tests.chaos.state_machine.delivery_world import DeliveryWorld, open_delivery_world
from tests.chaos.state_machine.ledger_world import LedgerWorld, open_ledger_world
from tests.chaos.state_machine.world import opened
from tests.integration.events.log import connected


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """A loop that Hypothesis, which knows of none, is able to stop and start."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        yield runner


@pytest.fixture
def bug(request: pytest.FixtureRequest) -> Bug | None:
    """What is wrong with this world; nothing, unless the test says so."""
    return getattr(request, "param", None)


@pytest.fixture
def world_database(database_server: DatabaseServer, runner: asyncio.Runner, bug: Bug | None) -> Iterator[Database]:
    with opened(runner, database_server.throw_away()) as database:
        if bug is not None and bug.script:
            with opened(runner, connected(database.admin_url)) as admin:
                runner.run(admin.execute(bug.script))
        yield database


@pytest.fixture
def ledger_world(world_database: Database, runner: asyncio.Runner, bug: Bug | None) -> Iterator[LedgerWorld]:
    with seeded(bug), opened(runner, open_ledger_world(runner, world_database)) as world:
        yield world


@pytest.fixture
def delivery_world(world_database: Database, runner: asyncio.Runner, bug: Bug | None) -> Iterator[DeliveryWorld]:
    with seeded(bug), opened(runner, open_delivery_world(runner, world_database)) as world:
        yield world
