"""A whole platform in one process, on a throw-away database, driven step by step."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.bootstrap import Platform, build_consumers, build_platform
from rustok.db.engine import open_engine
from rustok.dispatch import Call
from rustok.events.consumer import Consumer
from rustok.events.outbox import OutboxTransport
from rustok.events.store import PostgresConsumerStore, PostgresSequencerStore
from rustok.kernel.context import Context, Principal
from rustok.kernel.event import LoggedEvent
from rustok.kernel.ids import uuid7
from rustok.kernel.module import Module, Result
from rustok.kernel.ports import Clock
from rustok.kernel.secrets import Secrets
from rustok.runtime import SystemClock
from rustok.testing.database import Database

SECRET = "a secret of the tests, long enough"  # noqa: S105 - of the tests


def a_context(tenant_id: UUID, permissions: frozenset[str]) -> Context:
    """Return a context for *tenant_id* whose principal has *permissions*."""
    return Context(tenant_id=tenant_id, principal=Principal("operator", "somebody", permissions))


class PlatformUnderTest:
    """Runs commands and queries, and moves events when told to. Make one with `open`."""

    def __init__(
        self,
        modules: Sequence[Module],
        database: Database,
        app_engine: AsyncEngine,
        system_engine: AsyncEngine,
        clock: Clock,
    ) -> None:
        self.database = database
        self.app_engine = app_engine
        self.system_engine = system_engine
        self.clock = clock
        self.secrets = Secrets(SECRET)
        self.platform: Platform = build_platform(
            modules,
            engine=app_engine,
            transport=OutboxTransport(app_engine),
            secrets=self.secrets,
            clock=clock,
        )
        self.registry = self.platform.registry
        self.store = PostgresConsumerStore(system_engine, self.registry.known_events())
        self.sequencer = PostgresSequencerStore(system_engine)
        self.consumers: Mapping[str, Consumer] = build_consumers(self.registry, self.store, clock)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, modules: Sequence[Module], database: Database, clock: Clock | None = None
    ) -> AsyncIterator["PlatformUnderTest"]:
        """Connect to *database* and create the consumers' checkpoints."""
        async with open_engine(database.app_url) as app_engine, open_engine(database.system_url) as system_engine:
            platform = cls(modules, database, app_engine, system_engine, clock or SystemClock())
            await platform.store.prepare(platform.consumers)
            yield platform

    def context(self, tenant_id: UUID) -> Context:
        """Return a context whose principal may do everything."""
        return a_context(tenant_id, frozenset(self.registry.permissions))

    async def create_tenant(self, slug: str = "acme", **fields: Any) -> UUID:
        """Create a tenant and return its id."""
        tenant_id = uuid7()
        await self.run("tenants.tenants.create", tenant_id, slug=slug, **{"name": slug.title(), **fields})
        return tenant_id

    async def run(self, command: str, tenant_id: UUID, *, seen: int | None = None, **fields: Any) -> Any:
        """Run a command as somebody who may do everything; *seen* is the expected version."""
        call = Call(self.registry.commands[command], fields, seen)
        return (await self.platform.dispatcher.run(call, self.context(tenant_id))).result

    async def query(self, query: str, tenant_id: UUID, **arguments: Any) -> Any:
        """Answer a query as somebody who may do everything."""
        result: Result = await self.platform.dispatcher.query(
            self.registry.queries[query], arguments, self.context(tenant_id)
        )
        return result

    async def events(self) -> list[LoggedEvent]:
        """Return everything that was committed so far, in the order of the log."""
        while await self.sequencer.sequence(1000):
            pass
        return await OutboxTransport(self.system_engine).read_all(after=0, limit=10_000)

    async def settle(self) -> None:
        """Sequence everything that was committed and let every consumer catch up."""
        while await self.sequencer.sequence(1000):
            pass
        for consumer in self.consumers.values():
            while (await consumer.drain()).has_more:
                pass
