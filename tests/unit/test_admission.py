"""Writes are refused when events are delivered late: more of them the later it is, of who sends the most first."""

import asyncio
import math
from functools import partial
from uuid import UUID

import pytest

from api.admission import Admission, AdmissionConfig, fair_share
from api.faults import Overloaded, TooManyWrites
from rustok.catalog import MODULES
from rustok.kernel.errors import Misconfigured, RustokError, Unavailable
from rustok.kernel.registry import build_registry
from rustok.testing import FixedClock

COMMANDS = build_registry(MODULES).commands
CREATE, CANCEL = COMMANDS["commerce.products.create"], COMMANDS["jobs.operations.cancel"]
FLOODING, QUIET = UUID(int=1), UUID(int=2)


class Delivery:
    """How late it is, unless nobody can tell."""

    age_s = 0.0
    is_away = False

    async def read_age_s(self) -> float:
        if self.is_away:
            raise Unavailable("PostgreSQL does not answer")
        return self.age_s


class Stage:
    def __init__(self) -> None:
        self.clock, self.delivery = FixedClock(), Delivery()
        self.admission = Admission(AdmissionConfig(10, 60), self.delivery.read_age_s, self.clock)

    async def second(self, **offered: int) -> dict[str, int]:
        """Let so many writes of each tenant come within a second, in turns, and return how many are taken."""
        await self.admission.look()
        taken = dict.fromkeys(offered, 0)
        for turn in range(max(offered.values())):
            for name in (name for name, count in offered.items() if count > turn):
                taken[name] += self.is_taken({"flooding": FLOODING, "quiet": QUIET}[name])
        self.clock.advance(1)
        return taken

    def is_taken(self, tenant_id: UUID) -> bool:
        try:
            self.admission.admit(CREATE, tenant_id)
        except (TooManyWrites, Overloaded):
            return False
        return True

    def refusal(self) -> RustokError:
        """Write until that is refused."""
        try:
            while True:
                self.admission.admit(CREATE, FLOODING)
        except (TooManyWrites, Overloaded) as error:
            return error


async def test_all_writes_are_taken_while_events_are_on_time() -> None:
    """However many they are."""
    stage = Stage()
    stage.delivery.age_s = 10

    assert [await stage.second(flooding=1000, quiet=10) for _ in range(3)] == [{"flooding": 1000, "quiet": 10}] * 3


@pytest.mark.parametrize(("age_s", "taken"), [(15, 90), (35, 50), (55, 10)])
async def test_the_later_events_are_the_more_writes_are_refused(age_s: int, taken: int) -> None:
    """In a straight line from the soft age to the hard one: nothing is switched, so nothing flaps."""
    stage = Stage()
    stage.delivery.age_s = age_s

    await stage.second(flooding=100)
    assert await stage.second(flooding=100) == {"flooding": taken}


async def test_half_a_write_is_not_taken() -> None:
    """A share of two and a half is two."""
    stage = Stage()
    stage.delivery.age_s = 35

    assert [await stage.second(flooding=5) for _ in range(3)][1:] == [{"flooding": 2}] * 2


async def test_a_batch_is_taken_if_there_is_room_for_one_write() -> None:
    """It counts as all that it has: nothing else of the tenant is taken in that second."""
    stage = Stage()
    stage.delivery.age_s = 35
    await stage.second(flooding=5)
    await stage.second(flooding=5)

    stage.admission.admit(CREATE, FLOODING, 500)

    assert not stage.is_taken(FLOODING)


async def test_the_tenant_that_floods_is_refused_first() -> None:
    """Half of what is offered is too much: all of that is the flood's."""
    stage = Stage()
    stage.delivery.age_s = 35

    await stage.second(flooding=990, quiet=10)
    assert await stage.second(flooding=990, quiet=10) == {"flooding": 490, "quiet": 10}


