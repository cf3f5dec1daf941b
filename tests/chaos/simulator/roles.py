"""The processes of the platform, put together from its own parts as the roots do it, over the stand-ins."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from rustok.db.failures import is_transient
from rustok.events.consumer import Consumer, ConsumerConfig
from rustok.events.hints import CoalescedHints, Sweep
from rustok.events.parking import RetryPolicy
from rustok.events.sequencer import Sequencer, SequencerConfig
from rustok.jobs.feeder import Feeder, FeederConfig, JobsMessage, Window
from rustok.jobs.rescuer import Rescuer
from rustok.jobs.runner import JobRunner, RunnerConfig
from rustok.jobs.scheduler import Scheduler
from rustok.kernel.errors import Unavailable
from rustok.runtime import LocalWake
from tests.chaos.simulator.bus import Bus, Message, Ready, Wanted
from tests.chaos.simulator.database import Database
from tests.chaos.simulator.job_store import SimulatedJobStore
from tests.chaos.simulator.log_stores import SimulatedConsumerStore, SimulatedSequencerStore
from tests.chaos.simulator.process import Process
from tests.chaos.simulator.schedule_store import SimulatedScheduleStore
from tests.chaos.simulator.session import Session, Wire
from tests.chaos.simulator.work import CONSUMERS, KINDS, QUEUE, SUBSCRIPTIONS, Api, Index, Jobs, Journal, Poison
from workers.actors import drain
from workers.bypass import Bypass, BypassConfig

SEQUENCER = SequencerConfig(batch=4, poll_min_s=0.05, poll_max_s=0.8, floor_interval_s=0.8)
FEEDER = FeederConfig(ids_a_message=3, messages=2, hint_lost_s=1.5, busy_poll_s=0.01, idle_poll_s=0.5)
CONSUMER = ConsumerConfig(
    batch=5, retries_a_batch=2, batches_a_drain=3, retry=RetryPolicy(attempts=3, first_delay_s=0.5, growth=2.0)
)
RUNNER = RunnerConfig(lease_s=2.0, renew_s=0.6, unavailable_delay_s=0.5)
BYPASS = BypassConfig(after_s=1.0, poll_s=0.5, jobs_at_a_time=3, looks_a_queue=2)
WINDOW = Window(8, 16)
"""Small figures: few events fill batches, windows and turns."""
_RECEIVERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the processes are made of. A seeded bug is another part."""

    sequencer_store: type[SimulatedSequencerStore] = SimulatedSequencerStore
    consumer_store: type[SimulatedConsumerStore] = SimulatedConsumerStore
    job_store: type[SimulatedJobStore] = SimulatedJobStore
    schedule_store: type[SimulatedScheduleStore] = SimulatedScheduleStore
    sweep: type[Sweep] = Sweep
    feeder: type[Feeder] = Feeder
    rescuer: type[Rescuer] = Rescuer
    consumer: type[Consumer] = Consumer
    api: type[Api] = Api
    index: type[Index] = Index
    journal: type[Journal] = Journal
    jobs: type[Jobs] = Jobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a process meets."""

    parts: Parts
    chance: random.Random
    database: Database
    bus: Bus
    poison: Poison
    wire_to_database: Callable[[Process], Wire]
    wire_to_redis: Callable[[Process], Wire]
    listen: Callable[[Process, LocalWake], None]

    def session(self, process: Process, *, is_durable: bool = True) -> Session:
        return Session(self.database, lambda: self.wire_to_database(process), is_durable=is_durable)

    def new_id(self) -> UUID:
        return UUID(int=self.chance.getrandbits(128))

    async def send(self, process: Process, messages: Sequence[Message]) -> None:
        """Send as the relay does. Raises Unavailable."""
        try:
            await self.wire_to_redis(process).call(lambda: self.bus.send(messages))
        except ConnectionError as error:
            raise Unavailable(f"Redis does not answer: {error}") from error


async def run_relay(process: Process, around: Surroundings) -> None:
    """As `workers.relay` does."""
    parts, clock, session = around.parts, process.clock, around.session(process)
    consumers, jobs = parts.consumer_store(session), parts.job_store(session, around.chance)
    wake, jobs_wake = LocalWake(), LocalWake()
    around.listen(process, wake)
    around.listen(process, jobs_wake)

    async def wake_consumers(names: Sequence[str]) -> None:
        await around.send(process, [Wanted(name) for name in names])

    async def hint_jobs(_queue: str, messages: Sequence[JobsMessage]) -> None:
        await around.send(process, [Ready(tuple(message.job_ids)) for message in messages])

    await _when_it_answers(lambda: consumers.prepare(CONSUMERS), process)
    hints = CoalescedHints(SUBSCRIPTIONS, wake_consumers, clock, LocalWake())
    services = (
        hints,
        parts.sweep(consumers, hints, clock),
        Sequencer(SEQUENCER, parts.sequencer_store(around.database, session), clock, wake, hints),
        parts.feeder(FEEDER, {QUEUE: WINDOW}, store=jobs, send=hint_jobs, clock=clock, wake=jobs_wake),
        parts.rescuer(jobs, clock, interval_s=0.5),
        Scheduler(KINDS, parts.schedule_store(session), clock, interval_s=0.5, new_id=around.new_id),
    )
    async with asyncio.TaskGroup() as tasks:
        for service in services:
            tasks.create_task(service.run())


async def run_worker(process: Process, around: Surroundings) -> None:
    """As `workers.main` does: receivers of messages, and the bypass."""
    parts, clock, session = around.parts, process.clock, around.session(process, is_durable=False)
    store = parts.consumer_store(session)
    index, journal = parts.index(around.poison), parts.journal(around.database, around.poison)
    consumers = {h.name: parts.consumer(CONSUMER, store, clock, h) for h in (index, journal)}
    jobs = parts.jobs(around.database, around.session(process), process, index)
    handlers = dict.fromkeys(KINDS, jobs)
    runner = JobRunner(RUNNER, parts.job_store(session, around.chance), handlers, clock, around.chance.uniform)
    bypass = Bypass(
        BYPASS,
        outage_s=lambda: around.bus.outage_s,
        consumers=consumers,
        checkpoints=store,
        runner=runner,
        queues=lambda: [QUEUE],
        clock=clock,
    )
    main = asyncio.current_task()
    assert main is not None

    async def leave() -> None:
        await runner.stop()
        main.cancel()

    process.on_sigterm = lambda: process.spawn(leave())

    async def consume(name: str) -> None:
        if await drain(consumers[name]):
            await around.send(process, [Wanted(name)])

    async def receive() -> None:
        while True:
            message = await around.bus.receive(process)
            try:
                await (consume(message.consumer) if isinstance(message, Wanted) else runner.work(message.job_ids))
            except Exception as error:
                if not is_transient(error):
                    raise

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(bypass.run())
        for _ in range(_RECEIVERS):
            tasks.create_task(receive())


async def _when_it_answers(prepare: Callable[[], Awaitable[None]], process: Process) -> None:
    while True:
        try:
            await prepare()
        except ConnectionError:
            await process.clock.sleep(1.0)
        else:
            return
