"""Jobs share groups that grow with the load, and nothing else: each has its own answer and its own error."""

import asyncio
from collections.abc import Sequence

import pytest

from rustok.db.coalescer import Coalescer, RunApart
from rustok.kernel.errors import Unavailable

MOST = 3
PATIENCE_S = 2.0


class ServerAway(Exception):
    """The whole group failed."""


class Refused(Exception):
    """One job failed."""


class Server:
    """Runs groups, and single jobs, when told to. A job's answer is itself in capitals; "bad" is refused."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.alone: list[str] = []
        self.is_away = False
        self.gives_up = False
        self.may_run_alone = asyncio.Event()
        self._gates: list[asyncio.Event] = []

    async def run_alone(self, job: str) -> str:
        self.alone.append(job)
        await self.may_run_alone.wait()
        if job == "bad":
            raise Refused
        return job.upper()

    async def run(self, jobs: Sequence[str]) -> list[str | Exception]:
        gate = asyncio.Event()
        self.groups.append(list(jobs))
        self._gates.append(gate)
        await gate.wait()
        if self.is_away:
            raise ServerAway
        if self.gives_up:
            raise RunApart
        return [Refused() if job == "bad" else job.upper() for job in jobs]

    async def finish(self, group: int) -> None:
        """Let the group with this number end, and those that wait begin."""
        self._gates[group].set()
        await settled()


async def settled() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def coalescer(server: Server) -> Coalescer[str, str]:
    return Coalescer(server.run, server.run_alone, most=MOST, patience_s=PATIENCE_S)


async def submitted(coalescer: Coalescer[str, str], *jobs: str, kind: str = "acme") -> list[asyncio.Task[str]]:
    """Submit each job when the one before it has gone as far as it can."""
    tasks = []
    for job in jobs:
        tasks.append(asyncio.create_task(coalescer.submit(kind, job)))
        await settled()
    return tasks


async def test_a_job_that_finds_nothing_running_runs_at_once_and_alone(
    server: Server, coalescer: Coalescer[str, str]
) -> None:
    """Nobody waits for company."""
    [task] = await submitted(coalescer, "a")
    await server.finish(0)

    assert (server.groups, await task) == ([["a"]], "A")


async def test_jobs_that_come_meanwhile_go_together(server: Server, coalescer: Coalescer[str, str]) -> None:
    """A group is running; what comes then is the next group."""
    tasks = await submitted(coalescer, "a", "b", "c")

    await server.finish(0)
    await server.finish(1)

    assert server.groups == [["a"], ["b", "c"]]
    assert await asyncio.gather(*tasks) == ["A", "B", "C"]


async def test_a_group_has_a_limit(server: Server, coalescer: Coalescer[str, str]) -> None:
    """So that no transaction grows without end."""
    await submitted(coalescer, *"abcdef")

    await server.finish(0)
    await server.finish(1)

    assert server.groups == [["a"], ["b", "c", "d"], ["e", "f"]]


async def test_kinds_do_not_mix_and_do_not_wait_for_each_other(server: Server, coalescer: Coalescer[str, str]) -> None:
    """A tenant's transaction sees that tenant only."""
    await submitted(coalescer, "a", "b")
    await submitted(coalescer, "x", kind="globex")

    assert server.groups == [["a"], ["x"]]


async def test_a_jobs_own_error_is_its_own(server: Server, coalescer: Coalescer[str, str]) -> None:
    """Its neighbours have their answers."""
    tasks = await submitted(coalescer, "a", "b", "bad")

    for group in range(2):
        await server.finish(group)

    assert (await tasks[1]) == "B"
    with pytest.raises(Refused):
        await tasks[2]


async def test_a_failure_of_the_group_reaches_those_who_wait_too(
    server: Server, coalescer: Coalescer[str, str]
) -> None:
    """They wait for the same server: told now, they need not find out one group after the other."""
    tasks = await submitted(coalescer, *"abcdef")
    server.is_away = True

    await server.finish(0)

    assert server.groups == [["a"]]
    for task in tasks:
        with pytest.raises(ServerAway):
            await task


async def test_after_a_failure_jobs_run_again(server: Server, coalescer: Coalescer[str, str]) -> None:
    """Nothing of the failure stays."""
    [failed] = await submitted(coalescer, "a")
    server.is_away = True
    await server.finish(0)
    server.is_away = False

    [task] = await submitted(coalescer, "b")
    await server.finish(1)

    assert isinstance(failed.exception(), ServerAway)
    assert await task == "B"


