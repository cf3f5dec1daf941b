"""A ledger of its own for each test; the database is shared by the tests of a file."""

from collections.abc import AsyncIterator

import pytest

from rustok.testing import Database, DatabaseServer, PlatformUnderTest
from tests.integration.jobs.ledger import Ledger, open_ledger


@pytest.fixture(scope="module")
async def shared_database(database_server: DatabaseServer) -> AsyncIterator[Database]:
    async with database_server.throw_away() as database:
        yield database


@pytest.fixture
async def ledger(shared_database: Database, platform_class: type[PlatformUnderTest]) -> AsyncIterator[Ledger]:
    async with open_ledger(shared_database, platform_class) as ledger:
        yield ledger
