"""A consumer reads what lies after its checkpoints, one a shard, and commits effects and checkpoints together.

An event that cannot be handled parks its aggregate: later events of that aggregate wait behind it in the
log, in order, and everything else flows.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import structlog

from rustok.db.failures import describe, is_transient
from rustok.events.parking import Parked, RetryPolicy, awaiting_release
from rustok.kernel.event import AggregateKey, LoggedEvent, matches
from rustok.kernel.ports import Clock
from rustok.telemetry.logging import chain_of

log = structlog.get_logger(__name__)

Failures = Mapping[AggregateKey, Exception]


class AggregatesFailed(Exception):
    """A handler could not handle some aggregates of a batch, and knows which."""

    def __init__(self, failures: Failures) -> None:
        super().__init__(", ".join(f"{key.aggregate_id}: {error}" for key, error in failures.items()))
        self.failures = failures


class Handler(Protocol):
    """What a consumer does with events. Effects go through *transaction* only, so they commit with it."""

    name: str
    subscribes: tuple[str, ...]

    async def handle(self, transaction: Any, events: Sequence[LoggedEvent]) -> None:
        """Apply *events*, which are in log order.

        Raises:
            AggregatesFailed: these aggregates cannot be handled.
            Exception: something went wrong; the consumer finds out for which aggregate.

        """


@dataclass(frozen=True, slots=True)
class Batch:
    """The next events of the claimed shards, in log order."""

    events: Sequence[LoggedEvent]
    parked: Collection[AggregateKey]
    """Whose events must wait: those aggregates of the batch that are parked."""
    positions: Mapping[int, int]
    """The last position read of each shard that had events."""


class Claim(Protocol):
    """Some shards of one consumer, held by this transaction alone."""

    @property
    def transaction(self) -> Any: ...

    @property
    def positions(self) -> Mapping[int, int]:
        """The checkpoint of each claimed shard: everything up to it is applied or parked."""

    async def read(self, limit: int) -> Batch:
        """Return up to *limit* events after the checkpoints, and what is parked as this claim has left it."""

    async def advance(self, positions: Mapping[int, int]) -> None:
        """Have the checkpoints of these shards moved as the claim commits."""

    async def due(self, limit: int) -> Sequence[Parked]:
        """Hold and return up to *limit* parked aggregates that are due for a retry, the longest due first."""

    async def read_aggregate(self, parked: Parked, limit: int) -> Sequence[LoggedEvent]:
        """Return up to *limit* events of a parked aggregate, from its position up to the checkpoint."""

    def savepoint(self) -> AbstractAsyncContextManager[Any]:
        """Undo what happens inside if it raises."""

    async def park(self, parked: Parked) -> None:
        """Write or rewrite the record of a parked aggregate."""

    async def unpark(self, key: AggregateKey) -> None:
        """Forget the record: events read from here on are handled again."""


class ConsumerStore(Protocol):
    """Where consumers remember how far they are. A shard is behind while it has events after its checkpoint, or a
    parked aggregate that is due for a retry.
    """

    async def is_behind(self, consumer: str, now: datetime) -> bool:
        """Tell, without waiting for a claim, whether any shard is behind."""

    def claim(self, consumer: str, now: datetime, limit: int) -> AbstractAsyncContextManager[Claim | None]:
        """Open a transaction that holds shards which are behind and free; None when there are none.

        It takes as many as fill a batch of *limit* events if each has its mean share of the backlog, one at least:
        all shards while little is to be done, few under a backlog, so that others work beside it. Those with the
        oldest events come first.

        It commits on leaving, and rolls back on an exception.
        """


@dataclass(frozen=True, slots=True)
class Counts:
    read: int = 0
    handled: int = 0
    parked: int = 0
    retried: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(getattr(self, f) + getattr(other, f) for f in self.__dataclass_fields__))


class Drained(NamedTuple):
    counts: Counts
    has_more: bool
    """It ended for the sake of others and not for want of work: drain again."""


@dataclass(frozen=True, slots=True)
class ConsumerConfig:
    batch: int = 500
    retries_a_batch: int = 50
    """Parked aggregates that are tried again in one transaction, however many are due."""
    batches_a_drain: int = 20
    """Then others have their turn, and a process that is to stop stops: two seconds of full batches or so."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class Consumer:
    """*on_handled* is called after each commit in which events were handled; it must not block.

    *known*: the events that this release knows, as `Envelope.schema`; None: all of them.
    """

    def __init__(
        self,
        config: ConsumerConfig,
        store: ConsumerStore,
        clock: Clock,
        handler: Handler,
        on_handled: Callable[[], None] = lambda: None,
        *,
        known: Collection[str] | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._handler = handler
        self._on_handled = on_handled
        self._known = known
        self.name = handler.name

    async def drain(self) -> Drained:
        """Run until nothing is behind, or others hold what is, or it was long enough.

        Whoever had shards looks once more after letting them go: a wake-up that came meanwhile found them taken
        and was dropped.
        """
        total = Counts()
        for _ in range(self._config.batches_a_drain):
            counts = await self.run_once()
            if counts is None:
                return Drained(total, has_more=False)
            total += counts
            if not await self._store.is_behind(self.name, self._clock.now()):
                return Drained(total, has_more=False)
        # Nothing at all: somebody keeps a parked aggregate locked. Coming back at once would be a busy loop.
        return Drained(total, has_more=total != Counts())

    async def run_once(self) -> Counts | None:
        """Handle one batch in one transaction; None when nothing is behind that others do not hold.

        Raises:
            Exception: a server failed, nothing was changed; no attempt was counted.

        """
        try:
            counts = await self._attempt(carefully=False)
        except Exception as error:
            if is_transient(error):
                raise
            log.info("consumer_isolated", consumer=self.name, error=describe(error))
            counts = await self._attempt(carefully=True)
        if counts is not None and counts.handled:
            self._on_handled()
        return counts

    async def _attempt(self, *, carefully: bool) -> Counts | None:
        """Handle a batch at one go, or *carefully*: under savepoints, so that a failure is found and parked."""
        async with self._store.claim(self.name, self._clock.now(), self._config.batch) as claim:
            if claim is None:
                return None
            retried = await self._retry_due(claim)
            batch = await claim.read(self._config.batch)
            wanted, unknown = self._sort([e for e in batch.events if e.envelope.key not in batch.parked])
            failures = await self._isolate(claim, wanted) if carefully else await self._apply(claim, wanted)
            await self._park(claim, wanted, failures)
            # Of an aggregate that has failed before its unknown event, the failure counts.
            waiting = [event for key, event in unknown.items() if key not in failures]
            for event in waiting:
                await self._park_unknown(claim, event, self._clock.now())
            if batch.events:
                await claim.advance(batch.positions)
            return Counts(len(batch.events), len(wanted), len(failures) + len(waiting), retried)

    def _sort(self, events: Iterable[LoggedEvent]) -> tuple[list[LoggedEvent], dict[AggregateKey, LoggedEvent]]:
        """Return what is to be handled of *events*, and the first event of each aggregate that nobody here knows.

        What comes after it in its aggregate waits behind it.
        """
        wanted: list[LoggedEvent] = []
        unknown: dict[AggregateKey, LoggedEvent] = {}
        for event in filter(self._wants, events):
            key = event.envelope.key
            if key in unknown:
                continue
            if self._known is None or event.envelope.schema in self._known:
                wanted.append(event)
            else:
                unknown[key] = event
        return wanted, unknown

    def _wants(self, event: LoggedEvent) -> bool:
        return any(matches(pattern, event.envelope.type) for pattern in self._handler.subscribes)

    async def _apply(self, claim: Claim, events: Sequence[LoggedEvent]) -> Failures:
        if events:
            await self._handler.handle(claim.transaction, events)
        return {}

    async def _isolate(self, claim: Claim, events: Sequence[LoggedEvent]) -> Failures:
        """Handle what can be handled and return the failures, halving the batch where the culprit is unknown."""
        if not events:
            return {}
        try:
            async with claim.savepoint():
                return await self._apply(claim, events)
        except Exception as error:
            if is_transient(error):
                raise
            keys = list(dict.fromkeys(event.envelope.key for event in events))
            told = error.failures if isinstance(error, AggregatesFailed) else {}
            # Only aggregates of this batch: another name would leave the rest as large as it was, for ever.
            named = {key: told[key] for key in keys if key in told}
            if named:
                return {**named, **await self._isolate(claim, [e for e in events if e.envelope.key not in named])}
            if len(keys) == 1:
                return {keys[0]: error}
            first = set(keys[: len(keys) // 2])
            return {
                **await self._isolate(claim, [e for e in events if e.envelope.key in first]),
                **await self._isolate(claim, [e for e in events if e.envelope.key not in first]),
            }

    async def _park(self, claim: Claim, events: Sequence[LoggedEvent], failures: Failures) -> None:
        now = self._clock.now()
        for key, error in failures.items():
            first = next(event for event in events if event.envelope.key == key)
            state, due_at = self._config.retry.next(1, now)
            parked = Parked(key, first.envelope.aggregate_type, first.position, state, 1, due_at, describe(error), now)
            log.warning(
                "aggregate_parked",
                consumer=self.name,
                tenant_id=str(key.tenant_id),
                aggregate_id=str(key.aggregate_id),
                position=first.position,
                error=parked.error,
                **chain_of(first.envelope),
            )
            await claim.park(parked)

    async def _park_unknown(self, claim: Claim, event: LoggedEvent, parked_at: datetime) -> None:
        """Let the aggregate of *event*, which this release does not know, wait for one that does."""
        parked = awaiting_release(event, self._clock.now(), parked_at)
        log.warning(
            "aggregate_needs_version",
            consumer=self.name,
            tenant_id=str(parked.key.tenant_id),
            aggregate_id=str(parked.key.aggregate_id),
            position=parked.position,
            needs=parked.needs,
            **chain_of(event.envelope),
        )
        await claim.park(parked)

    async def _retry_due(self, claim: Claim) -> int:
        """Try the parked aggregates that are due; return how many."""
        due = await claim.due(self._config.retries_a_batch)
        for parked in due:
            await self._retry(claim, parked)
        return len(due)

    async def _retry(self, claim: Claim, parked: Parked) -> None:
        """Try a page of what waits for one aggregate, in order. With more behind it the aggregate stays due."""
        page = await claim.read_aggregate(parked, self._config.batch)
        wanted, unknown = self._sort(page)
        failures = await self._isolate(claim, wanted)
        if parked.key in failures:
            attempts = parked.attempts + 1
            state, due_at = self._config.retry.next(attempts, self._clock.now())
            error = describe(failures[parked.key])
            await claim.park(replace(parked, state=state, attempts=attempts, due_at=due_at, error=error))
        elif unknown:
            await self._park_unknown(claim, unknown[parked.key], parked.parked_at)
        elif len(page) == self._config.batch:
            await claim.park(replace(parked, position=page[-1].position + 1, attempts=0, needs=None))
        else:
            log.info("aggregate_unparked", consumer=self.name, aggregate=str(parked.key.aggregate_id))
            await claim.unpark(parked.key)
