"""A client of an API that is served in this process."""

from collections.abc import AsyncIterator

import pytest

from rustok.client import RustokClient
from rustok.testing import PlatformUnderTest
from tests.integration.api.support import ApiUnderTest
from tests.integration.client.support import client_of


@pytest.fixture
async def api(rustok: PlatformUnderTest) -> AsyncIterator[ApiUnderTest]:
    """The API on a database of its own, with the tenant acme."""
    async with ApiUnderTest.open(rustok) as api:
        yield api


@pytest.fixture
async def client(api: ApiUnderTest) -> AsyncIterator[RustokClient]:
    """A client with the key of the tenant's owner."""
    async with client_of(api) as client:
        yield client
