"""Two releases side by side, as in a rolling restart: what one does not know waits for the other, in order."""

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

import pytest
from sqlalchemy import text

from rustok.db.transaction import run_alone
from rustok.events.consumer import Consumer, ConsumerConfig
from rustok.events.dead_letters import Choice
from rustok.events.newer_events import give_back_aggregates, take_up_aggregates
from rustok.events.store import PostgresConsumerStore
from rustok.jobs.dead_letters import DeadLetter, each_dead_letter
from rustok.jobs.runner import JobRunner, RunnerConfig
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.event import Event, LoggedEvent
from rustok.runtime import SystemClock
from tests.integration.events.log import TENANT, Log, Wound, redrive, wind
from workers.newcomer import Newcomer

NAME = "clocks.diary"
OLD, NEW = frozenset({"clocks.clock.wound.v1"}), frozenset({"clocks.clock.wound.v1", "clocks.clock.wound.v2"})

_ENTER = text("INSERT INTO diary (clock, version) VALUES (:clock, :version)")
_SECONDS_PASS = text("UPDATE parked_aggregates SET due_at = due_at - make_interval(secs => :seconds)")
_DIARY = text("SELECT clock, version FROM diary ORDER BY number")


class WoundAnew(Event):
    """A clock was wound, as the newer release says it."""

    type: ClassVar = Wound.type
    version: ClassVar = 2
    aggregate: ClassVar = "clock"
    example: ClassVar = {}


class Diary:
    """What consumers of both releases write into."""

    name = NAME
    subscribes: tuple[str, ...] = ("clocks.*",)

    async def handle(self, transaction: Any, events: Sequence[LoggedEvent]) -> None:
        for event in events:
            envelope = event.envelope
            await transaction.execute(_ENTER, {"clock": envelope.aggregate_id, "version": envelope.aggregate_version})


class Release:
    """A worker of one release."""

    def __init__(self, log: Log, known: frozenset[str]) -> None:
        engine, clock = log.workers_engine, SystemClock()
        self.log, self.known = log, known
        self.store = PostgresConsumerStore(engine, known)
        self.consumer = Consumer(ConsumerConfig(batch=7), self.store, clock, Diary(), known=known)
        self.newcomer = Newcomer(
            engine,
            consumers={NAME: self.consumer},
            known=known,
            runner=JobRunner(RunnerConfig(), PostgresJobStore(engine), {}, clock),
            kinds=list,
            is_quiet=lambda: False,
            clock=clock,
        )

    async def drain(self) -> None:
        while (await self.log.answered(self.consumer.drain)).has_more:
            pass

    async def take_up_events(self) -> None:
        await self.log.answered(self.newcomer.take_up_events)
        if self.log.failing_engine:
            await self.drain()  # what a lost answer has left to the sweep


