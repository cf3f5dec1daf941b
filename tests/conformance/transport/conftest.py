"""Every test of this folder runs once for each level."""

from collections.abc import AsyncIterator

import pytest

from rustok.testing import Database, DatabaseServer
from tests.conformance.transport.levels import LEVELS, Level, forget_events, open_level


@pytest.fixture(scope="module")
async def shared_database(database_server: DatabaseServer) -> AsyncIterator[Database]:
    """One database for all: a clone a test would take longer than the test."""
    async with database_server.throw_away() as database:
        yield database


@pytest.fixture(params=LEVELS)
async def level(request: pytest.FixtureRequest, shared_database: Database) -> AsyncIterator[Level]:
    await forget_events(shared_database)
    async with open_level(request.param, shared_database) as level:
        yield level
