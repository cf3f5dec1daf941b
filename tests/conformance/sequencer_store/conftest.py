"""Every test of this folder runs once for each store."""

from collections.abc import AsyncIterator

import pytest

from rustok.testing import Database, DatabaseServer
from tests.conformance.sequencer_store.stores import STORES, StoreUnderTest, open_store


@pytest.fixture(scope="module")
async def shared_database(database_server: DatabaseServer) -> AsyncIterator[Database]:
    async with database_server.throw_away() as database:
        yield database


@pytest.fixture(params=STORES)
async def under_test(request: pytest.FixtureRequest, shared_database: Database) -> AsyncIterator[StoreUnderTest]:
    async with open_store(request.param, shared_database) as store:
        yield store
