"""What becomes of runs when processes die, hang or grow old, and of processes when a cage ends."""

import asyncio
import os
import select
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from rustok.sandbox.cage import Cage, CageConfig
from rustok.sandbox.contract import Limits, SandboxUnavailable
from rustok.sandbox.layers import ALL_LAYERS
from rustok.sandbox.pool import Generation, Pool
from rustok.sandbox.zygote_client import Zygote
from tests.integration.sandbox.hooks import job, raw, run_raw
from tests.waiting import WAIT_S, eventually_async

_ASK = raw("return await ctx.kv.get('k')")


def launchers() -> list[psutil.Process]:
    """The tops of all zygotes of this process."""
    return [
        process for process in psutil.Process().children() if "rustok.sandbox.zygote" in " ".join(process.cmdline())
    ]


def kept_descriptors() -> int:
    """Count those that lead elsewhere than to /proc, where the watcher of another cage may be reading."""
    kept = 0
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - each may be gone by the time that it is looked at
        with suppress(OSError):
            kept += not os.readlink(f"/proc/self/fd/{name}").startswith("/proc/")  # noqa: PTH115
    return kept


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


async def test_children_that_died_while_they_waited_are_no_loss() -> None:
    """However many: none of them is handed out, though nobody has told yet that they are gone."""
    befell: list[str] = []
    async with Cage(CageConfig(children=4), befell.append) as cage:

        async def four_wait() -> bool:
            return cage._runs.idle == 4

        await eventually_async(four_wait)
        waiting = forker(cage).children()
        watches = [os.pidfd_open(child.pid) for child in waiting]
        for child, watch in zip(waiting, watches, strict=True):
            child.kill()
            assert select.select([watch], [], [], WAIT_S)[0]
            os.close(watch)

        outcome = await run_raw(cage, "return 1")

    assert outcome.result == 1
    assert "child_lost" not in befell


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


async def test_a_zygote_that_is_old_is_replaced_though_nothing_runs() -> None:
    """With the children that wait: an address space layout serves only so long."""
    async with Cage(CageConfig(children=1, generation_s=2)) as cage:
        await cage.compile("x = 1")
        first = cage.zygote_pids

        async def replaced() -> bool:
            return all([await _is_gone(pid) for pid in first])

        assert len(first) == 2
        await eventually_async(replaced)
        assert (await run_raw(cage, "return 1")).result == 1


async def test_a_zygote_that_retires_first_forks_what_was_asked() -> None:
    """Whoever has asked gets a child that lives."""
    zygote = await Zygote.boot("run", ())

    async def retire() -> None:
        zygote.retire()

    child, _ = await asyncio.gather(zygote.fork(1000, 64 << 20, ()), retire())

    assert child.alive
    assert not zygote.lost.is_set()
    child.discard()
    await asyncio.wait_for(zygote.lost.wait(), WAIT_S)
    await zygote.close()


async def test_a_pool_that_is_closed_while_it_boots_leaves_nothing() -> None:
    """Whoever waits for a child is told at once."""
    processes = len(launchers())
    pool = Pool("run", Limits(), 0, Generation(seconds=600, forks=5000), lambda _: None)
    waiting = [asyncio.create_task(pool.lease(Limits())) for _ in range(2)]
    await eventually_async(_more_launchers_than(processes))

    await pool.close()

    for task in waiting:
        with pytest.raises(SandboxUnavailable):
            await task
    assert len(launchers()) == processes


def _more_launchers_than(count: int) -> Callable[[], Awaitable[bool]]:
    async def are_more() -> bool:
        return len(psutil.Process().children()) > count

    return are_more


@pytest.mark.parametrize("number", [1, 2, 3, 10, 12, 15])
async def test_a_signal_from_outside_is_nobodys_fault(number: int) -> None:
    """SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, as a service manager sends them to all processes of one."""
    async with Cage(CageConfig(children=1)) as cage:
        calls = 0

        async def signal_once(_name: str, _arguments: Mapping[str, Any]) -> str:
            nonlocal calls
            calls += 1
            if calls == 1:
                for launcher in cage.zygote_pids:
                    for process in psutil.Process(launcher).children(recursive=True):
                        process.send_signal(number)
            return "answered"

        outcome = await cage.run(job(_ASK), signal_once)

    assert (outcome.result, outcome.fault) == ("answered", None)
    assert calls > 1


async def test_what_a_terminal_sends_to_the_worker_is_not_sent_to_its_cage(cage: Cage) -> None:
    """It has a session of its own, and no terminal."""
    assert os.getsid(cage.zygote_pids[0]) == cage.zygote_pids[0]


async def test_no_program_that_the_worker_starts_inherits_a_descriptor_of_a_child() -> None:
    """They would keep a child's socket open after its end."""

    def inheritable() -> set[int]:
        return {int(path.name) for path in Path("/proc/self/fd").iterdir() if _is_inheritable(int(path.name))}

    seen: list[set[int]] = []
    before = inheritable()

    async def look(_name: str, _arguments: Mapping[str, Any]) -> None:
        seen.append(inheritable())

    async with Cage(CageConfig(children=1)) as cage:
        await cage.run(job(_ASK), look)

    assert seen == [before]


def _is_inheritable(descriptor: int) -> bool:
    try:
        return os.get_inheritable(descriptor)
    except OSError:
        return False  # that of the listing itself


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
    descriptors, processes = kept_descriptors(), len(launchers())
    cage = Cage(CageConfig(children=3))
    await cage.start()
    tree = psutil.Process(cage.zygote_pids[0]).children(recursive=True)
    await run_raw(cage, "return 1")
    await cage.compile("x = 1")

    await cage.close()

    assert kept_descriptors() == descriptors
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


async def test_of_runs_that_hold_too_much_only_the_worst_is_ended() -> None:
    """The backstop behind the limit of each child, which is left off here."""
    befell: list[str] = []
    config = CageConfig(children=1, layers=ALL_LAYERS - {"rlimits"}, unsafe_dev=True)
    async with Cage(config, befell.append) as cage:

        async def curbed() -> bool:
            return "tree_too_large" in befell

        async def wait(_name: str, _arguments: Mapping[str, Any]) -> None:
            await eventually_async(curbed)

        large = raw("kept = 'x' * (500 << 20)\nawait ctx.kv.get('k')\nreturn len(kept)")
        limits = Limits(cpu_ms=20_000, wall_ms=60_000)
        ended, other = await asyncio.gather(
            cage.run(job(large, limits=limits), wait), cage.run(job(_ASK, limits=limits), wait)
        )

    assert ended.fault is not None
    assert (ended.fault.code, ended.fault.limit) == ("memory_exceeded", 64 << 20)
    assert (ended.fault.used or 0) > 64 << 20
    assert other.fault is None
    assert not {"child_lost", "zygote_replaced"} & set(befell)
