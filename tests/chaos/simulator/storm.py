"""What befalls processes and servers while a schedule runs."""

import random
from collections.abc import Callable, Mapping
from contextlib import suppress

from tests.chaos.simulator.bus import Bus
from tests.chaos.simulator.database import Database, RowLocked, Transaction
from tests.chaos.simulator.faults import Faults
from tests.chaos.simulator.job_store import JobRow, cancel
from tests.chaos.simulator.link import Server
from tests.chaos.simulator.process import Process
from tests.chaos.simulator.timeline import Timeline

_CANCELLED = 0.1
"""Jobs that an operator cancels a second."""
_TERMINATED_WHILE_STOPPED = 0.3
"""It finds the SIGTERM when it goes on, with leases that are somebody else's by then."""


class Storm:
    """*note* is told what happens."""

    def __init__(
        self,
        faults: Faults,
        chance: random.Random,
        timeline: Timeline,
        *,
        processes: Mapping[str, Process],
        database: Database,
        postgres: Server,
        redis: Bus,
        note: Callable[[str], None],
    ) -> None:
        self._faults = faults
        self._chance = chance
        self._timeline = timeline
        self._processes = processes
        self._database = database
        self._postgres = postgres
        self._redis = redis
        self._note = note

    def blow(self, seconds: float) -> None:
        """Let happen what befalls a piece of time."""
        rates = self._faults.rates
        for rate, strike in (
            (rates.process_stopped, self._stop),
            (rates.process_terminated, self._terminate),
            (rates.database_crashed, self._crash),
            (rates.redis_wiped, self._wipe),
            (rates.redis_away, self._lose_redis),
            (_CANCELLED, self._cancel),
        ):
            if self._faults.happens(rate * seconds):
                strike()

    def end(self) -> None:
        """End every fault: what is to be seen now is that everything comes right by itself."""
        self._note("no more faults")
        self._faults.is_on = False
        self._postgres.is_away = False
        self._redis.come_back()
        for process in self._processes.values():
            process.resume()

    def _stop(self) -> None:
        process = self._one()
        self._note(f"{process.name} is stopped")
        process.stop()
        if self._chance.random() < _TERMINATED_WHILE_STOPPED:
            process.terminate()
        self._timeline.after(self._chance.uniform(0.5, 6.0), process.resume)

    def _terminate(self) -> None:
        process = self._one()
        self._note(f"{process.name} is told to terminate")
        process.terminate()

    def _crash(self) -> None:
        self._note("PostgreSQL crashes")
        self._database.crash()
        self._postgres.is_away = True
        self._timeline.after(self._chance.uniform(0.1, 2.5), self._recover)

    def _recover(self) -> None:
        self._postgres.is_away = False

    def _wipe(self) -> None:
        self._note("Redis is wiped")
        self._redis.wipe()

    def _lose_redis(self) -> None:
        self._note("Redis is away")
        self._redis.go_away()
        self._timeline.after(self._chance.uniform(0.5, 4.0), self._redis.come_back)

    def _cancel(self) -> None:
        """Cancel a job, as an operator does."""
        with suppress(RowLocked):
            self._database.alone(self._cancel_one)

    def _cancel_one(self, transaction: Transaction) -> None:
        rows: list[JobRow] = [row for _, row in transaction.rows("jobs") if row.state != "dead"]
        if rows:
            row = self._chance.choice(rows)
            self._note(f"an operator cancels {row.id}")
            cancel(transaction, row)

    def _one(self) -> Process:
        return self._chance.choice(list(self._processes.values()))
