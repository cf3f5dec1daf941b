"""The feeder hints at what is ready, once, and again when a hint must have been lost."""

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain, islice, zip_longest
from uuid import UUID

import pytest

from rustok.jobs.feeder import Feeder, FeederConfig, JobsMessage, Window
from rustok.jobs.shares import Standing
from rustok.kernel.errors import Unavailable
from rustok.kernel.ids import uuid7
from rustok.kernel.ports import MadeJob
from rustok.runtime import LocalWake
from rustok.testing import FixedClock


class ReadyJobs:
    """Jobs of one queue that are ready until somebody leases them."""

    def __init__(self) -> None:
        self.waiting: dict[UUID, dict[UUID, None]] = {}
        """By tenant, in the order in which they are due."""
        self.tenant_of: dict[UUID, UUID] = {}
        self.leased: Counter[UUID] = Counter()
        self.weights: dict[UUID, float] = {}
        self.held: set[UUID] = set()
        """Tenants that are paused."""
        self.looks = 0

    @property
    def ids(self) -> list[UUID]:
        return [*chain(*self.waiting.values())]

    def add(self, tenant_id: UUID, count: int) -> list[UUID]:
        """Let a tenant have so many more jobs."""
        ids = [uuid7() for _ in range(count)]
        self.waiting.setdefault(tenant_id, {}).update(dict.fromkeys(ids))
        self.tenant_of.update(dict.fromkeys(ids, tenant_id))
        return ids

    def is_waiting(self, job_id: UUID) -> bool:
        return job_id in self.waiting[self.tenant_of[job_id]]

    def lease(self, job_id: UUID) -> UUID:
        """Lease a job and return whose it is."""
        tenant_id = self.tenant_of[job_id]
        del self.waiting[tenant_id][job_id]
        self.leased[tenant_id] += 1
        return tenant_id

    async def ready(
        self, queue: str, except_ids: Collection[UUID], limit: int, limit_a_tenant: int
    ) -> Sequence[tuple[UUID, UUID]]:
        assert queue == "sums"
        self.looks += 1
        served = [ids for tenant_id, ids in self.waiting.items() if tenant_id not in self.held]
        others = [(job_id for job_id in ids if job_id not in except_ids) for ids in served]
        turns = zip_longest(*[islice(ids, limit_a_tenant) for ids in others])
        found = (job_id for job_id in chain(*turns) if job_id is not None)
        return [(job_id, self.tenant_of[job_id]) for job_id in islice(found, limit)]

    async def still_ready(self, ids: Collection[UUID]) -> Mapping[UUID, bool]:
        return {job_id: self.tenant_of[job_id] not in self.held for job_id in ids if self.is_waiting(job_id)}

    async def standings(self, queue: str) -> Mapping[UUID, Standing]:
        assert queue == "sums"
        return {
            tenant_id: Standing(self.leased[tenant_id], self.weights.get(tenant_id, 1.0)) for tenant_id in self.waiting
        }


