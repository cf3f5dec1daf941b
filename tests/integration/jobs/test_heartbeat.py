"""The list of workers: who lives and what they do, who has fallen silent, and what they are told."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from uuid import UUID

import psutil
import pytest

from rustok.jobs.heartbeat import STALLED_AFTER_S, Heartbeat, Worker, list_workers, living_workers
from rustok.jobs.wishes import Whom, direct
from rustok.testing import FixedClock
from tests.integration.jobs.ledger import Ledger
from tests.waiting import eventually


class Host:
    """The workers of this host. All of them are this process; *pid* says that one was another."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.engine = ledger, ledger.platform.system_engine

    async def worker(self, *, jobs: int = 0) -> Heartbeat:
        """Return a worker that has been heard of."""
        heartbeat = Heartbeat(self.engine, FixedClock(), lambda: {"level": "A"}, lambda: jobs)
        await heartbeat.run_once()
        return heartbeat

    async def fall_silent(self, worker: Heartbeat, seconds: float, pid: int | None = None) -> None:
        async with self.ledger.admin() as admin:
            await admin.execute(
                "UPDATE workers SET seen_at = now() - make_interval(secs => $2), pid = $3 WHERE id = $1",
                *(worker.id, seconds, pid or os.getpid()),
            )

    async def listed(self) -> dict[UUID, Worker]:
        return {worker.id: worker for worker in await list_workers(self.engine)}


@pytest.fixture
async def host(ledger: Ledger) -> Host:
    async with ledger.admin() as admin:
        await admin.execute("DELETE FROM workers")
    return Host(ledger)


@pytest.fixture
def dead_pid() -> Iterator[int]:
    """Of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        yield process.pid


@pytest.fixture
def young_pid() -> Iterator[int]:
    """Of a process that has just begun, and goes on."""
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        yield process.pid


@pytest.fixture
def old_pid() -> int:
    """Of the process that began first, longer ago than a worker may be silent."""
    eventually(lambda: time.time() - psutil.Process(1).create_time() > 2 * STALLED_AFTER_S)
    return 1


async def test_a_worker_works_while_jobs_are_in_hand(host: Host) -> None:
    """Else it is idle."""
    busy, idle = await host.worker(jobs=3), await host.worker()

    listed = await host.listed()

    assert (listed[busy.id].state, listed[busy.id].jobs_in_hand) == ("working", 3)
    assert listed[idle.id].state == "idle"


async def test_a_worker_says_how_much_memory_it_holds(host: Host) -> None:
    """In bytes, as the kernel counts them for its process."""
    worker = await host.worker()

    said = (await host.listed())[worker.id].rss_bytes

    assert said == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)


async def test_a_worker_says_how_much_cpu_time_it_has_used(host: Host) -> None:
    """In all since its process began, in seconds, and lately, as a share of one processor."""
    worker = await host.worker()
    before = (await host.listed())[worker.id]

    burned_s, took_s = burn_cpu(0.5)
    await worker.run_once()

    after = (await host.listed())[worker.id]
    assert after.cpu_s - before.cpu_s == pytest.approx(burned_s, abs=0.2)
    assert after.cpu_share == pytest.approx(burned_s / took_s, rel=0.5)


def burn_cpu(seconds: float) -> tuple[float, float]:
    """Keep a processor busy for so long; return how much time of it that was, and how long it took on the clock."""
    started_s, began_s = time.process_time(), time.monotonic()
    while time.process_time() - started_s < seconds:
        pass
    return time.process_time() - started_s, time.monotonic() - began_s


async def test_a_silent_worker_stalls_and_is_then_lost(host: Host) -> None:
    """A lost one is listed for an hour and does not count as living."""
    workers = {name: await host.worker() for name in ("heard", "stalled", "lost", "forgotten")}
    for name, silent_s in (("stalled", 10), ("lost", 20), ("forgotten", 3600)):
        await host.fall_silent(workers[name], silent_s)

    listed = await host.listed()
    living = {worker.id for worker in await living_workers(host.engine)}

    states = {name: listed[worker.id].state for name, worker in workers.items() if worker.id in listed}
    assert states == {"heard": "idle", "stalled": "stalled", "lost": "lost"}
    assert living == {workers["heard"].id, workers["stalled"].id}


async def test_the_dead_are_struck_off_the_list_by_their_neighbours(
    host: Host, dead_pid: int, young_pid: int, old_pid: int
) -> None:
    """Of a process that was killed nothing is left to look at; one that is frozen is still there."""
    killed, replaced, frozen = await host.worker(), await host.worker(), await host.worker()
    await host.fall_silent(killed, 10, dead_pid)
    await host.fall_silent(replaced, 3500, young_pid)  # a process that was not there yet has its number
    await host.fall_silent(frozen, 10, old_pid)

    neighbour = await host.worker()

    assert (await host.listed()).keys() == {frozen.id, neighbour.id}


async def test_a_worker_hears_with_its_next_beat_what_it_is_to_do(host: Host) -> None:
    """It alone, until that is taken back."""
    told, other = await host.worker(), await host.worker()

    count = await direct(host.engine, Whom(id=told.id), "quiet")
    for worker in (told, other):
        await worker.run_once()
    wishes = (told.wish, other.wish)
    await direct(host.engine, Whom(id=told.id), None)
    await told.run_once()

    assert (count, wishes, told.wish) == (1, ("quiet", None), None)


async def test_the_workers_of_a_host_or_all_are_told_together(host: Host) -> None:
    """Those that live."""
    workers = [await host.worker() for _ in range(3)]
    await host.fall_silent(workers[2], 20)
    async with host.ledger.admin() as admin:
        await admin.execute("UPDATE workers SET host = 'elsewhere' WHERE id = $1", workers[0].id)

    of_host = await direct(host.engine, Whom(host="elsewhere"), "stop")
    of_all = await direct(host.engine, Whom(), "quiet")

    assert (of_host, of_all) == (1, 2)


async def test_a_quiet_worker_says_so(host: Host) -> None:
    """As soon as it is."""
    worker = await host.worker(jobs=1)
    worker.is_quiet = True
    await worker.run_once()

    assert (await host.listed())[worker.id].state == "quiet"


class Stopped(Exception):
    """The worker has beaten often enough."""


class Beats(FixedClock):
    """Ends a heartbeat after so many beats."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._left = count

    async def sleep(self, seconds: float) -> None:
        self._left -= 1
        if not self._left:
            raise Stopped
        await super().sleep(seconds)


async def test_a_heart_beats_on_whatever_fails(host: Host) -> None:
    """Else a worker that works would look lost, and hear no more of what it is to do."""
    facts = iter([{"level": "A"}])

    def sandbox() -> dict[str, str]:
        if fact := next(facts, None):
            return fact
        raise KeyError("sandbox")

    heartbeat = Heartbeat(host.engine, Beats(3), sandbox)

    with pytest.raises(Stopped):
        await heartbeat.run()

    assert list(await host.listed()) == [heartbeat.id]


async def test_a_worker_that_leaves_is_listed_no_more(host: Host) -> None:
    """Nobody has to wait for it to be lost; a beat that comes late does not bring it back."""
    worker = await host.worker()

    await worker.leave()
    await worker.run_once()

    assert await host.listed() == {}
