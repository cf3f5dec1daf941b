"""A typed client of a real API, and what the database says of the writes that it made."""

from typing import Any, NamedTuple
from uuid import UUID

from rustok.client import Retries, RustokClient
from rustok.client.commands import Command
from rustok.client.models import Product
from rustok.testing import Database
from tests.integration.api.support import ApiUnderTest, administrator

QUICK = Retries(first_wait_s=0.01, longest_wait_s=0.02)
_WRITTEN = """
SELECT (SELECT count(*) FROM products WHERE tenant_id = $1),
       (SELECT count(*) FROM outbox WHERE tenant_id = $1 AND type = 'commerce.product.created'),
       (SELECT count(*) FROM outbox WHERE tenant_id = $1 AND type = 'commerce.product.updated')
"""


class Written(NamedTuple):
    """Rows of products of a tenant, and its events in the outbox."""

    rows: int
    created: int
    updated: int = 0


async def written(database: Database, tenant_id: UUID) -> Written:
    async with administrator(database) as admin:
        return Written(*await admin.fetchrow(_WRITTEN, tenant_id))


def client_of(api: ApiUnderTest, token: Any = None, **parts: Any) -> RustokClient:
    """Return a client of *api*, with the key of its owner unless there is a *token*."""
    key = api.client.headers["Authorization"].removeprefix("Bearer ")
    return RustokClient("http://api.test", token or key, **{"retries": QUICK, "http": api.client, **parts})


def a_product(rustok: RustokClient, title: str = "Red bicycle", **fields: Any) -> Command[Product]:
    return rustok.commerce.products.create(translations={"en": {"title": title}}, **fields)