class OneQueueIsBusy(ReadyJobs):
    """There is always one more job in the queue `busy`; `looked_at` says which queues were looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_at: list[str] = []
        self._tenant_id = uuid7()

    async def ready(
        self,
        queue: str,
        except_ids: Collection[UUID],  # noqa: ARG002 - the port has it
        limit: int,  # noqa: ARG002
        limit_a_tenant: int,  # noqa: ARG002
    ) -> Sequence[tuple[UUID, UUID]]:
        self.looked_at.append(queue)
        ids = self.add(self._tenant_id, 1) if queue == "busy" else []
        return [(job_id, self._tenant_id) for job_id in ids]


class Sent:
    """Takes messages; refuses them while `is_away`."""

    def __init__(self) -> None:
        self.messages: list[list[UUID]] = []
        self.express: set[UUID] = set()
        """Jobs that were hinted at by the express lane."""
        self.is_away = False
        self.before: Callable[[], None] = lambda: None

    async def __call__(self, _queue: str, messages: Sequence[JobsMessage]) -> None:
        self.before()
        if self.is_away:
            raise Unavailable("Redis is away")
        self.messages += [list(message.job_ids) for message in messages]
        self.express.update(*(message.job_ids for message in messages if message.express))


class Fed:
    """A feeder between `jobs` and `sent`."""

    def __init__(self, *counts: int) -> None:
        self.tenants = [uuid7() for _ in counts]
        self.jobs, self.sent, self.clock = ReadyJobs(), Sent(), FixedClock()
        self.made: deque[MadeJob] = deque()
        for tenant_id, count in zip(self.tenants, counts, strict=True):
            self.jobs.add(tenant_id, count)
        self.feeder = Feeder(
            FeederConfig(ids_a_message=10, messages=4, parts=8),
            {"sums": Window(40, 400)},
            store=self.jobs,
            send=self.sent,
            clock=self.clock,
            wake=LocalWake(),
            made=self.made,
        )


async def test_what_is_ready_is_hinted_at_once() -> None:
    """A second look finds nothing to say."""
    fed = Fed(3)

    counts = [await fed.feeder.run_once(), await fed.feeder.run_once()]

    assert (counts, [*chain(*fed.sent.messages)]) == ([3, 0], fed.jobs.ids)


@pytest.mark.parametrize(("ready", "sizes"), [(1, [1]), (4, [1, 1, 1, 1]), (8, [2, 2, 2, 2]), (60, [10, 10, 10, 10])])
async def test_few_jobs_are_spread_and_many_share_messages(ready: int, sizes: list[int]) -> None:
    """So several workers have something to do, and a backlog costs few messages; the window bounds it."""
    fed = Fed(ready)

    await fed.feeder.run_once()

    assert [len(message) for message in fed.sent.messages] == sizes


async def test_the_window_moves_on_as_jobs_are_leased() -> None:
    """What nobody has taken up yet is not piled up; for a few places that came free nobody looks."""
    fed = Fed(80)
    await fed.feeder.run_once()

    sent = []
    for _ in range(3):
        for job_id in fed.jobs.ids[:15]:
            fed.jobs.lease(job_id)
        sent.append(await fed.feeder.run_once())

    assert sent == [0, 30, 0]


async def worked_for_a_second(fed: Fed, taken: int) -> int:
    """Take up so many hints each 10 ms, for a second; return how many were on their way at most."""
    most = 0
    for _ in range(100):
        await fed.feeder.run_once()
        waiting = [job_id for message in fed.sent.messages for job_id in message if fed.jobs.is_waiting(job_id)]
        most = max(most, len(waiting))
        for job_id in waiting[:taken]:
            fed.jobs.lease(job_id)
        fed.clock.advance(0.01)
    return most


@pytest.mark.parametrize(
    ("taken", "hints"),
    [
        pytest.param(10, 250, id="a quarter of a second of quick jobs"),
        pytest.param(1, 40, id="of slow ones it would be less than the window"),
        pytest.param(50, 400, id="of very quick ones more than its largest"),
    ],
)
async def test_the_window_of_who_is_alone_grows_with_what_is_taken_up(taken: int, hints: int) -> None:
    """So it holds down neither the rate of quick jobs nor that of many workers."""
    assert 0.9 * hints <= await worked_for_a_second(Fed(8000), taken) <= 1.1 * hints


async def test_beside_others_the_window_is_as_small_as_ever() -> None:
    """Nobody waits behind four times as many, whose turn it is or not."""
    assert await worked_for_a_second(Fed(*[400] * 20), 10) <= 40


@pytest.mark.parametrize("is_told", [False, True])
async def test_whoever_comes_after_a_flood_that_came_to_a_halt_is_not_kept_waiting(*, is_told: bool) -> None:
    """A hundred hints and more of the flood are on their way, and nobody takes them up."""
    fed = Fed(8000, 0)
    await worked_for_a_second(fed, 10)
    fed.clock.advance(0.3)

    [newcomer] = fed.jobs.add(fed.tenants[1], 1)
    if is_told:
        fed.made.append(MadeJob("sums", newcomer, fed.tenants[1]))
    await fed.feeder.run_once()

    assert newcomer in fed.sent.messages[-1]


async def test_a_lost_hint_is_sent_again() -> None:
    """Redis may forget whatever it was told."""
    fed = Fed(1)
    await fed.feeder.run_once()

    fed.clock.advance(FeederConfig().hint_lost_s + 1)
    await fed.feeder.run_once()

    assert fed.sent.messages == [fed.jobs.ids, fed.jobs.ids]


async def test_hints_that_cannot_be_sent_are_sent_by_the_next_look() -> None:
    """They count for nothing: neither as on their way, nor against the tenant whose hints nobody takes up."""
    fed = Fed(1)
    fed.sent.is_away = True
    with pytest.raises(Unavailable):
        await fed.feeder.run_once()
    fed.sent.is_away = False

    await fed.feeder.run_once()

    assert fed.sent.messages == [fed.jobs.ids]


async def test_a_job_that_the_feeder_was_told_of_is_hinted_at_before_it_looks() -> None:
    """Whoever waits for it does not wait for the look; which finds nothing more to say."""
    fed = Fed(1)
    [job_id] = fed.jobs.ids
    fed.made.append(MadeJob("sums", job_id, fed.tenants[0]))
    looks_before: list[int] = []
    fed.sent.before = lambda: looks_before.append(fed.jobs.looks)

    sent = await fed.feeder.run_once()

    assert (sent, fed.sent.messages, looks_before) == (1, [[job_id]], [0])


async def test_a_job_that_the_feeder_was_told_of_waits_for_its_turn() -> None:
    """While hints of its tenant are on their way others may be before it: those that are due for longer."""
    fed = Fed(60, 1)
    await fed.feeder.run_once()
    fed.sent.messages.clear()
    [job_id] = fed.jobs.add(fed.tenants[0], 1)
    fed.made.append(MadeJob("sums", job_id, fed.tenants[0]))

    await fed.feeder.run_once()

    assert fed.sent.messages == []


async def test_a_job_that_the_feeder_was_told_of_does_not_wait_for_a_flood() -> None:
    """Its tenant has nothing on its way, and is not kept waiting until the next look for such tenants."""
    fed = Fed(60, 0)
    await fed.feeder.run_once()
    fed.sent.messages.clear()
    [job_id] = fed.jobs.add(fed.tenants[1], 1)
    fed.made.append(MadeJob("sums", job_id, fed.tenants[1]))
    looks = fed.jobs.looks
    looks_before: list[int] = []
    fed.sent.before = lambda: looks_before.append(fed.jobs.looks)

    await fed.feeder.run_once()

    assert (fed.sent.messages, looks_before) == ([[job_id]], [looks])


class Crowd(Fed):
    """A feeder beside workers that do so many jobs at a time, in the order of the hints; each tenant's take as long."""

    def __init__(self, counts: Sequence[int], seconds_a_job: Sequence[float], *, slots: int = 8) -> None:
        super().__init__(*counts)
        self.seconds_a_job = dict(zip(self.tenants, seconds_a_job, strict=True))
        self.slots = slots
        self.hints: dict[UUID, None] = {}
        self.running: list[tuple[float, UUID]] = []
        self.unable: set[UUID] = set()
        """Whose jobs the workers cannot do."""

    async def work(self, seconds: float) -> list[float]:
        """Let time pass in steps of 10 ms; return how many worker-seconds each tenant's jobs have taken in it."""
        used_s = dict.fromkeys(self.tenants, 0.0)
        for _ in range(round(seconds / 0.01)):
            await self.feeder.run_once()
            self._end()
            self._begin()
            for _, tenant_id in self.running:
                used_s[tenant_id] += 0.01
            self.clock.advance(0.01)
        return list(used_s.values())

    def _end(self) -> None:
        now_s = self.clock.monotonic_s() + 0.001
        self.jobs.leased.subtract(tenant_id for ends_s, tenant_id in self.running if ends_s <= now_s)
        self.running = [job for job in self.running if job[0] > now_s]

    def _begin(self) -> None:
        self.hints.update(dict.fromkeys(chain(*self.sent.messages)))
        self.sent.messages.clear()
        able = (job_id for job_id in self.hints if self.jobs.tenant_of[job_id] not in self.unable)
        for job_id in [*islice(able, self.slots - len(self.running))]:
            del self.hints[job_id]
            tenant_id = self.jobs.lease(job_id)
            self.running.append((self.clock.monotonic_s() + self.seconds_a_job[tenant_id], tenant_id))


