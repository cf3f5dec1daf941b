"""What an API process is made of: engines, platform, and what runs beside the requests."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine

from api.admission import Admission, AdmissionConfig
from api.background import running
from api.consistency import ReadYourWrites
from api.startup import check_database
from api.tenancy import TenantDirectory
from rustok.bootstrap import Platform, build_consumers, build_platform
from rustok.db.engine import create_engine
from rustok.egress import Egress, EgressConfig, parse_networks
from rustok.events.in_process import InProcessConfig, InProcessConsumers
from rustok.events.lateness import undelivered_age_s
from rustok.events.memory import MemoryTransport
from rustok.events.memory_store import MemoryConsumerStore
from rustok.events.outbox import OutboxTransport
from rustok.events.wakeup import OutboxNotifier
from rustok.index.freshness import Freshness
from rustok.kernel.errors import Misconfigured
from rustok.kernel.module import Module
from rustok.kernel.ports import Clock
from rustok.kernel.secrets import Secrets
from rustok.kernel.transport import EventTransport
from rustok.modules.access import OidcLogin, parse_providers
from rustok.runtime import LocalWake
from rustok.settings import Settings, required

_REPLY_MARGIN_S = 2.0
"""PostgreSQL cancels a slow statement by itself; only a silent server keeps us waiting for longer."""

_APP, _SYSTEM = "RUSTOK_DATABASE_URL", "RUSTOK_SYSTEM_DATABASE_URL"


@dataclass(frozen=True, slots=True)
class Parts:
    """`engines` by the setting that names their database; `log_engine` where the log is in one."""

    platform: Platform
    directory: TenantDirectory
    database_url: str
    engines: dict[str, AsyncEngine]
    log_engine: AsyncEngine | None
    admission: Admission
    read_your_writes: ReadYourWrites
    logins: Mapping[str, OidcLogin]
    background: Sequence[Callable[[], Awaitable[None]]] = ()
    afterwards: Sequence[Callable[[], Awaitable[None]]] = ()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Check the databases, run what runs beside the requests, and leave nothing open."""
        try:
            for setting, engine in self.engines.items():
                await check_database(engine, setting)
            async with running(self.background):
                yield
            for finish in self.afterwards:
                await finish()
        finally:
            for engine in self.engines.values():
                await engine.dispose()


def assemble(
    settings: Settings,
    modules: Sequence[Module],
    clock: Clock,
    engine: AsyncEngine | None = None,
    transport: EventTransport | None = None,
) -> Parts:
    """Return the parts that *settings* ask for; nothing is connected yet.

    Raises:
        Misconfigured: a setting is missing, or the modules do not add up.

    """
    url = required(settings.database_url, "database_url")
    secrets = Secrets(required(settings.secret, "secret"))
    engine = engine or _engine(
        _APP,
        url,
        pool_size=settings.database_pool_size,
        pool_timeout_s=settings.database_pool_timeout_s,
        statement_timeout_s=settings.database_statement_timeout_s,
        reply_timeout_s=settings.database_statement_timeout_s + _REPLY_MARGIN_S,
        application_name="rustok_api",
    )
    build = partial(build_platform, modules, engine=engine, secrets=secrets, clock=clock)
    loops: list[Callable[[], Awaitable[None]]] = []
    if transport is not None:
        platform = build(transport=transport)
    elif settings.event_transport == "memory":
        return _in_process(settings, build, engine, secrets, clock)
    else:
        notifier = OutboxNotifier(url, clock)
        platform = build(transport=OutboxTransport(engine, notifier.committed), on_jobs_made=notifier.jobs_made)
        loops.append(notifier.run)
    admission = _admission(settings, partial(undelivered_age_s, engine, platform.registry.consumed()), clock)
    freshness = Freshness(engine, platform.registry.projections.values(), clock)
    read_your_writes = ReadYourWrites(freshness, secrets, clock)
    loops += [admission.run, freshness.run]
    directory = TenantDirectory(engine, clock, settings.tenant_base_domain)
    logins = _logins(settings, secrets, clock)
    return Parts(platform, directory, url, {_APP: engine}, engine, admission, read_your_writes, logins, loops)


def _admission(settings: Settings, read_age_s: Callable[[], Awaitable[float]], clock: Clock) -> Admission:
    return Admission(AdmissionConfig(settings.admission_soft_age_s, settings.admission_hard_age_s), read_age_s, clock)


async def _on_time() -> float:
    """Return how late events are whose writer delivers them itself."""
    return 0.0


def _in_process(
    settings: Settings, build: Callable[..., Platform], engine: AsyncEngine, secrets: Secrets, clock: Clock
) -> Parts:
    """Return the parts of L0: this process commits the events and runs their consumers."""
    wake = LocalWake()
    transport = MemoryTransport(wake.wake)
    url = required(settings.database_url, "database_url")
    system_url = required(settings.system_database_url, "system_database_url")
    system_engine = _engine(_SYSTEM, system_url, pool_size=2, application_name="rustok_api_consumers")
    platform = build(transport=transport)
    consumers = build_consumers(platform.registry, MemoryConsumerStore(system_engine, transport), clock)
    loop = InProcessConsumers(InProcessConfig(), consumers, wake)
    engines = {_APP: engine, _SYSTEM: system_engine}
    freshness = Freshness(engine, platform.registry.projections.values(), clock)
    read_your_writes = ReadYourWrites(freshness, secrets, clock)
    loops = (loop.run, freshness.run)
    admission = _admission(settings, _on_time, clock)
    directory = TenantDirectory(engine, clock, settings.tenant_base_domain)
    logins = _logins(settings, secrets, clock)
    return Parts(platform, directory, url, engines, None, admission, read_your_writes, logins, loops, (loop.finish,))


def _logins(settings: Settings, secrets: Secrets, clock: Clock) -> Mapping[str, OidcLogin]:
    """Return the providers that users may sign in by. Raises Misconfigured."""
    networks = parse_networks(settings.oidc_allowed_networks, "RUSTOK_OIDC_ALLOWED_NETWORKS")
    if settings.oidc_providers is None:
        return {}
    egress = Egress(EgressConfig(allowed_networks=networks))
    providers = parse_providers(settings.oidc_providers.get_secret_value())
    return {provider.name: OidcLogin(provider, egress, secrets, clock) for provider in providers}


def _engine(setting: str, url: str, **options: Any) -> AsyncEngine:
    try:
        return create_engine(url, **options)
    except (ArgumentError, ValueError):
        raise Misconfigured(
            f"{setting} is no address of PostgreSQL: write postgresql://user:password@host:port/database."
        ) from None