class Rollout:
    """The old release, the new one, and clocks that both write about."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.old, self.new = Release(log, OLD), Release(log, NEW)

    async def write(self, *clocks: UUID, event: Event | None = None) -> None:
        for clock in clocks:
            async with self.log.begin() as uow:
                await wind(uow, clock, event=event or Wound())
        await self.log.sequence_all()

    async def diary(self) -> dict[UUID, list[int]]:
        """Return the versions that took effect, by clock, in order."""
        found: dict[UUID, list[int]] = {}
        for row in await run_alone(self.log.system_engine, _DIARY):
            found.setdefault(row.clock, []).append(row.version)
        return found

    async def letters(self) -> list[DeadLetter]:
        return await each_dead_letter(self.log.system_engine, Choice())


@pytest.fixture
async def rollout(log: Log) -> Rollout:
    async with log.admin() as admin:
        await admin.execute("DROP TABLE IF EXISTS diary")
        await admin.execute("CREATE TABLE diary (number bigserial, clock uuid, version bigint)")
        await admin.execute("GRANT ALL ON diary, diary_number_seq TO rustok_system")
    rollout = Rollout(log)
    await PostgresConsumerStore(log.system_engine, NEW).prepare([NAME])
    return rollout


@pytest.mark.under_fire
async def test_what_the_old_release_does_not_know_waits_and_uses_no_attempt(rollout: Rollout) -> None:
    """With all that comes after it in its aggregate; others flow."""
    one, other = await rollout.log.create_clocks(2)
    await rollout.write(one, other)
    await rollout.write(one, event=WoundAnew())
    await rollout.write(one, other)

    await rollout.old.drain()

    [letter] = await rollout.letters()
    assert await rollout.diary() == {one: [1], other: [1, 2]}
    assert (letter.id, letter.state, letter.attempts, letter.waiting_events) == (one, "needs_version", 0, 2)
    assert letter.error == "This release does not know clocks.clock.wound.v2."


@pytest.mark.under_fire
async def test_the_new_release_takes_it_up_by_itself_and_in_order(rollout: Rollout) -> None:
    """From the first event that waits to the last one."""
    [clock] = await rollout.log.create_clocks(1)
    await rollout.write(clock)
    await rollout.write(clock, event=WoundAnew())
    await rollout.write(clock)
    await rollout.old.drain()

    await rollout.new.take_up_events()

    assert (await rollout.diary(), await rollout.letters()) == ({clock: [1, 2, 3]}, [])


async def test_the_old_release_leaves_alone_what_the_new_one_has_taken_up(rollout: Rollout) -> None:
    """It neither takes it up, nor tries it, nor finds that there is something to do."""
    [clock] = await rollout.log.create_clocks(1)
    await rollout.write(clock, event=WoundAnew())
    await rollout.old.drain()
    engine = rollout.log.system_engine

    taken_by_old = await take_up_aggregates(engine, [NAME], OLD, 10)
    taken_by_new = await take_up_aggregates(engine, [NAME], NEW, 10)
    counts = await rollout.old.consumer.run_once()
    behind = [await release.store.behind(SystemClock().now()) for release in (rollout.old, rollout.new)]
    await rollout.new.drain()

    assert (taken_by_old, taken_by_new, counts, behind) == (set(), {NAME}, None, [[], [NAME]])
    assert await rollout.diary() == {clock: [1]}


@pytest.mark.under_fire
async def test_a_redrive_is_not_for_what_has_not_failed(rollout: Rollout) -> None:
    """It would only wait in another way."""
    [clock] = await rollout.log.create_clocks(1)
    await rollout.write(clock, event=WoundAnew())
    await rollout.old.drain()

    assert await redrive(rollout.log.system_engine, TENANT) == 0


@pytest.mark.under_fire
async def test_what_a_release_took_up_that_is_gone_waits_for_the_next_one(rollout: Rollout) -> None:
    """It was taken back before it came to it: the old one makes it needs_version again, for all to see, and to discard.

    Not at once: until a minute has passed the new one may be about to handle it.
    """
    [clock] = await rollout.log.create_clocks(1)
    await rollout.write(clock, event=WoundAnew())
    await rollout.old.drain()
    await take_up_aggregates(rollout.log.system_engine, [NAME], NEW, 10)

    states = []
    for passed_s in (50, 11):
        await run_alone(rollout.log.system_engine, _SECONDS_PASS, {"seconds": passed_s})
        await rollout.old.take_up_events()
        states += [letter.state for letter in await rollout.letters()]

    assert states == ["retrying", "needs_version"]


@pytest.mark.under_fire
async def test_a_release_gives_nothing_back_that_it_knows(rollout: Rollout) -> None:
    """It may have had no time yet, or have failed at it."""
    known, failed = await rollout.log.create_clocks(2)
    await rollout.write(known, failed, event=WoundAnew())
    await rollout.old.drain()
    engine = rollout.log.system_engine
    await take_up_aggregates(engine, [NAME], NEW, 10)
    await run_alone(engine, _SECONDS_PASS, {"seconds": 3600})

    given_back = await give_back_aggregates(engine, NEW, 10)

    assert (given_back, {letter.state for letter in await rollout.letters()}) == (0, {"retrying"})


@pytest.mark.under_fire
async def test_a_rolling_restart_loses_nothing_and_keeps_the_order(rollout: Rollout) -> None:
    """Workers of both releases read the same log at the same time, while both kinds of events come."""
    clocks = await rollout.log.create_clocks(12)
    for turn in range(4):
        await rollout.write(*clocks[turn::2], event=WoundAnew())
        await rollout.write(*clocks)
        await asyncio.gather(rollout.old.drain(), rollout.new.take_up_events(), rollout.new.drain())
        await asyncio.gather(rollout.old.drain(), rollout.new.take_up_events())

    await rollout.new.drain()  # the old release has gone
    await rollout.new.take_up_events()

    assert await rollout.letters() == []
    assert await rollout.diary() == {clock: list(range(1, await rollout.log.version_of(clock) + 1)) for clock in clocks}
