"""Fences between tenants, taken away from a database or from those who connect to it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import asyncpg

from rustok.testing import Database
from tests.connections import connections_chosen
from tests.integration.api.support import administrator
from tests.integration.db.references import drop_the_tenant_from, references_between_tenants
from tests.integration.db.tenant_tables import tenant_tables

_PREDICATE = re.compile(r"(?:\w+\.)?tenant_id = \$\d+(?:::UUID)?")


class Unbound(asyncpg.Connection):  # type: ignore[misc] # asyncpg ships no types
    """Its statements have lost the words that bind them to a tenant, those that have `words` in them."""

    words: ClassVar[str]

    async def prepare(self, query: str, **options: Any) -> Any:
        if self.words in query:
            query = _PREDICATE.sub(r"(\g<0> OR true)", query)
        return await super().prepare(query, **options)


@contextmanager
def without_predicates(words: str = "") -> Iterator[None]:
    """Take them from all that the role app says meanwhile, or from statements that have *words* in them."""
    unbound = type("Unbound", (Unbound,), {"words": words})

    def choose(parameters: Mapping[str, Any]) -> type[asyncpg.Connection] | None:
        return unbound if parameters["user"] == "rustok_app" else None

    with connections_chosen(choose):
        yield


async def without_row_level_security(database: Database) -> None:
    async with administrator(database) as admin:
        for table in (*await tenant_tables(admin), "tenants"):
            await admin.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")


async def without_tenants_in_keys(database: Database) -> None:
    async with administrator(database) as admin:
        for reference in await references_between_tenants(admin):
            await drop_the_tenant_from(admin, reference)
