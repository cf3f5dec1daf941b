"""The largest memory and queues that were seen while a scenario ran, and what they may be at most."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

import psutil
import redis

from tests.chaos.evidence import Bound, Hits

MIB = 1024 * 1024
CAPS: Mapping[str, float] = {
    "MiB of a process": 512,
    "MiB of Redis": 128,
    "messages in a queue": 11_000,  # the broker trims at 10,000, roughly
    "rows of the outbox": 50_000,
}


class Peaks:
    def __init__(self) -> None:
        self._seen = dict.fromkeys(CAPS, 0.0)
        self._looks: Counter[str] = Counter()

    @property
    def bounds(self) -> Mapping[str, Bound]:
        """Each peak beside its cap."""
        return {name: Bound(seen, CAPS[name]) for name, seen in self._seen.items()}

    @property
    def controls(self) -> Mapping[str, Hits]:
        """How often each was seen at all: what nobody looked at has stayed under its cap for want of a look."""
        return {f"looks at {name}": Hits(self._looks[name]) for name in CAPS}

    def see_processes(self, pids: Mapping[str, int]) -> None:
        for pid in pids.values():
            with suppress(psutil.NoSuchProcess):
                self._see("MiB of a process", psutil.Process(pid).memory_info().rss / MIB)

    def see_redis(self, url: str) -> None:
        """Look at Redis, unless it is away."""
        with suppress(redis.RedisError), redis.Redis.from_url(url, socket_timeout=0.2) as client:
            self._see("MiB of Redis", client.info("memory")["used_memory"] / MIB)
            for stream in client.scan_iter("rustok:queue:*"):
                self._see("messages in a queue", client.xlen(stream))

    def see_outbox(self, rows: int) -> None:
        self._see("rows of the outbox", rows)

    def _see(self, name: str, value: float) -> None:
        self._looks[name] += 1
        self._seen[name] = max(self._seen[name], value)
