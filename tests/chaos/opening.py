"""Sets the stage: servers, a new database, tenants with hooks, processes, clients."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from redis import Redis

from rustok.catalog import MODULES
from rustok.cli.api import api_arguments
from rustok.cli.supervisor import ProcessSpec, Supervisor
from rustok.embedded import (
    PostgresServer,
    RedisServer,
    embedded_postgres,
    embedded_redis,
    free_port,
    temporary_state_dir,
)
from rustok.testing import Database, DatabaseServer, PlatformUnderTest
from rustok.testing.platform import SECRET
from tests.chaos.clients import Clients
from tests.chaos.proxy import HOST, FaultProxy
from tests.chaos.stage import Stage, answers
from tests.chaos.warm_start import spawn_warm
from tests.chaos.witness import WITNESS, create_witness
from workers.event_loop import EventLoopThread

Opened = TypeVar("Opened")

SEED = 20260203

_ADMITTING_ALL = {
    "RUSTOK_ADMISSION_SOFT_AGE_S": "inf",
    "RUSTOK_ADMISSION_HARD_AGE_S": "inf",
    "RUSTOK_REQUEST_QUOTA": "999999/s",
}

HOOK = """
async def handle(event, ctx):
    total = 0
    for n in range(20_000):
        total += n
    ctx.emit("seen", event=event["id"])
"""


@dataclass(frozen=True, slots=True)
class Servers:
    """What scenarios share, one after the other: starting a PostgreSQL anew would take longer than some of them."""

    postgres: PostgresServer
    redis: RedisServer


@contextmanager
def open_servers() -> Iterator[Servers]:
    """Start a PostgreSQL, with a database to clone, and a Redis, both of which keep what they acknowledge."""
    with (
        temporary_state_dir() as directory,
        embedded_postgres(directory) as postgres,
        embedded_redis(directory) as redis_server,
    ):
        asyncio.run(DatabaseServer(postgres.admin_url).create_template())
        yield Servers(postgres, redis_server)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a stage is made of.

    `hook` is the code of the script that the first `hooked` tenants have, all of them by default, None: they have none;
    `hosts` is where it may send something; `limits` are those of its runs, where they are not the platform's.
    `admits_all`: writes are admitted however late events are, for where these are kept from being handled. `proxied`:
    processes reach these servers through a proxy. `environment`: of relays, workers and the API.
    """

    tenants: int = 3
    hook: str | None = HOOK
    hooked: int | None = None
    hosts: Sequence[str] = ()
    limits: Mapping[str, int] = field(default_factory=dict)
    relays: int = 2
    workers: int = 2
    admits_all: bool = False
    proxied: frozenset[str] = frozenset()
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def open_stage(servers: Servers, plan: Plan) -> Iterator[Stage]:
    """Start processes on a new database and an empty Redis, and wait until they serve; stop them on leaving."""
    postgres, redis = servers.postgres, servers.redis
    for server in (postgres, redis):
        server.start()  # a scenario that broke off may have left it stopped
    with Redis.from_url(redis.url) as client:
        client.flushall()
    with ExitStack() as stack:
        loop = stack.enter_context(EventLoopThread())
        ports = {"postgres": postgres.port, "redis": redis.port}
        proxies = {name: _enter(stack, loop, FaultProxy(ports[name])) for name in plan.proxied}
        database = _enter(stack, loop, _new_database(postgres))
        platform = _enter(stack, loop, PlatformUnderTest.open((*MODULES, WITNESS), database))
        ports |= {name: proxy.port for name, proxy in proxies.items()}
        port = free_port()
        processes = Supervisor(_environment(plan, database, ports), spawn_warm, restart_pauses_s=(0.0,))
        stack.callback(processes.stop)
        metrics_ports = _start(processes, plan, port)
        tokens, hooks = loop.run(_furnish(platform, plan))
        clients = _enter(stack, loop, Clients(f"http://{HOST}:{port}", tokens, SEED))
        stage = Stage(postgres, redis, proxies, platform, processes, clients, hooks, loop, metrics_ports)
        stage.until(lambda: answers(f"http://{HOST}:{port}/health/ready"))
        stage.settle()  # the hooks are checked and active
        yield stage


def _enter(stack: ExitStack, loop: EventLoopThread, manager: AbstractAsyncContextManager[Opened]) -> Opened:
    """Open *manager* on *loop*, and have it closed there when *stack* is."""
    opened = AsyncExitStack()
    stack.callback(lambda: loop.run(opened.aclose()))
    return loop.run(opened.enter_async_context(manager))


@asynccontextmanager
async def _new_database(postgres: PostgresServer) -> AsyncIterator[Database]:
    async with DatabaseServer(postgres.admin_url).throw_away() as database:
        await create_witness(database)
        yield database


def _environment(plan: Plan, database: Database, ports: Mapping[str, int]) -> dict[str, str]:
    return {
        **os.environ,
        "RUSTOK_DATABASE_URL": _through(database.app_url, ports["postgres"]),
        "RUSTOK_SYSTEM_DATABASE_URL": _through(database.system_url, ports["postgres"]),
        "RUSTOK_REDIS_URL": f"redis://{HOST}:{ports['redis']}/0",
        "RUSTOK_SECRET": SECRET,
        "RUSTOK_LOG_LEVEL": "WARNING",
        **(_ADMITTING_ALL if plan.admits_all else {}),
        **plan.environment,
    }


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username}:{parts.password}@{HOST}:{port}").geturl()


def _start(processes: Supervisor, plan: Plan, api_port: int) -> Mapping[str, int]:
    """Start the API as `rustok api` does, relays and workers as theirs do, with the witness; return metrics ports."""
    processes.start(ProcessSpec("api", ("-m", "uvicorn", *api_arguments(HOST, api_port))))
    ports = {}
    for role, module, count in (("relay", "workers.relay", plan.relays), ("worker", "workers.main", plan.workers)):
        for number in range(count):
            name, port = f"{role} {number + 1}", free_port()
            environment = {f"RUSTOK_{role.upper()}_METRICS_PORT": str(port)}
            processes.start(ProcessSpec(name, ("-m", "tests.chaos.root", module), environment))
            ports[name] = port
    return ports


async def _furnish(platform: PlatformUnderTest, plan: Plan) -> tuple[Mapping[UUID, str], Mapping[UUID, UUID]]:
    """Create tenants, each with a key, and those that are to have one with a hook; return both by tenant."""
    tenants = [await platform.create_tenant(f"tenant-{number}") for number in range(plan.tenants)]
    tokens = {}
    for tenant in tenants:
        key = await platform.run("access.api_keys.create", tenant, name="writer", role="manager")
        tokens[tenant] = key.token
        if plan.limits:
            await platform.run("alloy.limits.set", tenant, **plan.limits)
    hooked = tenants[: plan.hooked] if plan.hook else []
    return tokens, {tenant: await _push_hook(platform, tenant, plan) for tenant in hooked}


async def _push_hook(platform: PlatformUnderTest, tenant: UUID, plan: Plan) -> UUID:
    script = await platform.run(
        "alloy.scripts.create",
        tenant,
        name="seen",
        triggers=[{"kind": "event", "pattern": "commerce.product.created"}],
        grants=["commerce.products.read"],
        hosts=[*plan.hosts],
    )
    await platform.run("alloy.versions.push", tenant, script_id=str(script.id), code=plan.hook, activate=True)
    script_id: UUID = script.id
    return script_id
