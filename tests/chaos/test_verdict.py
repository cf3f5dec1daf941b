"""The verdict on a run that nobody looked at is no acquittal."""

import os
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from typing import TypeVar, cast

import pytest
from redis import Redis

from rustok.catalog import MODULES
from rustok.cli.supervisor import Supervisor
from rustok.embedded import PostgresServer, RedisServer
from rustok.testing import DatabaseServer, PlatformUnderTest
from tests.chaos.clients import Clients
from tests.chaos.peaks import CAPS
from tests.chaos.stage import Stage
from tests.chaos.verdict import conclude
from tests.chaos.witness import WITNESS, create_witness
from workers.event_loop import EventLoopThread

Opened = TypeVar("Opened")


@pytest.fixture
def stage(database_server: DatabaseServer) -> Iterator[Stage]:
    """A platform on which nothing was ever done, without processes."""
    with EventLoopThread() as loop, _opened(loop, database_server.throw_away()) as database:
        loop.run(create_witness(database))
        with (
            _opened(loop, PlatformUnderTest.open((*MODULES, WITNESS), database)) as platform,
            _opened(loop, Clients("http://nobody", {}, seed=1)) as clients,
        ):
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
    assert result.missed == [f"control: looks at {name}: none, so this run proves nothing" for name in CAPS]


def test_a_run_that_was_looked_at_is_judged_by_what_was_seen(stage: Stage, redis_url: str) -> None:
    """And by the controls of its scenario."""
    with Redis.from_url(redis_url) as redis:
        redis.xadd("rustok:queue:consume", {"m": "{}"})
    stage.peaks.see_processes({"this one": os.getpid()})
    stage.peaks.see_redis(redis_url)
    stage.peaks.see_outbox(50_001)

    result = conclude(stage, {}, controls={"wipes of a Redis that was not empty": 0, "kills": 3})

    assert result.missed == [
        "I9: rows of the outbox: 50001, at most 50000",
        "control: wipes of a Redis that was not empty: none, so this run proves nothing",
    ]
