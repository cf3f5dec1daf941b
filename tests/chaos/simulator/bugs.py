"""Bugs that the simulator must find: each replaces one part by one that is wrong in one way.

They are the mistakes that the design of delivery avoids. To add one, write the part and enter it in `BUGS`.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from rustok.events.consumer import Batch, Claim, Consumer, Counts, Drained
from rustok.events.hints import Sweep
from rustok.events.parking import Parked
from rustok.events.sequencer import Sequenced
from rustok.jobs.feeder import Feeder
from rustok.jobs.ledger import Asker, Leased, NewJob
from rustok.jobs.rescuer import Rescuer
from rustok.kernel.event import AggregateKey, Envelope, LoggedEvent
from tests.chaos.simulator.database import Transaction
from tests.chaos.simulator.job_store import JobRow, SimulatedJobStore, end, enqueue
from tests.chaos.simulator.link import OpenTransaction
from tests.chaos.simulator.log_stores import (
    Floor,
    SimulatedClaim,
    SimulatedConsumerStore,
    SimulatedSequencerStore,
    stage,
)
from tests.chaos.simulator.roles import Parts
from tests.chaos.simulator.work import (
    Api,
    Command,
    Document,
    Index,
    Jobs,
    Journal,
    Source,
    lock_documents,
    read_sources,
)

# Writers


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


# The sequencer


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


# Hints


class NoSweep(Sweep):
    """Trusts that every hint arrives."""

    async def run_once(self) -> int:
        return 0


class LooksOnce(Consumer):
    """Does not look again: a wake-up that came while it held the shards is lost."""

    async def drain(self) -> Drained:
        return Drained(await self.run_once() or Counts(), has_more=False)


class NeverForgetsHints(Feeder):
    """Lets jobs that were taken up keep their places in the window."""

    async def _forget_taken(self, hinted: dict[UUID, float]) -> None:
        """Do nothing."""


class NeverRepeatsHints(Feeder):
    """Takes a lost hint for one that is on its way."""

    async def _forget_taken(self, hinted: dict[UUID, float]) -> None:
        for job_id in hinted.keys() - await self._store.still_ready(hinted):
            del hinted[job_id]


class RemembersNoHints(Feeder):
    """Hints again at whatever is ready, each time it looks."""

    async def _forget_taken(self, hinted: dict[UUID, float]) -> None:
        hinted.clear()


# Consumers


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


class MakesJobsApart(Journal):
    """Makes jobs at once, with new ids: a batch that is read again makes them again."""

    def _ask(self, transaction: Transaction, jobs: Sequence[tuple[Asker, NewJob]]) -> None:
        del transaction
        renamed = [(asker, replace(job, id=UUID(int=self._database.next_number("ids")))) for asker, job in jobs]
        self._database.alone(lambda apart: enqueue(apart, renamed))


# Jobs


class EndsInTwoCommits(Jobs):
    """Commits the effect of a job, and then its end."""

    async def end(self, job: Leased) -> None:
        async with self._session.begin() as transaction:
            await self._take_effect(transaction, job)
        await self._session.run(partial(self._finish, job))


class EndsWithoutItsLease(Jobs):
    """Ends a job whoever has it by now."""

    def _finish(self, job: Leased, transaction: Transaction) -> None:
        row: JobRow | None = transaction.get("jobs", job.id)
        if row is not None:
            end(transaction, row, "done")


class GrantsWhatIsLeased(SimulatedJobStore):
    """Leases a job to whoever asks last."""

    def _may_be_granted(self, row: JobRow, transaction: Transaction) -> bool:
        return row.state != "dead" and row.due_at <= transaction.now


class IgnoresTokens(SimulatedJobStore):
    """Renews and releases leases that are somebody else's by now."""

    def _is_held(self, row: JobRow, token: UUID) -> bool:
        del token
        return row.state == "leased"


class RenewsForOthers(SimulatedJobStore):
    """Renews leases that are somebody else's by now."""

    async def renew(self, ids: Collection[UUID], token: UUID, lease_s: float) -> Mapping[UUID, bool]:
        return await IgnoresTokens(self._session, self._chance).renew(ids, token, lease_s)


class ReleasesForOthers(SimulatedJobStore):
    """Hands back jobs that are somebody else's by now."""

    async def release(self, ids: Collection[UUID], token: UUID) -> None:
        await IgnoresTokens(self._session, self._chance).release(ids, token)


