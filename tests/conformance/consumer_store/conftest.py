"""Every test of this folder runs once for each store."""

from collections.abc import AsyncIterator

import pytest

from rustok.testing import Database, DatabaseServer
from tests.conformance.consumer_store.stores import STORES, StoreUnderTest, create_effects, open_store


@pytest.fixture(scope="module")
async def shared_database(database_server: DatabaseServer) -> AsyncIterator[Database]:
    """One database for all: a clone a test would take longer than the test."""
    async with database_server.throw_away() as database:
        await create_effects(database)
        yield database


@pytest.fixture(params=STORES)
async def under_test(request: pytest.FixtureRequest, shared_database: Database) -> AsyncIterator[StoreUnderTest]:
    async with open_store(request.param, shared_database) as store:
        yield store
