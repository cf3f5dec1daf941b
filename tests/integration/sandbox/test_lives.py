"""What becomes of runs when processes die, hang or grow old, and of processes when a cage ends."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import psutil
import pytest

from rustok.sandbox.cage import Cage, CageConfig
from rustok.sandbox.contract import SandboxUnavailable
from tests.integration.sandbox.hooks import job, raw, run_raw
from tests.waiting import eventually_async

_ASK = raw("return await ctx.kv.get('k')")


def launchers() -> list[psutil.Process]:
    """The tops of all zygotes of this process."""
    return [
        process for process in psutil.Process().children() if "rustok.sandbox.zygote" in " ".join(process.cmdline())
    ]


def forker(cage: Cage) -> psutil.Process:
    return psutil.Process(cage.zygote_pids[-1]).children()[0]


class KillOnce:
    """Answers calls; the first answer comes after the victims were killed."""

    def __init__(self, victims: Callable[[], list[psutil.Process]]) -> None:
        self._victims, self.calls = victims, 0

    async def __call__(self, _name: str, _arguments: Mapping[str, Any]) -> str:
        self.calls += 1
        if self.calls == 1:
            for process in self._victims():
                process.kill()
        return "answered"


async def test_a_run_whose_child_is_killed_is_run_again() -> None:
    """Its author notices nothing."""
    befell: list[str] = []
    async with Cage(CageConfig(children=2), befell.append) as cage:
        kill = KillOnce(lambda: forker(cage).children())

        outcome = await cage.run(job(_ASK), kill)

    assert (outcome.result, outcome.fault) == ("answered", None)
    assert kill.calls == 2
    assert "child_lost" in befell


@pytest.mark.parametrize("whom", ["launcher", "forker"])
async def test_a_run_outlives_its_zygote(whom: str) -> None:
    """All under it die with it, sooner or later; the run may even have been faster."""
    async with Cage(CageConfig(children=2)) as cage:
        above = forker(cage)
        victim = above.parent() if whom == "launcher" else above

        first = await cage.run(job(_ASK), KillOnce(lambda: [victim]))
        later = [await run_raw(cage, "return 1") for _ in range(3)]

        assert first.fault is None
        assert [first.result, *(outcome.result for outcome in later)] == ["answered", 1, 1, 1]
        assert forker(cage).pid != above.pid


async def test_a_run_that_is_lost_again_and_again_is_given_up() -> None:
    """It is no fault of the script's."""
    async with Cage(CageConfig(children=2)) as cage:

        async def kill(_name: str, _arguments: Mapping[str, Any]) -> None:
            for child in forker(cage).children():
                child.kill()

        with pytest.raises(SandboxUnavailable):
            await cage.run(job(_ASK), kill)


async def test_a_zygote_that_hangs_is_replaced() -> None:
    """Runs that wait for a child get one from the next zygote."""
    async with Cage(CageConfig(children=1)) as cage:
        hanging = forker(cage)
        hanging.suspend()

        outcomes = [await run_raw(cage, "return 1") for _ in range(2)]

        assert [outcome.result for outcome in outcomes] == [1, 1]
        assert forker(cage).pid != hanging.pid


async def test_a_zygote_that_is_old_is_replaced() -> None:
    """Runs go on meanwhile; nothing of the old one stays."""
    befell: list[str] = []
    async with Cage(CageConfig(children=2, generation_forks=10), befell.append) as cage:
        first = cage.zygote_pids[0]

        outcomes = await asyncio.gather(*(run_raw(cage, "return 1") for _ in range(20)))

        assert [outcome.result for outcome in outcomes] == [1] * 20
        assert "zygote_replaced" in befell
        assert "child_lost" not in befell
        await eventually_async(lambda: _is_gone(first))


async def _is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_more_runs_than_children_wait_for_their_turn() -> None:
    """Each gets a child of its own."""
    async with Cage(CageConfig(children=1)) as cage:
        outcomes = await asyncio.gather(*(run_raw(cage, f"return {n}") for n in range(10)))

    assert [outcome.result for outcome in outcomes] == list(range(10))


async def test_a_run_does_not_wait_for_ever() -> None:
    """When all children are busy too long it can be tried later."""
    async with Cage(CageConfig(children=1, wait_s=2)) as cage:
        asked, never = asyncio.Semaphore(0), asyncio.Event()

        async def wait(_name: str, _arguments: Mapping[str, Any]) -> None:
            asked.release()
            await never.wait()

        busy = [asyncio.create_task(cage.run(job(_ASK), wait)) for _ in range(2)]
        for _ in busy:
            await asked.acquire()

        with pytest.raises(SandboxUnavailable):
            await run_raw(cage, "return 1")
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)


async def test_a_run_that_is_cancelled_leaves_no_process() -> None:
    """Its child is killed."""
    async with Cage(CageConfig(children=1)) as cage:
        asked, never = asyncio.Event(), asyncio.Event()

        async def wait(_name: str, _arguments: Mapping[str, Any]) -> None:
            asked.set()
            await never.wait()

        running = asyncio.create_task(cage.run(job(_ASK), wait))
        await asked.wait()
        children = {child.pid for child in forker(cage).children()}

        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        async def fewer() -> bool:
            return bool(children - {child.pid for child in forker(cage).children()})

        await eventually_async(fewer)


async def test_a_closed_cage_leaves_nothing() -> None:
    """No process and no descriptor."""
    await asyncio.to_thread(int)  # the loop's own thread and descriptors are there already
    descriptors, processes = psutil.Process().num_fds(), len(launchers())
    cage = Cage(CageConfig(children=3))
    await cage.start()
    tree = psutil.Process(cage.zygote_pids[0]).children(recursive=True)
    await run_raw(cage, "return 1")
    await cage.compile("x = 1")

    await cage.close()

    assert psutil.Process().num_fds() == descriptors
    assert len(launchers()) == processes
    await asyncio.to_thread(psutil.wait_procs, tree, 10)
    assert not [process for process in tree if process.is_running()]
    with pytest.raises(SandboxUnavailable):
        await run_raw(cage, "return 1")


async def test_children_are_counted_from_outside() -> None:
    """Launcher, forker and the children that wait."""
    async with Cage(CageConfig(children=2)) as cage:

        async def counted() -> bool:
            return cage.figures.idle == 2 and cage.figures.processes >= 4 and cage.figures.rss_bytes > 0

        await eventually_async(counted)


async def test_a_tree_that_grows_too_large_is_replaced() -> None:
    """The backstop behind the limit of each child."""
    befell: list[str] = []
    async with Cage(CageConfig(children=1, tree_rss_bytes=1), befell.append):

        async def replaced() -> bool:
            return "tree_too_large" in befell

        await eventually_async(replaced)
