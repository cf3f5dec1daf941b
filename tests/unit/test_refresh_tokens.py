"""Refresh tokens: an honest client is never thrown out, and of a client and a thief one is, soon."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustok.kernel.secrets import Secrets
from rustok.modules.access.refresh_token import REPEATED_FOR, Judgement, RefreshToken, RefreshTokens, judge
from rustok.testing import FixedClock

TOKENS = RefreshTokens(Secrets("a secret of the tests, long enough"))
START = FixedClock().now()
PAUSES = st.sampled_from([timedelta(seconds=1), timedelta(seconds=60), timedelta(hours=1)])


class Session:
    """As the table has it, and as `Sessions.refresh` keeps it."""

    def __init__(self) -> None:
        self.generation = 1
        self.rotated_at: datetime = START
        self.is_open = True

    def refresh(self, number: int, now: datetime) -> int | None:
        """Return the number of the next token; None where the session has ended."""
        if not self.is_open:
            return None
        judgement = judge(number, self.generation, self.rotated_at, now)
        if judgement is Judgement.REUSED:
            self.is_open = False
            return None
        if judgement is Judgement.ROTATE:
            self.generation, self.rotated_at = self.generation + 1, now
        return number + 1


def test_a_token_reads_as_it_was_made() -> None:
    """Tenant, session and number."""
    token = RefreshToken(uuid4(), uuid4(), 7)

    assert TOKENS.read(TOKENS.issue(token)) == token


@pytest.mark.parametrize("place", range(0, 130, 7))
def test_a_changed_token_is_none(place: int) -> None:
    """Wherever it is changed."""
    text = TOKENS.issue(RefreshToken(uuid4(), uuid4(), 7))
    changed = text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :]

    assert TOKENS.read(changed) is None


@pytest.mark.parametrize("text", ["", "rtr_", "rtr_x_y_1_z", f"rtr_{'0' * 32}_{'0' * 32}_0_{'0' * 64}"])
def test_something_else_is_no_token(text: str) -> None:
    """Nor does it raise."""
    assert TOKENS.read(text) is None


def test_a_token_of_another_installation_is_none() -> None:
    """Whose secret is another."""
    other = RefreshTokens(Secrets("the secret of another installation"))

    assert TOKENS.read(other.issue(RefreshToken(uuid4(), uuid4(), 1))) is None


@given(st.lists(st.tuples(PAUSES, st.booleans()), max_size=40))
def test_an_honest_client_is_never_thrown_out(steps: list[tuple[timedelta, bool]]) -> None:
    """Also where answers are lost, and it asks again a second later."""
    session, mine, now = Session(), 1, START
    for pause, is_lost in steps:
        now += pause
        answer = session.refresh(mine, now)
        if is_lost:
            now += timedelta(seconds=1)
            answer = session.refresh(mine, now)
        assert answer == mine + 1
        mine = answer


@given(
    st.lists(st.tuples(PAUSES, st.sampled_from(["client", "thief"])), max_size=40),
    st.integers(min_value=0, max_value=10),
)
def test_of_a_client_and_a_thief_one_goes_on_at_most(steps: list[tuple[timedelta, str]], copied_after: int) -> None:
    """Once both have asked, further apart than a lost answer is repeated for, the session has ended."""
    session, now = Session(), START
    held = {"client": 1}
    for place, (pause, who) in enumerate(steps):
        now += pause
        if place == copied_after:
            held["thief"] = held["client"]
        if who in held and (answer := session.refresh(held[who], now)) is not None:
            held[who] = answer
    asked_at = [now + turn * 2 * REPEATED_FOR for turn in range(1, 5)]
    first = [session.refresh(number, at) for number, at in zip(held.values(), asked_at[:2], strict=False)]
    mine = [answer or number for number, answer in zip(held.values(), first, strict=True)]
    go_on = [session.refresh(number, at) for number, at in zip(mine, asked_at[2:], strict=False)]

    assert len([answer for answer in go_on if answer is not None]) <= 1
