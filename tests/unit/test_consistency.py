"""A consistency token names the events of one write, to one tenant."""

from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID

import pytest

from rustok.kernel.consistency import Change, Tokens
from rustok.kernel.event import Envelope, Event
from rustok.kernel.secrets import Secrets
from rustok.testing import an_envelope

TENANT, OTHER = UUID(int=1), UUID(int=2)
NOW = datetime(2026, 11, 27, 4, 5, 6, 789_000, tzinfo=UTC)


class Wound(Event):
    type: ClassVar = "clocks.clock.wound"
    aggregate: ClassVar = "clock"
    example: ClassVar = {}


class Stopped(Event):
    type: ClassVar = "clocks.clock.stopped"
    aggregate: ClassVar = "clock"
    example: ClassVar = {}


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(Secrets("a secret of the tests, long enough"))


def an_event(clock: int, version: int, kind: type[Event] = Wound) -> Envelope:
    return an_envelope(kind, tenant_id=TENANT, aggregate_id=UUID(int=clock), version=version)


def test_a_token_says_what_was_written_and_when(tokens: Tokens) -> None:
    """Of each kind of event of an aggregate the last one: whoever subscribes to it has seen the others then."""
    token = tokens.issue(TENANT, [an_event(7, 1), an_event(7, 2, Stopped), an_event(7, 3), an_event(8, 1)], NOW)

    written = tokens.read(token, TENANT)

    assert written.at_s == NOW.timestamp()
    assert set(written.changes) == {
        Change(Wound.type, UUID(int=7), 3),
        Change(Stopped.type, UUID(int=7), 2),
        Change(Wound.type, UUID(int=8), 1),
    }


def test_a_write_without_events_has_a_token_too(tokens: Tokens) -> None:
    """Clients need not tell such writes from others."""
    assert tokens.read(tokens.issue(TENANT, [], NOW), TENANT).changes == ()


@pytest.mark.parametrize("text", ["", "A", "not/base64!", "é"])
def test_what_was_not_issued_is_refused(tokens: Tokens, text: str) -> None:
    """Whatever it is."""
    with pytest.raises(ValueError, match=r"not made here|padding|ascii|base64|multiple"):
        tokens.read(text, TENANT)


def test_a_token_that_was_changed_is_refused(tokens: Tokens) -> None:
    """In any of its characters."""
    token = tokens.issue(TENANT, [an_event(7, 1)], NOW)

    for place, letter in enumerate(token[:-1]):  # the last one may hold bits that mean nothing
        changed = token[:place] + ("A" if letter != "A" else "B") + token[place + 1 :]
        with pytest.raises(ValueError, match="not made here"):
            tokens.read(changed, TENANT)


def test_a_token_of_another_tenant_is_refused(tokens: Tokens) -> None:
    """It would tell whether what it names is there."""
    token = tokens.issue(TENANT, [an_event(7, 1)], NOW)

    with pytest.raises(ValueError, match="not made here"):
        tokens.read(token, OTHER)
