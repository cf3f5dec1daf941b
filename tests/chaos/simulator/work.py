"""What the simulated platform does: things are changed, a consumer indexes them, another one asks for jobs."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from uuid import UUID, uuid5

from rustok.events.consumer import AggregatesFailed
from rustok.jobs.ledger import Asker, Leased, NewJob
from rustok.kernel.event import AggregateKey, Envelope, LoggedEvent
from rustok.kernel.module import JobKind
from tests.chaos.simulator.database import Database, Transaction
from tests.chaos.simulator.job_store import enqueue, finish
from tests.chaos.simulator.log_stores import stage
from tests.chaos.simulator.process import Process
from tests.chaos.simulator.session import OpenTransaction, Session

INDEX, JOURNAL = "things.index", "things.journal"
CONSUMERS = (INDEX, JOURNAL)
CHANGED = "things.thing.changed"
SUBSCRIPTIONS: Mapping[str, Sequence[str]] = {INDEX: ("things.thing.*",), JOURNAL: (CHANGED,)}

QUEUE = "things"
COUNT = JobKind(name="things.count", summary="Counts", queue=QUEUE, max_attempts=1000)
RAISE = JobKind(name="things.raise", summary="Raises each time", queue=QUEUE, max_attempts=3)
EXIT = JobKind(name="things.exit", summary="Kills its worker each time", queue=QUEUE, max_attempts=2)
REBUILD = JobKind(name="things.rebuild", summary="Indexes everything again", queue=QUEUE, max_attempts=1000)
TICK = JobKind(name="things.tick", summary="Is due again and again", queue=QUEUE, max_attempts=1000)
KINDS = {kind.name: kind for kind in (COUNT, RAISE, EXIT, REBUILD, TICK)}

TENANTS = (UUID(int=1), UUID(int=2))
KEYS = tuple(AggregateKey(TENANTS[number % 2], UUID(int=100 + number)) for number in range(5))

FOR_EVER = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A change of a thing. Its event may be one that a consumer *cannot* digest so many times."""

    id: UUID
    key: AggregateKey
    value: int
    kind: JobKind
    work_s: float
    after_s: float
    """How long its client waits before it asks for it."""
    pause_s: float = 0.0
    """How long its transaction stays open."""
    rolls_back: bool = False
    cannot: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    version: int
    value: int


@dataclass(frozen=True, slots=True)
class Document:
    version: int
    value: int


@dataclass(frozen=True, slots=True)
class Effect:
    """Something was done because of an event: by a consumer, or by the job that it asked for."""

    by: str
    event_id: UUID
    key: AggregateKey
    version: int


class RolledBack(Exception):
    """The command was refused: nothing of it may be seen."""


class Poison:
    """Lets consumers choke on some values, so many times each."""

    def __init__(self, commands: Sequence[Command]) -> None:
        self._left = {(consumer, c.value): times for c in commands for consumer, times in c.cannot.items()}

    def check(self, consumer: str, value: int) -> None:
        left = self._left.get((consumer, value), 0)
        if left:
            self._left[consumer, value] = left - 1
            raise ValueError(f"{consumer} cannot digest {value}")


class Api:
    """Changes things, one transaction a command."""

    def __init__(self, database: Database, session: Session, chance: random.Random) -> None:
        self._database = database
        self._session = session
        self._chance = chance

    async def write(self, command: Command) -> None:
        """Do *command* once, however often it is called. Raises RolledBack, or what the connection raises."""
        async with self._session.begin() as transaction:
            if await transaction.run(partial(self._change, command)):
                return
            await asyncio.sleep(command.pause_s)
            if command.rolls_back:
                raise RolledBack

    def _change(self, command: Command, transaction: Transaction) -> bool:
        """Return whether it was done before."""
        transaction.lock("answers", command.id)
        if self._was_done(transaction, command):
            return True
        transaction.lock("sources", command.key)
        source: Source = transaction.get("sources", command.key) or Source(0, 0)
        changed = Source(source.version + 1, command.value)
        transaction.put("sources", command.key, changed)
        transaction.put("answers", command.id, command)
        self._stage(transaction, self._envelope(command, changed, transaction.now))
        return False

    def _was_done(self, transaction: Transaction, command: Command) -> bool:
        return transaction.get("answers", command.id) is not None

    def _stage(self, transaction: Transaction, envelope: Envelope) -> None:
        stage(self._database, transaction, envelope)

    def _envelope(self, command: Command, source: Source, now: datetime) -> Envelope:
        return Envelope(
            event_id=UUID(int=self._chance.getrandbits(128)),
            type=CHANGED,
            schema_version=1,
            tenant_id=command.key.tenant_id,
            aggregate_type="thing",
            aggregate_id=command.key.aggregate_id,
            aggregate_version=source.version,
            correlation_id=command.id,
            causation_id=command.id,
            traceparent=None,
            actor="simulator",
            occurred_at=now,
            payload={"value": source.value, "kind": command.kind.name, "work_s": command.work_s},
        )


