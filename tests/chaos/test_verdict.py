"""The verdict is on a run that has settled, and on what was seen: one that nobody looked at is not acquitted."""

import os
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from typing import TypeVar, cast

import asyncpg
import pytest
from redis import Redis

from rustok.catalog import MODULES
from rustok.cli.supervisor import Supervisor
from rustok.embedded import PostgresServer, RedisServer
from rustok.testing import DatabaseServer, PlatformUnderTest
from tests.chaos.clients import Clients
from tests.chaos.evidence import Hits
from tests.chaos.peaks import CAPS
from tests.chaos.stage import Stage
from tests.chaos.verdict import conclude
from tests.chaos.witness import WITNESS, create_witness
from workers.event_loop import EventLoopThread

Opened = TypeVar("Opened")

STAGED = """
    INSERT INTO outbox (shard, event_id, type, schema_version, tenant_id, aggregate_type, aggregate_id,
                        aggregate_version, correlation_id, causation_id, actor, occurred_at, payload)
    SELECT 0, id, 'tenants.tenant.created', 1, id, 'tenant', id, 1, id, id, 'test:verdict', now(), '{}'
      FROM gen_random_uuid() AS id
"""
UNREAD = "UPDATE checkpoints SET position = 0 WHERE consumer = 'witness.effects'"
_JOB = """
    INSERT INTO jobs (tenant_id, id, queue, kind, args, priority, state, attempts, max_attempts, due_at, actor,
                      correlation_id, created_at)
    SELECT id, gen_random_uuid(), 'sums', 'tenants.count', '{}', 0, 'ready', 0, 5, now(), 'test:verdict', id, now()
      FROM tenants
"""
WAITING = _JOB
RUNNING = f"{_JOB}; UPDATE jobs SET state = 'leased', attempts = 1, lease_token = id, lease_expires_at = now()"
FAILED = f"{_JOB}; UPDATE jobs SET attempts = 1"
DEAD = f"{_JOB}; UPDATE jobs SET state = 'dead', attempts = 5"


@pytest.fixture
def stage(database_server: DatabaseServer) -> Iterator[Stage]:
    """A platform with a tenant, on which nothing was ever done, without processes."""
    with EventLoopThread() as loop, _opened(loop, database_server.throw_away()) as database:
        loop.run(create_witness(database))
        with (
            _opened(loop, PlatformUnderTest.open((*MODULES, WITNESS), database)) as platform,
            _opened(loop, Clients("http://nobody", {}, seed=1)) as clients,
        ):
            loop.run(platform.create_tenant("acme"))
            loop.run(platform.settle())
            servers = cast("PostgresServer", None), cast("RedisServer", None)
            yield Stage(*servers, {}, platform, Supervisor({}), clients, {}, loop, {})


@contextmanager
def _opened(loop: EventLoopThread, manager: AbstractAsyncContextManager[Opened]) -> Iterator[Opened]:
    """Open *manager* on *loop*, and close it there."""
    stack = AsyncExitStack()
    try:
        yield loop.run(stack.enter_async_context(manager))
    finally:
        loop.run(stack.aclose())


def test_what_was_never_looked_at_is_a_missed_control(stage: Stage) -> None:
    """Memory, queues and outbox that nobody measured are all under their caps."""
    result = conclude(stage, {})

    assert [fault for name, faults in result.faults.items() if name != "control" for fault in faults] == []
    assert result.missed == [f"control: looks at {name}: 0, and fewer than 1 prove nothing" for name in CAPS]


def test_a_run_that_was_looked_at_is_judged_by_what_was_seen(stage: Stage, redis_url: str) -> None:
    """And by the controls of its scenario."""
    with Redis.from_url(redis_url) as redis:
        redis.xadd("rustok:queue:consume", {"m": "{}"})
    stage.peaks.see_processes({"this one": os.getpid()})
    stage.peaks.see_redis(redis_url)
    stage.peaks.see_outbox(50_001)

    result = conclude(stage, {}, controls={"wipes of a full Redis": Hits(0), "kills": Hits(3, least=2)})

    assert result.missed == [
        "I9: rows of the outbox: 50001, at most 50000",
        "control: wipes of a full Redis: 0, and fewer than 1 prove nothing",
    ]


@pytest.mark.parametrize(
    ("what", "retries", "is_idle"),
    [
        (STAGED, True, False),
        (UNREAD, True, False),
        (WAITING, True, False),
        (RUNNING, True, False),
        (FAILED, True, False),
        (FAILED, False, True),
        (DEAD, True, True),
    ],
    ids=["staged", "unread", "waiting", "running", "failed", "failed, not waited for", "dead"],
)
def test_a_run_has_settled_when_nothing_is_left_that_will_be_done(
    stage: Stage, what: str, *, retries: bool, is_idle: bool
) -> None:
    """Events in the outbox or before a checkpoint, jobs that wait, run or will be tried again; dead ones are done."""
    stage.loop.run(_do(stage, what))

    assert stage._is_idle(retries=retries) is is_idle


def test_a_run_is_judged_by_the_longest_time_that_it_took_to_settle(stage: Stage) -> None:
    """Not by the last one, when there was less to do."""
    stage.longest_settle_s = 61.0

    result = conclude(stage, {})

    assert result.targets["seconds to settle"].measured == 61.0
    assert result.faults["I8"] == ["seconds to settle: 61, at most 60"]


async def _do(stage: Stage, statements: str) -> None:
    admin = await asyncpg.connect(stage.platform.database.admin_url)
    try:
        await admin.execute(statements)
    finally:
        await admin.close()
