"""A platform with a cage, whose events and jobs move when they are told to."""

from collections.abc import AsyncIterator

import pytest

from rustok.sandbox.cage import Cage, CageConfig
from rustok.testing import Database, DatabaseServer, PlatformUnderTest
from tests.integration.alloy.workshop import Workshop, open_workshop


@pytest.fixture(scope="module")
async def cage() -> AsyncIterator[Cage]:
    async with Cage(CageConfig(children=2)) as cage:
        yield cage


@pytest.fixture(scope="module")
async def shared_database(database_server: DatabaseServer) -> AsyncIterator[Database]:
    async with database_server.throw_away() as database:
        yield database


@pytest.fixture
async def workshop(
    shared_database: Database, cage: Cage, platform_class: type[PlatformUnderTest]
) -> AsyncIterator[Workshop]:
    async with open_workshop(shared_database, cage, platform_class) as workshop:
        yield workshop
