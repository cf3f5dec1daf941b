"""One schedule: work and faults drawn from a seed, run in virtual time until all is quiet, and then judged."""

import asyncio
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from rustok.runtime import LocalWake
from tests.chaos.simulator.bus import Bus
from tests.chaos.simulator.commands import draw_commands
from tests.chaos.simulator.database import Change, Database
from tests.chaos.simulator.faults import Faults, Rates
from tests.chaos.simulator.invariants import Outcome, Violation, Watch, check
from tests.chaos.simulator.link import FaultyWire, Server
from tests.chaos.simulator.moments import add_schedules, still_due
from tests.chaos.simulator.process import START, Process
from tests.chaos.simulator.roles import Parts, Surroundings, run_relay, run_worker
from tests.chaos.simulator.session import Wire
from tests.chaos.simulator.storm import Storm
from tests.chaos.simulator.timeline import Spinning, Timeline
from tests.chaos.simulator.trace import change_told, logs_to
from tests.chaos.simulator.work import CONSUMERS, Api, Command, Poison, RolledBack

SETTLES_WITHIN_S = 60.0
"""After the last fault (I8): the attempts of poison, the longest wait for a lease and for a lost hint among it."""
_STORM_S = 6.0
_STEP_S = 0.25
_CALM_ONE_IN = 8
"""Schedules without faults: what hints are for shows only in these."""
_CLIENTS = 3


