"""A tenant's requests are counted: so many in a window, evenly spread or all at once, and those of nobody else."""

from uuid import UUID

import pytest

from api.faults import RateLimited
from api.rate_limits import RateLimits
from rustok.kernel.quota import Quota, read_quota
from rustok.testing import FixedClock

ACME, ZENITH = UUID(int=1), UUID(int=2)


class Counted:
    """The requests of tenants against a quota of 10 a minute."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.limits = RateLimits(Quota(10, 60), self.clock)

    def taken(self, offered: int, tenant_id: UUID = ACME, own: Quota | None = None) -> int:
        """Send so many requests at once and return how many are taken."""
        return sum(self.is_taken(tenant_id, own) for _ in range(offered))

    def is_taken(self, tenant_id: UUID, own: Quota | None) -> bool:
        try:
            self.limits.charge(tenant_id, own)
        except RateLimited:
            return False
        return True

    def told(self, own: Quota | None = None) -> tuple[str, str]:
        fields = self.limits.fields(ACME, own)
        return fields["RateLimit-Policy"], fields["RateLimit"]


def test_a_quota_may_be_used_at_once_and_comes_back_evenly() -> None:
    """Not at the turn of a window: 10 a minute are one in 6 s."""
    counted = Counted()

    assert counted.taken(11) == 10
    counted.clock.advance(5.9)
    assert counted.taken(1) == 0
    counted.clock.advance(0.1)
    assert counted.taken(2) == 1
    counted.clock.advance(30)
    assert counted.taken(11) == 5
    counted.clock.advance(3600)
    assert counted.taken(11) == 10


def test_the_fields_tell_the_quota_what_is_left_and_when_there_is_more() -> None:
    """Draft-ietf-httpapi-ratelimit-headers: a list of strings with parameters; whole seconds, and never too few."""
    counted = Counted()

    counted.taken(1)
    assert counted.told() == ('"tenant";q=10;w=60', '"tenant";r=9;t=6')
    counted.clock.advance(2.5)
    assert counted.told() == ('"tenant";q=10;w=60', '"tenant";r=9;t=4')
    counted.taken(9)
    assert counted.told() == ('"tenant";q=10;w=60', '"tenant";r=0;t=4')


def test_the_fields_of_a_quick_quota_tell_a_second_at_least() -> None:
    """A `t` of 0 would send the client back at once."""
    counted, quick = Counted(), Quota(1000, 1)

    counted.taken(1, own=quick)

    assert counted.told(quick) == ('"tenant";q=1000;w=1', '"tenant";r=999;t=1')


@pytest.mark.parametrize(("units", "wait_s"), [(10, 6), (11, 12), (20, 66), (500, 2946)])
def test_a_refusal_says_when_the_next_request_is_taken(units: int, wait_s: int) -> None:
    """Whoever waits for so long is not refused again, and a second less is too little."""
    counted = Counted()
    counted.limits.owe(ACME, None, units)

    with pytest.raises(RateLimited) as refused:
        counted.limits.charge(ACME, None)

    assert refused.value.retry_after_s == wait_s
    counted.clock.advance(wait_s - 1)
    assert counted.taken(1) == 0
    counted.clock.advance(1)
    assert counted.taken(1) == 1


def test_what_was_owed_is_paid_back_at_the_pace_of_another_quota() -> None:
    """Who has used up 10 a minute, and is given 1000 a second, goes on at once."""
    counted = Counted()
    counted.taken(10)

    assert counted.taken(1) == 0
    assert counted.taken(1, own=Quota(1000, 1)) == 1


def test_what_was_refused_costs_nothing() -> None:
    """A client that asks again too early does not push its turn back."""
    counted = Counted()
    counted.taken(10)

    counted.taken(1000)
    counted.clock.advance(6)

    assert counted.taken(2) == 1


def test_what_is_larger_than_what_is_left_is_taken_and_owed() -> None:
    """Else a batch of more items than the quota could never be sent. The average holds all the same."""
    counted = Counted()

    assert counted.taken(1) == 1
    counted.limits.owe(ACME, None, 24)
    assert counted.taken(1) == 0
    counted.clock.advance(90)
    assert counted.taken(1) == 0
    counted.clock.advance(6)
    assert counted.taken(2) == 1


def test_tenants_have_nothing_to_do_with_each_other() -> None:
    """One that floods uses its own quota."""
    counted = Counted()

    assert counted.taken(1000) == 10
    assert counted.taken(11, ZENITH) == 10


def test_a_tenant_with_a_quota_of_its_own_has_that_one() -> None:
    """What it has used by then counts as used."""
    counted = Counted()

    assert counted.taken(5) == 5
    assert counted.taken(1000, own=Quota(100, 60)) == 95


def test_only_tenants_that_have_something_to_wait_for_are_remembered() -> None:
    """A million tenants that came once cost nothing a minute later."""
    counted = Counted()
    for number in range(1000):
        counted.limits.charge(UUID(int=number), None)

    counted.clock.advance(60)
    counted.limits.charge(ACME, None)

    assert counted.limits.payers == 1


@pytest.mark.parametrize(
    ("text", "quota"), [("1/s", Quota(1, 1)), ("600/min", Quota(600, 60)), ("999999/h", Quota(999_999, 3600))]
)
def test_a_quota_reads_as_it_is_written(text: str, quota: Quota) -> None:
    """And is written as it reads."""
    assert (read_quota(text), str(quota)) == (quota, text)


@pytest.mark.parametrize(
    "text", ["", "0/s", "-1/s", "1000000/s", "1.5/s", "10", "10/day", " 1/s", "1/s\n", "1e3/s", "١/s", "01/s"]
)
def test_what_is_no_quota_is_refused(text: str) -> None:
    """The message has the forms that there are."""
    with pytest.raises(ValueError, match="NUMBER/s, NUMBER/min or NUMBER/h"):
        read_quota(text)
