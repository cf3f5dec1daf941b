"""Admits writes by how late events are delivered: what the platform cannot deliver it does not take.

Between a soft and a hard age a rising share of the writes is refused, of the tenants that send the most first; above
the hard age all of them are. Critical commands and reads are always served.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from uuid import UUID

import structlog

from api.faults import Overloaded, TooManyWrites
from rustok.db.failures import describe
from rustok.kernel.errors import Misconfigured
from rustok.kernel.module import Command
from rustok.kernel.ports import Clock
from rustok.telemetry.metrics import UNDELIVERED_AGE_SECONDS, WRITES_REFUSED

log = structlog.get_logger(__name__)

_ROUND_S = 1.0
_FORGOTTEN_AFTER_S = 10.0
"""An age that was seen longer ago says nothing. If PostgreSQL does not answer, writes fail by themselves."""
_LONGEST_WAIT_S = 10


@dataclass(frozen=True, slots=True)
class AdmissionConfig:
    """Ages of the oldest undelivered event, in seconds; infinite ones are never reached."""

    soft_age_s: float
    hard_age_s: float

    def __post_init__(self) -> None:
        if self.hard_age_s < self.soft_age_s:
            raise Misconfigured("RUSTOK_ADMISSION_HARD_AGE_S must not be below RUSTOK_ADMISSION_SOFT_AGE_S.")


class Admission:
    """One a process. A write costs it a count; the age is read beside the writes, once a second while there are any."""

    def __init__(self, config: AdmissionConfig, read_age_s: Callable[[], Awaitable[float]], clock: Clock) -> None:
        self._config = config
        self._read_age_s = read_age_s
        self._clock = clock
        self._age_s = 0.0
        self._read_at_s = self._round_began_s = -math.inf
        self._offered: Counter[UUID] = Counter()
        self._cap = math.inf
        self._asked = asyncio.Event()
        for code in (TooManyWrites.code, Overloaded.code):
            WRITES_REFUSED.labels(code)  # a rate needs the 0 before the first one

    async def run(self) -> None:
        """Read the age when writes ask for it, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self.look()

    async def look(self) -> None:
        """Read the age now. A failure is logged: the last age holds until it is forgotten."""
        try:
            self._age_s = await self._read_age_s()
        except Exception as error:  # noqa: BLE001 - whatever is wrong there, it is no reason to refuse a write
            log.warning("undelivered_age_not_read", error=describe(error))
        else:
            self._read_at_s = self._clock.monotonic_s()
            UNDELIVERED_AGE_SECONDS.set(self._age_s)

    def admit(self, command: Command, tenant_id: UUID, writes: int = 1) -> None:
        """Return if *command* may run now. A batch counts as so many *writes*: it is taken if there is room for one.

        Raises:
            TooManyWrites: events are late, and the tenant has had its share of this second.
            Overloaded: events are so late that only critical commands are taken.

        """
        if command.is_critical:
            return
        if self._clock.monotonic_s() - self._round_began_s >= _ROUND_S:
            self._begin_round()
        self._offered[tenant_id] += writes
        if self._offered[tenant_id] - writes + 1 > self._cap:
            raise self._refusal()

    def _begin_round(self) -> None:
        """Let each tenant have its share of this second, if as much is offered as in the last one."""
        self._round_began_s = now_s = self._clock.monotonic_s()
        self._asked.set()
        if now_s - self._read_at_s >= _FORGOTTEN_AFTER_S:
            self._age_s = 0.0
        self._cap = self._share_of_each()
        self._offered.clear()

    def _share_of_each(self) -> float:
        admitted = self._admitted_part()
        if admitted in {0, 1}:
            return math.inf if admitted else 0
        offered = self._offered.values()
        return max(1, fair_share(offered, admitted * sum(offered)))

    def _admitted_part(self) -> float:
        soft_s, hard_s = self._config.soft_age_s, self._config.hard_age_s
        if self._age_s <= soft_s:
            return 1
        return 0 if self._age_s >= hard_s else (hard_s - self._age_s) / (hard_s - soft_s)

    def _refusal(self) -> TooManyWrites | Overloaded:
        late = f"Events are delivered {self._age_s:.0f} s late"
        refusal: TooManyWrites | Overloaded
        if self._cap:
            wait_s = math.ceil((1 - self._admitted_part()) * _LONGEST_WAIT_S)
            refusal = TooManyWrites(f"{late}, and this tenant sends the most: send less, and this one later.", wait_s)
        else:
            refusal = Overloaded(f"{late}: nothing but critical commands is taken. Send it later.", _LONGEST_WAIT_S)
        WRITES_REFUSED.labels(refusal.code).inc()
        return refusal


def fair_share(wanted: Collection[int], budget: float) -> float:
    """Return what each gets at most when *budget* is divided max-min fairly among those who want so much.

    Who wants less than that gets all of it; infinite, if everybody does.
    """
    left, rest = len(wanted), budget
    for want in sorted(wanted):
        if want > rest / left:
            return rest / left
        left, rest = left - 1, rest - want
    return math.inf