class World:
    """The schedule of *seed*. Run it once. *trace* is told everything that happens."""

    def __init__(self, seed: int, parts: Parts, trace: Callable[[str], None] | None = None) -> None:
        self._chance = random.Random(seed)
        self._trace = trace
        is_calm = self._chance.randrange(_CALM_ONE_IN) == 0
        self._timeline = Timeline()
        self._faults = Faults(Rates() if is_calm else Rates.drawn(self._chance), self._chance)
        self._watch = Watch(watches_age=is_calm)
        self._database = Database(self._now, self._chance, self._look)
        self._postgres = Server()
        self._bus = Bus(self._timeline, self._faults, self._chance)
        self._commands = draw_commands(self._chance, is_calm=is_calm)
        self._answered: set[UUID] = set()
        self._refused: set[UUID] = set()
        self._processes: dict[str, Process] = {}
        self._dead: list[Process] = []
        self._listeners: list[tuple[Process, LocalWake]] = []
        self._acting = "operator"
        self._around = Surroundings(
            parts=parts,
            chance=self._chance,
            database=self._database,
            bus=self._bus,
            poison=Poison(self._commands),
            wire_to_database=lambda process: self._wire(process, self._postgres),
            wire_to_redis=lambda process: self._wire(process, self._bus),
            listen=lambda process, wake: self._listeners.append((process, wake)),
        )
        if not is_calm:
            self._database.alone(add_schedules)

    def run(self) -> list[Violation]:
        """Run the schedule to its end and return what was violated."""
        with logs_to(self._note if self._trace else None):
            try:
                self._run_through_the_storm()
                self._run_until_quiet()
            except Spinning as error:
                self._watch.found.append(Violation("I8", str(error)))
            finally:
                for process in (*self._dead, *self._processes.values()):
                    process.bury()
        return [*self._watch.found, *check(self._outcome())]

    def _run_through_the_storm(self) -> None:
        storm = Storm(
            self._faults,
            self._chance,
            self._timeline,
            processes=self._processes,
            database=self._database,
            postgres=self._postgres,
            redis=self._bus,
            note=self._note,
        )
        for name in ("relay 1", "relay 2", "worker 1", "worker 2", "api"):
            self._begin(name)
        while self._timeline.now_s < _STORM_S:
            self._timeline.run_until(self._timeline.now_s + _STEP_S)
            self._acting = "operator"
            storm.blow(_STEP_S)
        storm.end()

    def _run_until_quiet(self) -> None:
        while self._pending() and self._timeline.now_s < _STORM_S + SETTLES_WITHIN_S:
            self._timeline.run_until(self._timeline.now_s + _STEP_S)

    def _begin(self, name: str) -> None:
        """Start a process, in the place of a dead one perhaps."""
        if name in self._processes:
            self._dead.append(self._processes[name])
        process = self._processes[name] = Process(name, self._timeline, self._chance, self._ended)
        self._note(f"{name} starts")
        main = {"relay": run_relay, "worker": run_worker, "api": self._run_api}[name.partition(" ")[0]]
        process.start(main(process, self._around))

    def _ended(self, process: Process, error: BaseException | None) -> None:
        self._note(f"{process.name} is dead")
        if error is not None:
            self._watch.found.append(Violation("I8", f"{process.name} ended by itself: {_causes(error)}"))
        if process.name != "api" or self._unanswered():
            self._timeline.after(self._chance.uniform(0.05, 0.5), partial(self._begin, process.name))

    async def _run_api(self, process: Process, around: Surroundings) -> None:
        """Do what clients ask for, each thing until it is answered."""
        api = around.parts.api(around.database, around.session(process), self._chance)

        async def serve(commands: list[Command]) -> None:
            for command in commands:
                while command.id not in self._answered | self._refused:
                    await process.clock.sleep(command.after_s)
                    await self._serve(api, command)

        async with asyncio.TaskGroup() as tasks:
            for client in range(_CLIENTS):
                tasks.create_task(serve(self._commands[client::_CLIENTS]))

    async def _serve(self, api: Api, command: Command) -> None:
        try:
            await api.write(command)
        except RolledBack:
            self._refused.add(command.id)
        except (ConnectionError, TimeoutError):
            return  # nobody knows what became of it: the client asks again, with the same key
        else:
            self._answered.add(command.id)
            self._notify()

    def _notify(self) -> None:
        for process, wake in self._listeners:
            if not process.is_dead and not self._faults.happens(self._faults.rates.message_lost):
                self._timeline.after(self._faults.latency_s(), partial(process.loop.call_now, wake.wake))

    def _wire(self, process: Process, server: Server) -> Wire:
        return FaultyWire(process, server, self._timeline, self._faults, self._serves)

    def _serves(self, process: Process) -> None:
        self._acting = process.name

    def _look(self, change: Change) -> None:
        self._watch.look(change, self._acting, self._now())
        if self._trace:
            self._note(f"{self._acting}: {change_told(change)}")

    def _outcome(self) -> Outcome:
        return Outcome(
            self._database.tables,
            self._commands,
            answered=self._answered,
            refused=self._refused,
            longest_queue=self._bus.longest,
            pending=self._pending(),
        )

    def _pending(self) -> str:
        """Return what is still to be done; an empty text when all is quiet."""
        tables = self._database.tables
        checkpoints = tables["checkpoints"]
        pending = {
            "commands": self._unanswered(),
            "outbox": [*tables["outbox"]],
            "behind": [
                (consumer, position)
                for position, row in tables["event_log"].items()
                for consumer in CONSUMERS
                if position > checkpoints.get((consumer, row.shard), 0)
            ],
            "retrying": [parked.position for parked in tables["parked"].values() if parked.state == "retrying"],
            "schedules": still_due(tables, self._now()),
            "jobs": [(row.state, row.job.kind.name) for row in tables["jobs"].values() if row.state != "dead"],
        }
        return ", ".join(f"{name} {left}" for name, left in pending.items() if left)

    def _unanswered(self) -> list[int]:
        return [c.value for c in self._commands if c.id not in self._answered | self._refused]

    def _now(self) -> datetime:
        return START + timedelta(seconds=self._timeline.now_s)

    def _note(self, what: str) -> None:
        if self._trace:
            self._trace(f"{self._timeline.now_s:8.3f}  {what}")


def _causes(error: BaseException) -> str:
    """Return what went wrong inside of groups of exceptions."""
    inner: Iterator[BaseException] = iter(getattr(error, "exceptions", ()))
    return ", ".join(_causes(found) for found in inner) or repr(error)