async def test_the_jobs_of_a_group_that_was_given_up_run_alone(server: Server, coalescer: Coalescer[str, str]) -> None:
    """Each has its own answer or its own error."""
    tasks = await submitted(coalescer, "a", "b", "bad")
    await server.finish(0)
    server.gives_up = True
    await server.finish(1)
    server.may_run_alone.set()
    await settled()

    assert server.alone == ["b", "bad"]
    assert await tasks[1] == "B"
    with pytest.raises(Refused):
        await tasks[2]


async def test_the_next_group_does_not_wait_for_those_that_run_alone(
    server: Server, coalescer: Coalescer[str, str]
) -> None:
    """One of them may be waiting for a row that somebody else holds."""
    tasks = await submitted(coalescer, "a", "b")
    server.gives_up = True
    await server.finish(0)
    server.gives_up = False
    await server.finish(1)

    assert (server.alone, server.groups) == (["a"], [["a"], ["b"]])
    assert not tasks[0].done()
    assert await tasks[1] == "B"
    server.may_run_alone.set()
    assert await tasks[0] == "A"


async def test_a_job_that_has_waited_for_too_long_is_refused_and_not_begun(server: Server) -> None:
    """Its caller may repeat the call: nothing was done."""
    impatient = Coalescer(server.run, server.run_alone, most=MOST, patience_s=-1.0)
    [task] = await submitted(impatient, "a")

    assert server.groups == []
    with pytest.raises(Unavailable):
        await task


async def test_the_job_of_a_caller_who_has_left_is_not_begun(server: Server, coalescer: Coalescer[str, str]) -> None:
    """And its neighbours have their answers."""
    tasks = await submitted(coalescer, "a", "b", "c")
    tasks[1].cancel()
    await settled()

    await server.finish(0)
    await server.finish(1)

    assert server.groups == [["a"], ["c"]]
    assert await tasks[2] == "C"


async def test_a_caller_who_leaves_in_mid_group_disturbs_nobody(server: Server, coalescer: Coalescer[str, str]) -> None:
    """Its job is on its way; nobody hears of it."""
    tasks = await submitted(coalescer, "a", "b", "c")
    await server.finish(0)
    tasks[1].cancel()

    await server.finish(1)

    assert await tasks[2] == "C"


async def test_a_lane_whose_worker_is_cancelled_takes_its_callers_with_it(server: Server) -> None:
    """Nobody waits for an answer that cannot come, and the next job begins anew."""

    async def be_cancelled(_jobs: Sequence[str]) -> list[str | Exception]:
        raise asyncio.CancelledError

    cancelled: Coalescer[str, str] = Coalescer(be_cancelled, server.run_alone, most=MOST, patience_s=PATIENCE_S)

    for tasks in (await submitted(cancelled, "a"), await submitted(cancelled, "b")):
        assert [task.cancelled() for task in tasks] == [True]


async def test_a_steadfast_caller_is_cancelled_when_its_job_has_ended(server: Server) -> None:
    """However often somebody tries: what waits is begun all the same, and what fails is nobody's any more."""
    steadfast = Coalescer(server.run, server.run_alone, most=MOST, patience_s=PATIENCE_S, is_steadfast=True)
    tasks = await submitted(steadfast, "a", "b", "bad")
    for task in (*tasks, *tasks):
        task.cancel()
        await settled()
    before = [task.done() for task in tasks]

    await server.finish(0)
    await server.finish(1)

    assert server.groups == [["a"], ["b", "bad"]]
    assert before == [False, False, False]
    assert [task.cancelled() for task in tasks] == [True, True, True]


async def test_steadfast_callers_go_with_a_worker_that_is_cancelled(server: Server) -> None:
    """They would wait for ever."""

    async def be_cancelled(_jobs: Sequence[str]) -> list[str | Exception]:
        raise asyncio.CancelledError

    cancelled: Coalescer[str, str] = Coalescer(
        be_cancelled, server.run_alone, most=MOST, patience_s=PATIENCE_S, is_steadfast=True
    )

    assert [task.cancelled() for task in await submitted(cancelled, "a")] == [True]


@pytest.mark.parametrize("ticks", [0, 1, 2])
async def test_nobody_waits_for_a_worker_that_was_cancelled_before_it_began(server: Server, ticks: int) -> None:
    """As when the event loop ends."""
    steadfast = Coalescer(server.run, server.run_alone, most=MOST, patience_s=PATIENCE_S, is_steadfast=True)
    before = asyncio.all_tasks()
    caller = asyncio.create_task(steadfast.submit("acme", "a"))
    for _ in range(ticks):
        await asyncio.sleep(0)

    for task in asyncio.all_tasks() - before:
        task.cancel()
    await settled()

    assert caller.cancelled()