async def test_slow_jobs_and_quick_ones_get_the_same_time() -> None:
    """By turns the slow ones would get fifty times as much; the workers are busy all the same."""
    crowd = Crowd([200, 9000], [0.5, 0.01])

    await crowd.work(4)
    slow, quick = await crowd.work(10)

    assert slow == pytest.approx(quick, rel=0.2)
    assert slow + quick > 0.9 * 8 * 10


async def test_time_is_shared_by_weight() -> None:
    """Three to one, for jobs of any length."""
    crowd = Crowd([300, 2000], [0.5, 0.05])
    crowd.jobs.weights[crowd.tenants[0]] = 3.0

    await crowd.work(4)
    heavy, light = await crowd.work(10)

    assert heavy / light == pytest.approx(3, rel=0.2)


async def test_what_comes_beside_a_flood_waits_behind_a_part_of_the_window() -> None:
    """Whoever is alone may fill it."""
    crowd = Crowd([500, 1], [0.1, 0.1])
    await crowd.work(1)

    [late] = crowd.jobs.add(crowd.tenants[1], 1)
    await crowd.feeder.run_once()

    ahead = [*crowd.hints, *chain(*crowd.sent.messages)]
    assert late in ahead
    assert ahead.index(late) <= 40 / FeederConfig().parts


async def test_a_part_of_the_window_is_few_messages() -> None:
    """Whoever comes next waits for a thread that takes a message, however many jobs it names."""
    fed = Fed(500, 500)

    await fed.feeder.run_once()
    await fed.feeder.run_once()

    sizes = [len(message) for message in fed.sent.messages if fed.sent.express.isdisjoint(message)]
    assert sizes == [3, 3]
    assert Counter(fed.jobs.tenant_of[job_id] for job_id in chain(*fed.sent.messages)) == dict.fromkeys(fed.tenants, 5)


