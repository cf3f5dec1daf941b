"""Where a scenario plays: servers of its own, real processes, tenants with hooks, and clients that write."""

import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import httpx2
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from rustok.catalog import MODULES
from rustok.cli.api import api_arguments
from rustok.cli.supervisor import ProcessSpec, Supervisor
from rustok.db.transaction import run_alone
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
from tests.chaos.peaks import Peaks
from tests.chaos.proxy import HOST, FaultProxy
from tests.chaos.witness import WITNESS, create_witness
from workers.event_loop import EventLoopThread

Answer = TypeVar("Answer")

SEED = 20260203
PATIENCE_S = 300.0
_LOOK_S = 0.02
_SAMPLE_S = 1.0
_AWAY = (DBAPIError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

HOOK = """
async def handle(event, ctx):
    total = 0
    for n in range(20_000):
        total += n
    ctx.emit("seen", event=event["id"])
"""

_OUTBOX = text("SELECT count(*) AS rows FROM outbox")
_IS_IDLE = text(
    """
    SELECT NOT EXISTS (SELECT FROM outbox)
       AND NOT EXISTS (SELECT FROM jobs WHERE state <> 'dead')
       AND NOT EXISTS (
           SELECT FROM checkpoints AS c CROSS JOIN LATERAL (
                  SELECT FROM event_log AS e WHERE e.shard = c.shard AND e.position > c.position LIMIT 1) AS unread)
       AS is_idle
    """
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a stage is made of.

    `hook` is the code of each tenant's script, None: they have none. `proxied`: processes reach these servers through a
    proxy. `environment`: of relays, workers and the API.
    """

    tenants: int = 3
    hook: str | None = HOOK
    relays: int = 2
    workers: int = 2
    proxied: frozenset[str] = frozenset()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Stage:
    """The main thread plays the faults and replaces what dies; clients and questions run on a loop of their own."""

    postgres: PostgresServer
    redis: RedisServer
    proxies: Mapping[str, FaultProxy]
    platform: PlatformUnderTest
    processes: Supervisor
    clients: Clients
    hooks: Mapping[UUID, UUID]
    loop: EventLoopThread
    metrics_ports: Mapping[str, int]
    """Where each worker tells its metrics."""
    peaks: Peaks = field(default_factory=Peaks)
    _sampled_s: float = 0.0

    def begin(self, coroutine: Coroutine[Any, Any, Answer]) -> "Future[Answer]":
        """Start *coroutine* on the loop."""
        future: Future[Answer] = Future()

        async def run() -> None:
            try:
                future.set_result(await coroutine)
            except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
                future.set_exception(error)

        self.loop.start(run())
        return future

    def ask(self, statement: Any, parameters: Mapping[str, Any] | None = None) -> Any:
        """Return the one row that PostgreSQL answers, None while it is away."""
        try:
            return self.loop.run(run_alone(self.platform.system_engine, statement, parameters)).one()
        except _AWAY:
            self.loop.run(self.platform.system_engine.dispose())
            return None

    def until(self, holds: Callable[[], object], within_s: float = PATIENCE_S) -> float:
        """Return how many seconds it took until *holds* did; what dies meanwhile is replaced.

        Raises:
            TimeoutError: it did not.

        """
        started_s, tick = time.monotonic(), threading.Event()
        while not holds():
            if time.monotonic() - started_s > within_s:
                raise TimeoutError(f"did not come true within {within_s:.0f} s")
            self.processes.replace_ended()
            self._sample()
            tick.wait(_LOOK_S)
        return time.monotonic() - started_s

    def pass_time(self, seconds: float) -> None:
        """Let *seconds* pass."""
        end_s = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end_s, seconds + PATIENCE_S)

    def write(self, count: int, **how: Any) -> "Future[None]":
        """Begin to have *count* products written, as `Clients.write` does."""
        return self.begin(self.clients.write(count, **how))

    @contextmanager
    def load(self, *, at_once: int = 4, pause_s: float = 0.05) -> Iterator[None]:
        """Have clients write all the while: at most *at_once* / *pause_s* products a second."""
        is_over = threading.Event()
        writing = self.begin(self.clients.write_until(is_over.is_set, at_once=at_once, pause_s=pause_s))
        try:
            yield
        finally:
            is_over.set()
        self.finish(writing)

    def until_answered(self, more: int) -> float:
        """Return how long it took until *more* writes were answered 2xx."""
        enough = len(self.clients.answered_s) + more
        return self.until(lambda: len(self.clients.answered_s) >= enough)

    def finish(self, writing: "Future[None]") -> None:
        """Wait until all that was begun is answered; raise what went wrong with it."""
        self.until(writing.done)
        writing.result()

    def settle(self, within_s: float = PATIENCE_S) -> float:
        """Return after how many seconds nothing is left to do."""
        return self.until(self._is_idle, within_s)

    def _is_idle(self) -> bool:
        row = self.ask(_IS_IDLE)
        return row is not None and bool(row.is_idle)

    def _sample(self) -> None:
        if time.monotonic() - self._sampled_s < _SAMPLE_S:
            return
        self._sampled_s = time.monotonic()
        self.peaks.see_processes(self.processes.pids)
        self.peaks.see_redis(self.redis.url)
        if row := self.ask(_OUTBOX):
            self.peaks.see_outbox(row.rows)


@contextmanager
def open_stage(plan: Plan) -> Iterator[Stage]:
    """Start everything, and wait until it serves; stop and delete everything on leaving."""
    with ExitStack() as stack:
        directory = stack.enter_context(temporary_state_dir())
        postgres = stack.enter_context(embedded_postgres(directory))
        redis = stack.enter_context(embedded_redis(directory))
        loop = stack.enter_context(EventLoopThread())
        ports = {"postgres": postgres.port, "redis": redis.port}
        proxies = {name: _enter(stack, loop, FaultProxy(ports[name])) for name in plan.proxied}
        database = _enter(stack, loop, _new_database(postgres))
        platform = _enter(stack, loop, PlatformUnderTest.open((*MODULES, WITNESS), database))
        ports |= {name: proxy.port for name, proxy in proxies.items()}
        port = free_port()
        processes = Supervisor(_environment(plan, database, ports))
        stack.callback(processes.stop)
        metrics_ports = _start(processes, plan, port)
        tokens, hooks = loop.run(_furnish(platform, plan))
        clients = _enter(stack, loop, Clients(f"http://{HOST}:{port}", tokens, SEED))
        stage = Stage(postgres, redis, proxies, platform, processes, clients, hooks, loop, metrics_ports)
        stage.until(lambda: _answers(f"http://{HOST}:{port}/health/ready"))
        stage.settle()  # the hooks are checked and active
        yield stage


def _enter(stack: ExitStack, loop: EventLoopThread, manager: AbstractAsyncContextManager[Answer]) -> Answer:
    """Open *manager* on *loop*, and have it closed there when *stack* is."""
    opened = AsyncExitStack()
    stack.callback(lambda: loop.run(opened.aclose()))
    return loop.run(opened.enter_async_context(manager))


@asynccontextmanager
async def _new_database(postgres: PostgresServer) -> AsyncIterator[Database]:
    server = DatabaseServer(postgres.admin_url)
    await server.create_template()
    async with server.throw_away() as database:
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
        **plan.environment,
    }


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username}:{parts.password}@{HOST}:{port}").geturl()


def _start(processes: Supervisor, plan: Plan, api_port: int) -> Mapping[str, int]:
    """Start the API as `rustok api` does, relays and workers as theirs do, with the witness; return metrics ports."""
    processes.start(ProcessSpec("api", ("-m", "uvicorn", *api_arguments(HOST, api_port))))
    for number in range(plan.relays):
        processes.start(ProcessSpec(f"relay {number + 1}", ("-m", "tests.chaos.root", "workers.relay")))
    ports = {f"worker {number + 1}": free_port() for number in range(plan.workers)}
    for name, port in ports.items():
        environment = {"RUSTOK_WORKER_METRICS_PORT": str(port)}
        processes.start(ProcessSpec(name, ("-m", "tests.chaos.root", "workers.main"), environment))
    return ports


async def _furnish(platform: PlatformUnderTest, plan: Plan) -> tuple[Mapping[UUID, str], Mapping[UUID, UUID]]:
    """Create tenants, each with a key and a hook; return both by tenant."""
    tenants = [await platform.create_tenant(f"tenant-{number}") for number in range(plan.tenants)]
    tokens, hooks = {}, {}
    for tenant in tenants:
        key = await platform.run("access.api_keys.create", tenant, name="writer", role="manager")
        tokens[tenant] = key.token
        if plan.hook:
            hooks[tenant] = await _push_hook(platform, tenant, plan.hook)
    return tokens, hooks


async def _push_hook(platform: PlatformUnderTest, tenant: UUID, code: str) -> UUID:
    script = await platform.run(
        "alloy.scripts.create",
        tenant,
        name="seen",
        triggers=[{"kind": "event", "pattern": "commerce.product.created"}],
        grants=["commerce.products.read"],
    )
    await platform.run("alloy.versions.push", tenant, script_id=str(script.id), code=code, activate=True)
    script_id: UUID = script.id
    return script_id


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.TransportError:
        return False
