"""The HTTP face, served in this process."""

from collections.abc import AsyncIterator

import pytest

from rustok.testing import DatabaseServer, PlatformUnderTest
from tests.integration.api.house import House
from tests.integration.api.support import ApiUnderTest


@pytest.fixture
async def api(rustok: PlatformUnderTest) -> AsyncIterator[ApiUnderTest]:
    """The API on a database of its own, with the tenant acme."""
    async with ApiUnderTest.open(rustok) as api:
        yield api


@pytest.fixture
async def house(rustok: PlatformUnderTest) -> AsyncIterator[House]:
    """The same with a user, and a clock that is moved by hand."""
    async with House.open(rustok) as house:
        yield house


@pytest.fixture(scope="module")
async def shared_api(
    database_server: DatabaseServer, platform_class: type[PlatformUnderTest]
) -> AsyncIterator[ApiUnderTest]:
    """The same for all tests of a file that write nothing."""
    async with ApiUnderTest.alone(database_server, platform_class=platform_class) as api:
        yield api
