"""A consumer reads one shard after its checkpoint and commits effects and checkpoint together.

An event that cannot be handled parks its aggregate: later events of that aggregate wait behind it in the
log, in order, and everything else flows.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from rustok.db.failures import describe, is_transient
from rustok.events.parking import Parked, ParkedState, RetryPolicy
from rustok.kernel.event import AggregateKey, LoggedEvent, matches
from rustok.kernel.ports import Clock

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


class Claim(Protocol):
    """One consumer's shard, held by this transaction alone."""

    @property
    def transaction(self) -> Any: ...

    @property
    def position(self) -> int:
        """The checkpoint: everything up to it is applied or parked."""

    @property
    def parked(self) -> Mapping[AggregateKey, Parked]: ...

    async def read(self, limit: int) -> list[LoggedEvent]: ...

    async def read_aggregate(self, parked: Parked) -> list[LoggedEvent]:
        """Return the events of a parked aggregate from its position up to the checkpoint."""

    def savepoint(self) -> AbstractAsyncContextManager[Any]:
        """Undo what happens inside if it raises."""

    async def advance(self, position: int) -> None: ...

    async def park(self, parked: Parked) -> None:
        """Write or rewrite the record of a parked aggregate."""

    async def unpark(self, key: AggregateKey) -> None:
        """Forget the record, also in `parked`: events read from here on are handled again."""


class ConsumerStore(Protocol):
    def claim(self, consumer: str, shard: int) -> AbstractAsyncContextManager[Claim | None]:
        """Open a transaction that holds the checkpoint; None when another process holds it.

        It commits on leaving, and rolls back on an exception.
        """

    async def is_behind(self, consumer: str, shard: int) -> bool:
        """Tell, without waiting for a claim, whether the log goes on behind the checkpoint."""


@dataclass(frozen=True, slots=True)
class Counts:
    read: int = 0
    handled: int = 0
    parked: int = 0
    retried: int = 0


@dataclass(frozen=True, slots=True)
class ConsumerConfig:
    batch: int = 500
    retries_a_batch: int = 50
    """Parked aggregates that are tried again in one transaction, however many are due."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class Consumer:
    def __init__(self, config: ConsumerConfig, store: ConsumerStore, clock: Clock, handler: Handler) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._handler = handler
        self.name = handler.name

    async def drain(self, shard: int) -> Counts:
        """Run until the shard has nothing new, or another process has it.

        Whoever had the shard looks once more after letting it go: a wake-up that came meanwhile found it
        taken and was dropped.
        """
        total = Counts()
        while (counts := await self.run_once(shard)) is not None:
            total = Counts(*(getattr(total, f) + getattr(counts, f) for f in Counts.__dataclass_fields__))
            is_full = counts.read == self._config.batch or counts.retried == self._config.retries_a_batch
            if not is_full and not await self._store.is_behind(self.name, shard):
                break
        return total

    async def run_once(self, shard: int) -> Counts | None:
        """Handle one batch in one transaction; None when another process has the shard.

        Raises:
            Exception: a server failed, nothing was changed; no attempt was counted.

        """
        try:
            return await self._attempt(shard, carefully=False)
        except Exception as error:
            if is_transient(error):
                raise
            log.info("consumer_isolated", consumer=self.name, shard=shard, error=repr(error))
        return await self._attempt(shard, carefully=True)

    async def _attempt(self, shard: int, *, carefully: bool) -> Counts | None:
        """Handle a batch at one go, or *carefully*: under savepoints, so that a failure is found and parked."""
        async with self._store.claim(self.name, shard) as claim:
            if claim is None:
                return None
            retried = await self._retry_due(claim)
            events = await claim.read(self._config.batch)
            wanted = [e for e in events if self._wants(e) and e.envelope.key not in claim.parked]
            failures = await self._isolate(claim, wanted) if carefully else await self._apply(claim, wanted)
            await self._park(claim, wanted, failures)
            if events:
                await claim.advance(events[-1].position)
            return Counts(len(events), len(wanted), len(failures), retried)

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
                correlation_id=str(first.envelope.correlation_id),
                error=parked.error,
            )
            await claim.park(parked)

    async def _retry_due(self, claim: Claim) -> int:
        """Try the parked aggregates that are due, each with all its waiting events, in order."""
        now = self._clock.now()
        ripe = [p for p in claim.parked.values() if p.state is ParkedState.RETRYING and p.due_at <= now]
        due = sorted(ripe, key=lambda parked: parked.due_at)[: self._config.retries_a_batch]
        for parked in due:
            events = [e for e in await claim.read_aggregate(parked) if self._wants(e)]
            failures = await self._isolate(claim, events)
            if parked.key not in failures:
                log.info("aggregate_unparked", consumer=self.name, aggregate=str(parked.key.aggregate_id))
                await claim.unpark(parked.key)
                continue
            attempts = parked.attempts + 1
            state, due_at = self._config.retry.next(attempts, now)
            error = describe(failures[parked.key])
            await claim.park(replace(parked, state=state, attempts=attempts, due_at=due_at, error=error))
        return len(due)
