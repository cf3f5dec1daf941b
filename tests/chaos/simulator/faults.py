"""What goes wrong in a schedule, and how often: drawn once from its seed."""

import random
from dataclasses import dataclass
from typing import Literal

from tests.chaos.simulator.process import Process

RequestFault = Literal["killed", "lost"]


@dataclass(frozen=True, slots=True)
class Rates:
    """Probabilities: of each request before and after it is executed, of each message, of each second."""

    killed: float = 0.0
    request_lost: float = 0.0
    slow: float = 0.0
    message_lost: float = 0.0
    message_doubled: float = 0.0
    process_stopped: float = 0.0
    process_terminated: float = 0.0
    database_crashed: float = 0.0
    redis_wiped: float = 0.0
    redis_away: float = 0.0

    @classmethod
    def drawn(cls, chance: random.Random) -> "Rates":
        """Return rates of which some are nought: a fault alone shows what it does, all together hide it."""
        most = {
            "killed": 0.02,
            "request_lost": 0.02,
            "slow": 0.1,
            "message_lost": 0.5,
            "message_doubled": 0.3,
            "process_stopped": 0.3,
            "process_terminated": 0.2,
            "database_crashed": 0.1,
            "redis_wiped": 0.3,
            "redis_away": 0.1,
        }
        return cls(**{name: chance.choice((0.0, 0.3, 1.0)) * rate for name, rate in most.items()})


class Faults:
    """Strikes until it is switched off."""

    def __init__(self, rates: Rates, chance: random.Random) -> None:
        self.rates = rates
        self.is_on = True
        self._chance = chance

    def happens(self, rate: float) -> bool:
        return self.is_on and rate > 0 and self._chance.random() < rate

    def latency_s(self) -> float:
        """Return how long a request or an answer is under way."""
        if self.happens(self.rates.slow):
            return self._chance.uniform(0.01, 3.0)
        return self._chance.uniform(0.0005, 0.005)

    def of_a_request(self, process: Process) -> RequestFault | None:
        """Return what befalls *process*, or its connection, at this moment of a request."""
        if process.is_dead or not self.is_on:
            return None
        roll = self._chance.random()
        if roll < self.rates.killed:
            return "killed"
        return "lost" if roll < self.rates.killed + self.rates.request_lost else None
