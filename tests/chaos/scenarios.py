"""Every scenario of faults, each at two scales."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.chaos import backends, kills, log_writers, neighbours, servers
from tests.chaos.opening import Servers
from tests.chaos.report import Result


@dataclass(frozen=True, slots=True)
class Scenario:
    """*run* is a function of the servers and of the parameters of a scale."""

    run: Callable[..., Result]
    smoke: Mapping[str, Any]
    full: Mapping[str, Any]

    def play(self, servers: Servers, scale: str) -> Result:
        """Play it at the *scale* `smoke` or `full`."""
        return self.run(servers, **(self.smoke if scale == "smoke" else self.full))


SCENARIOS: Mapping[str, Scenario] = {
    "kills": Scenario(
        kills.kill_processes,
        smoke={"kills": 5, "products_a_kill": 22},
        full={"kills": 1_500, "products_a_kill": 22},
    ),
    "redis_wipes": Scenario(
        servers.wipe_redis,
        smoke={"wipes": 5, "products": 200, "runs": 50},
        full={"wipes": 20, "products": 45_000, "runs": 500},
    ),
    "redis_away": Scenario(servers.lose_redis, smoke={"away_s": 6.0}, full={"away_s": 60.0}),
    "redis_cuts": Scenario(
        servers.cut_redis_replies,
        smoke={"nth": 50, "cuts": 40},
        full={"nth": 50, "cuts": 500},
    ),
    "postgres_stops": Scenario(servers.stop_postgres, smoke={"stops": 3}, full={"stops": 200}),
    "backends": Scenario(backends.terminate_backends, smoke={"terminations": 20}, full={"terminations": 500}),
    "commit_cuts": Scenario(servers.cut_commits, smoke={"felt": 60}, full={"felt": 500}),
    "zombies": Scenario(
        kills.wake_zombies,
        smoke={"rounds": 1, "products": 60, "stopped_s": 8.0},
        full={"rounds": 20, "products": 120, "stopped_s": 10.0},
    ),
    "restarts": Scenario(kills.restart_in_turn, smoke={"rounds": 1}, full={"rounds": 50}),
    "doubled_messages": Scenario(servers.double_messages, smoke={"products": 100}, full={"products": 10_000}),
    "writers": Scenario(
        log_writers.write_out_of_order,
        smoke={"writers": 16, "events": 3_000},
        full={"writers": 16, "events": 1_000_000},
    ),
    "poison": Scenario(
        neighbours.digest_poison,
        smoke={"products": 300, "poison_every": 30, "retries": False},
        full={"products": 4_000, "poison_every": 100, "retries": True},
    ),
    "flood": Scenario(
        neighbours.flood,
        smoke={"others": 4, "products": 5, "flooded": 500},
        full={"others": 20, "products": 50, "flooded": 20_000},
    ),
    "replay": Scenario(
        neighbours.replay_the_log,
        smoke={"products": 100, "times": 3},
        full={"products": 10_000, "times": 3},
    ),
}