class Index:
    """The projection: locks the document, then reads the source, then writes."""

    name = INDEX
    subscribes = tuple(SUBSCRIPTIONS[INDEX])

    def __init__(self, poison: Poison) -> None:
        self._poison = poison

    async def handle(self, transaction: OpenTransaction, events: Sequence[LoggedEvent]) -> None:
        failures = await self.project(transaction, sorted({event.envelope.key for event in events}))
        if failures:
            raise AggregatesFailed(failures)

    async def project(
        self, transaction: OpenTransaction, keys: Sequence[AggregateKey]
    ) -> Mapping[AggregateKey, Exception]:
        """Bring documents up to their sources, and return those of which none can be made."""
        sources = await self._lock_and_read(transaction, keys)
        failures: dict[AggregateKey, Exception] = {}
        for key, source in sources.items():
            try:
                self._poison.check(INDEX, source.value)
            except ValueError as error:
                failures[key] = error
        built = {key: source for key, source in sources.items() if key not in failures}
        await transaction.run(partial(self._write_documents, built))
        return failures

    async def _lock_and_read(
        self, transaction: OpenTransaction, keys: Sequence[AggregateKey]
    ) -> Mapping[AggregateKey, Source]:
        await transaction.run(partial(lock_documents, keys))
        return await transaction.run(partial(read_sources, keys))

    def _write_documents(self, sources: Mapping[AggregateKey, Source], transaction: Transaction) -> None:
        for key, source in sources.items():
            if self._is_news(source, transaction.get("documents", key)):
                transaction.put("documents", key, Document(source.version, source.value))

    def _is_news(self, source: Source, document: Document | None) -> bool:
        return document is None or document.version < source.version


class Journal:
    """Notes each event and asks for its job, whose id is made of the event's."""

    name = JOURNAL
    subscribes = tuple(SUBSCRIPTIONS[JOURNAL])

    def __init__(self, database: Database, poison: Poison) -> None:
        self._database = database
        self._poison = poison

    async def handle(self, transaction: OpenTransaction, events: Sequence[LoggedEvent]) -> None:
        for event in events:
            self._poison.check(JOURNAL, event.envelope.payload["value"])
        await transaction.run(partial(self._note, events))

    def _note(self, events: Sequence[LoggedEvent], transaction: Transaction) -> None:
        for event in events:
            note(self._database, transaction, JOURNAL, event.envelope)
        self._ask(transaction, [(_asker(event.envelope), job_of(event.envelope)) for event in events])

    def _ask(self, transaction: Transaction, jobs: Sequence[tuple[Asker, NewJob]]) -> None:
        enqueue(transaction, jobs)


class Jobs:
    """Does a job and ends it in the transaction that has its effect."""

    def __init__(self, database: Database, session: Session, process: Process, index: Index) -> None:
        self._database = database
        self._session = session
        self._process = process
        self._index = index

    async def __call__(self, job: Leased) -> None:
        await self._process.clock.sleep(job.args["work_s"])
        if job.kind == RAISE.name:
            raise ValueError("this job cannot be done")
        if job.kind == EXIT.name:
            self._process.kill()
            await asyncio.get_running_loop().create_future()
        await self.end(job)

    async def end(self, job: Leased) -> None:
        async with self._session.begin() as transaction:
            await self._take_effect(transaction, job)
            await transaction.run(partial(self._finish, job))

    def _finish(self, job: Leased, transaction: Transaction) -> None:
        finish(transaction, job)

    async def _take_effect(self, transaction: OpenTransaction, job: Leased) -> None:
        if job.kind == REBUILD.name:
            await self._index.project(transaction, KEYS)
        elif job.kind != TICK.name:
            await transaction.run(partial(self._count, job))

    def _count(self, job: Leased, transaction: Transaction) -> None:
        envelope: Envelope = job.args["event"]
        note(self._database, transaction, job.kind, envelope)


def note(database: Database, transaction: Transaction, by: str, envelope: Envelope) -> None:
    effect = Effect(by, envelope.event_id, envelope.key, envelope.aggregate_version)
    transaction.put("effects", database.next_number("effects"), effect)


def job_of(envelope: Envelope) -> NewJob:
    args = {"event": envelope, "work_s": envelope.payload["work_s"]}
    return NewJob(kind=KINDS[envelope.payload["kind"]], args=args, id=uuid5(envelope.event_id, JOURNAL))


def _asker(envelope: Envelope) -> Asker:
    return Asker(
        tenant_id=envelope.tenant_id,
        actor=envelope.actor,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.event_id,
    )


def lock_documents(keys: Sequence[AggregateKey], transaction: Transaction) -> None:
    for key in keys:
        transaction.lock("documents", key)


def read_sources(keys: Sequence[AggregateKey], transaction: Transaction) -> dict[AggregateKey, Source]:
    return {key: source for key in keys if (source := transaction.get("sources", key))}
