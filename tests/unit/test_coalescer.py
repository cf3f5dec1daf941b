"""Jobs share groups that grow with the load, and nothing else: each has its own answer and its own error."""

import asyncio
from collections.abc import Sequence

import pytest

from rustok.db.coalescer import Coalescer

MOST = 3


class ServerAway(Exception):
    """The whole group failed."""


class Refused(Exception):
    """One job failed."""


class Server:
    """Runs groups when told to. A job's answer is itself in capitals; "bad" is refused."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.is_away = False
        self._gates: list[asyncio.Event] = []

    async def run(self, jobs: Sequence[str]) -> list[str | Exception]:
        gate = asyncio.Event()
        self.groups.append(list(jobs))
        self._gates.append(gate)
        await gate.wait()
        if self.is_away:
            raise ServerAway
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
    return Coalescer(server.run, most=MOST)


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


async def test_a_caller_who_leaves_disturbs_nobody(server: Server, coalescer: Coalescer[str, str]) -> None:
    """Its job is done all the same: it is on its way."""
    tasks = await submitted(coalescer, "a", "b", "c")
    tasks[1].cancel()

    for group in range(2):
        await server.finish(group)

    assert await tasks[2] == "C"
