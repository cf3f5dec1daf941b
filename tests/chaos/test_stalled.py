"""Real workers that freeze, die or are told to end, as the list of workers has them."""

import os
import signal
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.cli.supervisor import Supervisor
from rustok.jobs.heartbeat import WorkerState, list_workers
from rustok.jobs.wishes import Whom, direct
from rustok.testing import PlatformUnderTest
from tests.waiting import eventually, eventually_async

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]
_WITHIN_S = 120.0


def workers_are(engine: AsyncEngine, states: dict[int, WorkerState]) -> Callable[[], Awaitable[bool]]:
    """Return what tells whether exactly the workers with these pids are listed, in these states."""

    async def look() -> bool:
        return {worker.pid: worker.state for worker in await list_workers(engine)} == states

    return look


async def test_a_worker_that_freezes_is_found_and_may_come_back(
    rustok: PlatformUnderTest, processes: Supervisor
) -> None:
    """It stalls, is lost, and goes on where it was when it runs again."""
    engine = rustok.system_engine
    frozen, other = processes.pids["worker 1"], processes.pids["worker 2"]
    await eventually_async(workers_are(engine, {frozen: "idle", other: "idle"}), _WITHIN_S)

    os.kill(frozen, signal.SIGSTOP)
    await eventually_async(workers_are(engine, {frozen: "stalled", other: "idle"}), _WITHIN_S)
    await eventually_async(workers_are(engine, {frozen: "lost", other: "idle"}), _WITHIN_S)
    os.kill(frozen, signal.SIGCONT)

    await eventually_async(workers_are(engine, {frozen: "idle", other: "idle"}), _WITHIN_S)


async def test_a_worker_that_is_killed_is_struck_off_the_list_by_its_neighbour(
    rustok: PlatformUnderTest, processes: Supervisor
) -> None:
    """There is nothing to look at any more, so nobody is called for it."""
    engine = rustok.system_engine
    killed, other = processes.pids["worker 1"], processes.pids["worker 2"]
    await eventually_async(workers_are(engine, {killed: "idle", other: "idle"}), _WITHIN_S)

    os.kill(killed, signal.SIGKILL)

    await eventually_async(workers_are(engine, {other: "idle"}), _WITHIN_S)


async def test_a_worker_that_is_stopped_ends_well_and_is_replaced(
    rustok: PlatformUnderTest, processes: Supervisor
) -> None:
    """The other one goes on; the supervisor starts one in its place."""
    engine = rustok.system_engine
    stopped, other = processes.pids["worker 1"], processes.pids["worker 2"]
    await eventually_async(workers_are(engine, {stopped: "idle", other: "idle"}), _WITHIN_S)
    [worker_id] = [worker.id for worker in await list_workers(engine) if worker.pid == stopped]

    await direct(engine, Whom(id=worker_id), "stop")
    await eventually_async(workers_are(engine, {other: "idle"}), _WITHIN_S)
    eventually(lambda: processes.ended() == ["worker 1"])

    def is_replaced() -> bool:
        processes.replace_ended()
        return "worker 1" in processes.pids

    eventually(is_replaced)
    await eventually_async(workers_are(engine, {processes.pids["worker 1"]: "idle", other: "idle"}), _WITHIN_S)