class RescuesTheLiving(SimulatedJobStore):
    """Takes back every job that is leased."""

    def _is_lost(self, row: JobRow, transaction: Transaction) -> bool:
        del transaction
        return row.state == "leased"


class NoRescue(Rescuer):
    """Leaves the jobs of dead workers to them."""

    async def run_once(self) -> int:
        return 0


class CountsHints(SimulatedJobStore):
    """Counts an attempt when it hints at a job."""

    async def ready(self, queue: str, except_ids: Collection[UUID], limit: int) -> Sequence[UUID]:
        ids = await super().ready(queue, except_ids, limit)
        await self._session.run(partial(_count_attempts, ids))
        return ids


class NeverGivesUp(SimulatedJobStore):
    """Lets a job that used up its attempts be tried again."""

    async def fail(self, job: Leased, error: Mapping[str, Any], retry_in_s: float | None) -> None:
        await super().fail(job, error, retry_in_s or 1.0)


def _checkpoints(consumer: str, transaction: Transaction) -> dict[int, int]:
    return {shard: position for (name, shard), position in transaction.rows("checkpoints") if name == consumer}


def _count_attempts(ids: Sequence[UUID], transaction: Transaction) -> None:
    for job_id in ids:
        row: JobRow | None = transaction.get("jobs", job_id)
        if row is not None:
            transaction.put("jobs", job_id, replace(row, attempts=row.attempts + 1))


@dataclass(frozen=True, slots=True)
class Bug:
    """`shows`: the invariants of which it must violate one."""

    parts: Parts
    shows: set[str]


BUGS: Mapping[str, Bug] = {
    "stages apart": Bug(Parts(api=StagesApart), {"I2", "I4"}),
    "forgets keys": Bug(Parts(api=ForgetsKeys), {"I3"}),
    "answers too early": Bug(Parts(api=AnswersTooEarly), {"I1"}),
    "naive cursor": Bug(Parts(sequencer_store=NaiveCursor), {"I8"}),
    "floor at the highest id": Bug(Parts(sequencer_store=FloorAtTheHighestId), {"I8"}),
    "sequences in two commits": Bug(Parts(sequencer_store=SequencesInTwoCommits), {"I1"}),
    "sequences the latest first": Bug(Parts(sequencer_store=SequencesTheLatestFirst), {"I4"}),
    "no sweep": Bug(Parts(sweep=NoSweep), {"I8"}),
    "looks once": Bug(Parts(consumer=LooksOnce), {"I8"}),
    "never forgets hints": Bug(Parts(feeder=NeverForgetsHints), {"I8"}),
    "never repeats hints": Bug(Parts(feeder=NeverRepeatsHints), {"I8"}),
    "remembers no hints": Bug(Parts(feeder=RemembersNoHints), {"I9"}),
    "claims without locks": Bug(Parts(consumer_store=ClaimsWithoutLocks), {"I3", "I4"}),
    "commits checkpoints apart": Bug(Parts(consumer_store=CommitsCheckpointsApart), {"I3"}),
    "moves to the end": Bug(Parts(consumer_store=MovesToTheEnd), {"I1", "I5"}),
    "forgets what is parked": Bug(Parts(consumer_store=ForgetsWhatIsParked), {"I4", "I6"}),
    "drops what waited": Bug(Parts(consumer_store=DropsWhatWaited), {"I1", "I6"}),
    "retries the latest first": Bug(Parts(consumer_store=RetriesTheLatestFirst), {"I4"}),
    "reads before it locks": Bug(Parts(index=ReadsBeforeItLocks), {"I4", "I5"}),
    "makes jobs apart": Bug(Parts(journal=MakesJobsApart), {"I3"}),
    "ends in two commits": Bug(Parts(jobs=EndsInTwoCommits), {"I3"}),
    "ends without its lease": Bug(Parts(jobs=EndsWithoutItsLease), {"I3"}),
    "grants what is leased": Bug(Parts(job_store=GrantsWhatIsLeased), {"I3"}),
    "renews for others": Bug(Parts(job_store=RenewsForOthers), {"I3"}),
    "releases for others": Bug(Parts(job_store=ReleasesForOthers), {"I3"}),
    "rescues the living": Bug(Parts(job_store=RescuesTheLiving), {"I3"}),
    "no rescue": Bug(Parts(rescuer=NoRescue), {"I8"}),
    "counts hints": Bug(Parts(job_store=CountsHints), {"I6"}),
    "never gives up": Bug(Parts(job_store=NeverGivesUp), {"I8"}),
}
