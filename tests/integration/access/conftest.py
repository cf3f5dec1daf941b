"""A provider, and logins by it."""

from collections.abc import AsyncIterator

import pytest

from rustok.modules.access.oidc import OidcLogin
from rustok.testing import FixedClock
from tests.integration.access.openid import (
    NOW,
    SECRETS,
    FakeProvider,
    configured,
    providing,
)
from tests.integration.egress.support import egress


@pytest.fixture
async def provider() -> AsyncIterator[FakeProvider]:
    async with providing() as provider:
        yield provider


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def login(provider: FakeProvider, clock: FixedClock) -> OidcLogin:
    return OidcLogin(configured(provider), egress(time_limit_s=5), SECRETS, clock)