async def test_time_that_was_not_used_is_not_saved_up() -> None:
    """Whoever comes after a long while shares from then on."""
    crowd = Crowd([2000, 1], [0.1, 0.1])
    await crowd.work(10)

    crowd.jobs.add(crowd.tenants[1], 1000)
    first, second = await crowd.work(5)

    assert second == pytest.approx(first, rel=0.2)


async def test_who_cannot_use_its_turns_holds_up_nobody_for_long() -> None:
    """No worker that is there can do its jobs."""
    crowd = Crowd([2000, 30], [0.1, 0.1])
    crowd.unable.add(crowd.tenants[1])

    await crowd.work(6)
    able, unable = await crowd.work(5)

    assert (able > 0.9 * 8 * 5, unable) == (True, 0)


async def test_a_hint_that_a_pause_made_void_is_no_job_that_has_begun() -> None:
    """Its place comes free at once, and its tenant is charged nothing: it has its turn when it may begin again."""
    fed = Fed(1000, 1000)
    _, often_paused = fed.tenants

    for _ in range(30):
        await fed.feeder.run_once()
        fed.jobs.held = {often_paused}
        await fed.feeder.run_once()
        fed.jobs.held.clear()
    fed.sent.messages.clear()
    await fed.feeder.run_once()

    assert {fed.jobs.tenant_of[job_id] for job_id in chain(*fed.sent.messages)} == {often_paused}


async def test_a_tenant_with_next_to_nothing_in_flight_goes_by_the_express_lane() -> None:
    """A flood holds all threads of the other one; what has more in flight than that is a flood of its own."""
    crowd = Crowd([500, 1], [0.1, 0.1])
    await crowd.work(1)
    crowd.sent.express.clear()

    late = crowd.jobs.add(crowd.tenants[1], 3)
    await crowd.feeder.run_once()

    assert crowd.sent.express == {*late[:2]}


async def test_a_window_that_others_have_filled_has_room_for_a_newcomer() -> None:
    """Were it to wait until the half of it is taken up, it would wait for their slowest jobs."""
    fed = Fed(100, 0)
    await fed.feeder.run_once()
    fed.sent.messages.clear()

    late = fed.jobs.add(fed.tenants[1], 9)
    fed.clock.advance(FeederConfig().newcomers_s)
    await fed.feeder.run_once()

    assert fed.sent.messages == [late[:1]]


async def test_a_tenant_that_is_alone_has_one_lane() -> None:
    """There is nobody to be overtaken."""
    fed = Fed(5)

    await fed.feeder.run_once()

    assert not fed.sent.express


async def test_what_nobody_takes_from_the_express_lane_goes_by_the_other_one() -> None:
    """Workers of an older release do not listen there."""
    fed = Fed(1, 1)
    await fed.feeder.run_once()
    before = {*fed.sent.express}
    fed.sent.express.clear()

    fed.clock.advance(FeederConfig().hint_lost_s + 1)
    await fed.feeder.run_once()

    assert (before, fed.sent.express) == ({*fed.jobs.ids}, set())
    assert [*chain(*fed.sent.messages)] == 2 * fed.jobs.ids


async def test_newcomers_cannot_pile_up_beyond_twice_the_window() -> None:
    """However many tenants come at the same moment, nobody waits behind all of them."""
    fed = Fed(*[1] * 200)

    for _ in range(50):
        fed.clock.advance(FeederConfig().newcomers_s)
        await fed.feeder.run_once()

    assert 80 <= len([*chain(*fed.sent.messages)]) <= 85


async def test_long_jobs_are_never_express() -> None:
    """They would keep those waiting that come after them, as a flood does."""
    crowd = Crowd([30, 30], [0.05, 3.0])
    await crowd.work(4)
    crowd.sent.express.clear()

    await crowd.work(4)

    assert {crowd.jobs.tenant_of[job_id] for job_id in crowd.sent.express} <= {crowd.tenants[0]}


async def test_the_queue_that_had_work_last_is_looked_at_first() -> None:
    """Its next job does not wait for looks at queues that have none."""
    jobs = OneQueueIsBusy()
    feeder = Feeder(
        FeederConfig(),
        dict.fromkeys(["idle", "busy"], Window(4, 4)),
        store=jobs,
        send=Sent(),
        clock=FixedClock(),
        wake=LocalWake(),
    )
    await feeder.run_once()

    await feeder.run_once()

    assert jobs.looked_at == ["idle", "busy", "busy", "idle"]
