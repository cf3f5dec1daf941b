"""A stand-in for Redis: messages that may be lost, doubled, shuffled, late, or wiped altogether."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from tests.chaos.simulator.faults import Faults
from tests.chaos.simulator.link import Server
from tests.chaos.simulator.process import Process
from tests.chaos.simulator.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody should look at this consumer."""

    consumer: str


@dataclass(frozen=True, slots=True)
class Ready:
    """Somebody should look at these jobs."""

    job_ids: tuple[UUID, ...]


Message = Wanted | Ready


class Bus(Server):
    """Hands each message to one receiver; `longest` is how many have waited at a time at most."""

    def __init__(self, timeline: Timeline, faults: Faults, chance: random.Random) -> None:
        super().__init__()
        self.longest = 0
        self._timeline = timeline
        self._faults = faults
        self._chance = chance
        self._messages: list[Message] = []
        self._receivers: list[tuple[Process, asyncio.Future[Message]]] = []
        self._wipes = 0
        self._away_since_s = 0.0

    @property
    def outage_s(self) -> float:
        return self._timeline.now_s - self._away_since_s if self.is_away else 0.0

    def send(self, messages: Sequence[Message]) -> None:
        rates = self._faults.rates
        for message in messages:
            copies = 0 if self._faults.happens(rates.message_lost) else 1
            copies += self._faults.happens(rates.message_doubled)
            for _ in range(copies):
                self._timeline.after(self._faults.latency_s(), partial(self._arrive, message, self._wipes))

    async def receive(self, process: Process) -> Message:
        """Wait for a message, whichever comes first."""
        received: asyncio.Future[Message] = process.loop.create_future()
        self._receivers.append((process, received))
        self._hand_out()
        return await received

    def wipe(self) -> None:
        """Forget everything, also what is under way."""
        self._wipes += 1
        self._messages.clear()

    def go_away(self) -> None:
        self.is_away = True
        self._away_since_s = self._timeline.now_s

    def come_back(self) -> None:
        self.is_away = False
        self._hand_out()

    def _arrive(self, message: Message, wipes: int) -> None:
        if wipes == self._wipes:
            self._messages.append(message)
            self.longest = max(self.longest, len(self._messages))
            self._hand_out()

    def _hand_out(self) -> None:
        """Give messages to receivers, in no order; what a dead process was given is gone."""
        self._receivers = [r for r in self._receivers if not r[0].is_dead and not r[1].done()]
        while self._messages and self._receivers and not self.is_away:
            message = self._messages.pop(self._chance.randrange(len(self._messages)))
            process, received = self._receivers.pop(self._chance.randrange(len(self._receivers)))
            process.loop.call_soon(_give, received, message)


def _give(received: asyncio.Future[Message], message: Message) -> None:
    if not received.done():
        received.set_result(message)
