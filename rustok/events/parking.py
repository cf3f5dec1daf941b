"""Parked aggregates: what a consumer could not digest waits here, its later events behind it in the log."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rustok.kernel.event import AggregateKey, LoggedEvent, shard_of


class ParkedState(StrEnum):
    RETRYING = "retrying"
    DEAD = "dead"
    """Attempts are used up: a dead letter, kept until somebody redrives it."""
    NEEDS_VERSION = "needs_version"
    """No failure: it waits for a release that knows its next event, which takes it up by itself."""


@dataclass(frozen=True, slots=True)
class Parked:
    """An aggregate that one consumer has set aside. `position` is its first event not yet applied.

    `needs`: the event, as `Envelope.schema`, that this release does not know.
    """

    key: AggregateKey
    aggregate_type: str
    position: int
    state: ParkedState
    attempts: int
    due_at: datetime
    error: str
    parked_at: datetime
    needs: str | None = None

    @property
    def shard(self) -> int:
        return shard_of(self.key)

    def is_due(self, now: datetime) -> bool:
        return self.state is ParkedState.RETRYING and self.due_at <= now


def awaiting_release(event: LoggedEvent, now: datetime, parked_at: datetime) -> Parked:
    """Return how the aggregate of *event* waits for a release that knows it: no attempt is counted."""
    return Parked(
        key=event.envelope.key,
        aggregate_type=event.envelope.aggregate_type,
        position=event.position,
        state=ParkedState.NEEDS_VERSION,
        attempts=0,
        due_at=now,
        error=f"This release does not know {event.envelope.schema}.",
        parked_at=parked_at,
        needs=event.envelope.schema,
    )


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    attempts: int = 5
    first_delay_s: float = 1.0
    growth: float = 4.0

    def next(self, attempts: int, now: datetime) -> tuple[ParkedState, datetime]:
        """Return the state after *attempts* failures, and when the next attempt is due."""
        if attempts >= self.attempts:
            return ParkedState.DEAD, now
        return ParkedState.RETRYING, now + timedelta(seconds=self.first_delay_s * self.growth ** (attempts - 1))
