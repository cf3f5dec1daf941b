"""What a command line needs of the platform: a tenant, and somebody to act as."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.bootstrap import Platform, build_platform
from rustok.catalog import MODULES
from rustok.cli.environment import cli_settings
from rustok.db.engine import open_engine
from rustok.db.failures import translated_failures
from rustok.events.outbox import OutboxTransport
from rustok.kernel.context import Context, Principal
from rustok.kernel.errors import Misconfigured
from rustok.kernel.secrets import Secrets
from rustok.modules.tenants import find_tenant, modules_off
from rustok.runtime import SystemClock
from rustok.settings import Settings, required


@dataclass(frozen=True, slots=True)
class Session:
    """A platform in this process, with a connection that sees every tenant."""

    settings: Settings
    platform: Platform
    system_engine: AsyncEngine

    async def operator(self, tenant_id: UUID) -> Context:
        """Return a context of the person at this machine, who may do everything for *tenant_id* that it has on."""
        with translated_failures():
            off = await modules_off(self.system_engine, tenant_id)
        everything = frozenset(self.platform.registry.permissions)
        principal = Principal("operator", os.environ.get("USER", "unknown"), everything, modules_off=off)
        return Context(tenant_id=tenant_id, principal=principal)

    async def tenant_id(self, reference: str) -> UUID:
        """Return the id of the tenant with this slug or id; raises TenantNotFound."""
        with translated_failures():
            return (await find_tenant(self.system_engine, reference)).id


@asynccontextmanager
async def open_session() -> AsyncIterator[Session]:
    """Connect as the roles app and system."""
    settings = cli_settings()
    if settings.event_transport == "memory":
        raise Misconfigured("RUSTOK_EVENT_TRANSPORT=memory keeps the log inside the API process: use its HTTP face.")
    app_url = required(settings.database_url, "database_url")
    system_url = required(settings.system_database_url, "system_database_url")
    async with (
        open_engine(app_url, application_name="rustok-cli") as engine,
        open_engine(system_url, application_name="rustok-cli") as system_engine,
    ):
        platform = build_platform(
            MODULES,
            engine=engine,
            transport=OutboxTransport(engine),
            secrets=Secrets(required(settings.secret, "secret")),
            clock=SystemClock(),
        )
        yield Session(settings, platform, system_engine)
