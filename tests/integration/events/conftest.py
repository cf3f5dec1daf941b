"""An empty log for each test; the database is shared by the tests of a file, since a clone takes longer than a test."""

from collections.abc import AsyncIterator

import pytest

from rustok.testing import Database, DatabaseServer
from tests.integration.events.log import Log, create_clocks_table, forget_everything, open_log


@pytest.fixture(scope="module")
async def shared_database(database_server: DatabaseServer) -> AsyncIterator[Database]:
    async with database_server.throw_away() as database:
        await create_clocks_table(database)
        yield database


@pytest.fixture
async def log(shared_database: Database, request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    await forget_everything(shared_database)
    async with open_log(shared_database, is_under_fire=request.config.getoption("--faults") is not None) as log:
        yield log