async def test_each_tenant_may_always_write_a_little_below_the_hard_age() -> None:
    """A share of little would be nothing."""
    stage = Stage()
    stage.delivery.age_s = 59

    await stage.second(flooding=1, quiet=1)
    assert await stage.second(flooding=1, quiet=1) == {"flooding": 1, "quiet": 1}


async def test_nothing_is_taken_above_the_hard_age_but_what_is_critical() -> None:
    """What ends an overload must not be kept out by it."""
    stage = Stage()
    stage.delivery.age_s = 60

    taken = await stage.second(flooding=100, quiet=1)
    stage.admission.admit(CANCEL, FLOODING)

    assert taken == {"flooding": 0, "quiet": 0}
    assert isinstance(stage.refusal(), Overloaded)


async def test_a_refusal_says_how_long_to_wait() -> None:
    """Longer, the later events are."""
    stage = Stage()
    refusals = []
    for age_s in (11, 35, 59, 61):
        stage.delivery.age_s = age_s
        await stage.second(flooding=10)
        refusals.append(stage.refusal())

    assert [(refusal.code, vars(refusal)["retry_after_s"]) for refusal in refusals] == [
        ("too_many_writes", 1),
        ("too_many_writes", 5),
        ("too_many_writes", 10),
        ("overloaded", 10),
    ]


async def test_writes_are_taken_again_as_soon_as_events_are_on_time() -> None:
    """From the next second on."""
    stage = Stage()
    stage.delivery.age_s = 60
    await stage.second(flooding=5)

    stage.delivery.age_s = 0
    assert await stage.second(flooding=5) == {"flooding": 5}


async def test_an_age_that_nobody_can_tell_holds_for_a_while_and_is_then_forgotten() -> None:
    """PostgreSQL that is busy for a moment opens no gate; one that is away refuses writes by itself."""
    stage = Stage()
    stage.delivery.age_s = 60
    await stage.second(quiet=1)
    stage.delivery.is_away = True

    meanwhile = [await stage.second(quiet=1) for _ in range(10)]

    assert meanwhile == [{"quiet": 0}] * 9 + [{"quiet": 1}]


async def test_the_age_is_read_when_writes_come_and_once_a_second_at_most() -> None:
    """Beside them: none waits for it."""
    stage, looks = Stage(), 0

    async def read_age_s() -> float:
        nonlocal looks
        looks += 1
        return 0.0

    admission = Admission(AdmissionConfig(10, 60), read_age_s, stage.clock)
    reading = asyncio.create_task(admission.run())
    for _ in range(3):
        for _ in range(5):
            admission.admit(CREATE, QUIET)
            for _ in range(5):
                await asyncio.sleep(0)
        stage.clock.advance(1)
    reading.cancel()

    assert looks == 3


@pytest.mark.parametrize(
    ("wanted", "budget", "share"),
    [
        ([], 0, math.inf),
        ([3, 2], 5, math.inf),
        ([100], 25, 25),
        ([100, 100], 50, 25),
        ([1, 2, 100], 33, 30),
        ([10, 10, 10], 15, 5),
    ],
)
def test_a_budget_is_shared_fairly(wanted: list[int], budget: float, share: float) -> None:
    """Max-min: nobody gets more while somebody who wants it has less."""
    assert fair_share(wanted, budget) == share


def test_a_hard_age_below_the_soft_one_is_refused() -> None:
    """By the names of the settings."""
    with pytest.raises(Misconfigured, match="RUSTOK_ADMISSION_HARD_AGE_S"):
        AdmissionConfig(soft_age_s=10, hard_age_s=5)


def test_ages_that_are_never_reached_refuse_nothing() -> None:
    """Infinite ones switch admission off."""
    clock = FixedClock()
    admission = Admission(AdmissionConfig(math.inf, math.inf), Delivery().read_age_s, clock)

    for take in [partial(admission.admit, CREATE, FLOODING)] * 1000:
        take()
