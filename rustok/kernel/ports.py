"""What a background loop may ask of the world, so that a simulator can stand in for it."""

from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID


class Clock(Protocol):
    def now(self) -> datetime:
        """Wall time, in UTC."""

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back; only differences mean something."""

    async def sleep(self, seconds: float) -> None: ...


class Wake(Protocol):
    """A hint that there may be work. Correctness never depends on it: every loop polls as well."""

    async def wait(self, timeout_s: float) -> bool:
        """Return True as soon as a hint arrives (one since the last call counts), False after *timeout_s*."""


class Signal(Wake, Protocol):
    """A wake-up that one loop of a process gives another."""

    def wake(self) -> None: ...


class MadeJob(NamedTuple):
    """A job that was committed and may begin, as it is told outside every transaction: a hint, too."""

    queue: str
    id: UUID
    tenant_id: UUID
