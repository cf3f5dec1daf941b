"""Which tenant a request names: what is known without looking it up."""

from collections.abc import AsyncIterator

import pytest

from api.tenancy import TenantDirectory
from rustok.db.engine import open_engine
from rustok.kernel.ids import uuid7
from rustok.testing import FixedClock

BASE = "shops.example"
NOWHERE = "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"


@pytest.fixture
async def directory() -> AsyncIterator[TenantDirectory]:
    """One that can look nothing up."""
    async with open_engine(NOWHERE) as engine:
        yield TenantDirectory(engine, FixedClock(), BASE)


@pytest.mark.parametrize(
    ("host", "is_another"),
    [("acme.shops.example", False), ("globex.shops.example", True), ("shops", False), ("no_slug.shops.example", False)],
)
async def test_a_host_below_the_base_domain_is_compared_by_its_slug(
    directory: TenantDirectory, host: str, is_another: bool
) -> None:
    """Of a caller whose tenant is known: that costs no query."""
    assert await directory.is_another_named(None, host, uuid7(), "acme") is is_another
