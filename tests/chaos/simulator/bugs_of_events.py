"""Seeded bugs of writers, the sequencer and the consumers: each is wrong in one way."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from rustok.events.consumer import Batch, Claim
from rustok.events.parking import Parked
from rustok.events.sequencer import Sequenced
from rustok.jobs.ledger import Asker, NewJob
from rustok.kernel.event import AggregateKey, Envelope, LoggedEvent
from tests.chaos.simulator.database import Transaction
from tests.chaos.simulator.job_store import enqueue
from tests.chaos.simulator.log_stores import (
    Floor,
    SimulatedClaim,
    SimulatedConsumerStore,
    SimulatedSequencerStore,
    stage,
)
from tests.chaos.simulator.session import OpenTransaction
from tests.chaos.simulator.work import (
    Api,
    Command,
    Document,
    Index,
    Journal,
    Source,
    lock_documents,
    read_sources,
)


class StagesApart(Api):
    """Commits the event at once: a change that is rolled back leaves it behind."""

    def _stage(self, transaction: Transaction, envelope: Envelope) -> None:
        del transaction
        self._database.alone(lambda apart: stage(self._database, apart, envelope))


class ForgetsKeys(Api):
    """Does a command again whose answer got lost."""

    def _was_done(self, transaction: Transaction, command: Command) -> bool:
        del transaction, command
        return False


class AnswersTooEarly(Api):
    """Says that it is done, whatever becomes of the commit."""

    async def write(self, command: Command) -> None:
        try:
            await super().write(command)
        except (ConnectionError, TimeoutError):
            return


class NaiveCursor(SimulatedSequencerStore):
    """Goes on after the highest id it has seen; what commits later with a lower one is never seen."""

    def _next(self, transaction: Transaction, limit: int) -> list[tuple[int, Envelope]]:
        last = transaction.get("log_state", "cursor") or 0
        found = [row for row in super()._next(transaction, limit) if row[0] > last]
        if found:
            transaction.put("log_state", "cursor", found[-1][0])
        return found


class FloorAtTheHighestId(SimulatedSequencerStore):
    """Raises the floor without waiting for who still writes below it."""

    def _raise_floor(self, transaction: Transaction) -> None:
        transaction.put("log_state", 0, Floor(self._database.last_numbers["outbox"]))


class SequencesInTwoCommits(SimulatedSequencerStore):
    """Takes events out of the outbox, and then puts them into the log."""

    async def sequence(self, limit: int) -> Sequenced | None:
        taken = await self._session.run(partial(self._take, limit))
        await self._session.run(lambda transaction: self._append(transaction, taken))
        return Sequenced(len(taken), {envelope.type for envelope in taken}) if taken else None

    def _take(self, limit: int, transaction: Transaction) -> list[Envelope]:
        taken = self._next(transaction, limit)
        for number, _ in taken:
            transaction.put("outbox", number, None)
        return [envelope for _, envelope in taken]


class SequencesTheLatestFirst(SimulatedSequencerStore):
    """Orders a batch the wrong way round."""

    def _next(self, transaction: Transaction, limit: int) -> list[tuple[int, Envelope]]:
        return super()._next(transaction, limit)[::-1]


class ClaimsWithoutLocks(SimulatedConsumerStore):
    """Lets several workers read a shard at the same time."""

    @asynccontextmanager
    async def claim(self, consumer: str, now: datetime, limit: int) -> AsyncIterator[Claim | None]:
        del limit
        async with self._session.begin() as transaction:
            positions = await transaction.run(partial(_checkpoints, consumer))
            yield SimulatedClaim(transaction, consumer, now, positions)


class CommitsCheckpointsApart(SimulatedConsumerStore):
    """Commits the effects, and then the checkpoints."""

    @asynccontextmanager
    async def claim(self, consumer: str, now: datetime, limit: int) -> AsyncIterator[Claim | None]:
        last_words: Sequence[Any] = ()
        async with super().claim(consumer, now, limit) as claim:
            yield claim
            if claim is not None:
                last_words, claim.transaction.last_words = claim.transaction.last_words, []
        for move in last_words:
            await self._session.run(move)


class _OtherClaims(SimulatedConsumerStore):
    """Gives out claims of another class."""

    make: type[SimulatedClaim]

    @asynccontextmanager
    async def claim(self, consumer: str, now: datetime, limit: int) -> AsyncIterator[Claim | None]:
        async with super().claim(consumer, now, limit) as right:
            yield self.make(right.transaction, consumer, now, right.positions) if right else None


class _MovesToTheEnd(SimulatedClaim):
    async def advance(self, positions: Mapping[int, int]) -> None:
        def move(transaction: Transaction) -> None:
            for shard in positions:
                head = max(position for position, _ in transaction.rows("event_log"))
                transaction.put("checkpoints", (self._consumer, shard), head)

        self.transaction.last_words = [move]


class MovesToTheEnd(_OtherClaims):
    """Moves checkpoints to the end of the log instead of the end of the batch."""

    make = _MovesToTheEnd


class _SeesNothingParked(SimulatedClaim):
    def _read(self, limit: int, transaction: Transaction) -> Batch:
        return replace(super()._read(limit, transaction), parked=())


class ForgetsWhatIsParked(_OtherClaims):
    """Lets later events of a parked aggregate overtake the one that it was parked for."""

    make = _SeesNothingParked


class _ReadsTheFirst(SimulatedClaim):
    async def read_aggregate(self, parked: Parked, limit: int) -> Sequence[LoggedEvent]:
        return (await super().read_aggregate(parked, limit))[:1]


class DropsWhatWaited(_OtherClaims):
    """Tries the event that an aggregate was parked for again, and forgets those behind it."""

    make = _ReadsTheFirst


class _ReadsBackwards(SimulatedClaim):
    async def read_aggregate(self, parked: Parked, limit: int) -> Sequence[LoggedEvent]:
        return (await super().read_aggregate(parked, limit))[::-1]


class RetriesTheLatestFirst(_OtherClaims):
    """Tries what waited for a parked aggregate the wrong way round."""

    make = _ReadsBackwards


class ReadsBeforeItLocks(Index):
    """Reads the source, waits for the document, and writes what it has read whatever is there by then."""

    async def _lock_and_read(
        self, transaction: OpenTransaction, keys: Sequence[AggregateKey]
    ) -> Mapping[AggregateKey, Source]:
        sources = await transaction.run(partial(read_sources, keys))
        await transaction.run(partial(lock_documents, keys))
        return sources

    def _is_news(self, source: Source, document: Document | None) -> bool:
        del source, document
        return True


class IndexesOnce(Index):
    """Leaves a document alone that is there already."""

    def _is_news(self, source: Source, document: Document | None) -> bool:
        del source
        return document is None


class MakesJobsApart(Journal):
    """Makes jobs at once, with new ids: a batch that is read again makes them again."""

    def _ask(self, transaction: Transaction, jobs: Sequence[tuple[Asker, NewJob]]) -> None:
        del transaction
        renamed = [(asker, replace(job, id=UUID(int=self._database.next_number("ids")))) for asker, job in jobs]
        self._database.alone(lambda apart: enqueue(apart, renamed))


def _checkpoints(consumer: str, transaction: Transaction) -> dict[int, int]:
    return {shard: position for (name, shard), position in transaction.rows("checkpoints") if name == consumer}
