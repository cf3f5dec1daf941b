"""Cursors are opaque and signed: what was not handed out for this very list is refused."""

import base64

import pytest

from rustok.kernel.cursor import Cursors, Place
from rustok.kernel.errors import InvalidInput
from rustok.kernel.secrets import Secrets

LIST = "tenant-1 products newest"


@pytest.fixture
def cursors() -> Cursors:
    return Cursors(Secrets("a secret of the tests, long enough"))


@pytest.mark.parametrize("position", [["2026-02-01T12:00:00Z", "01890a5d"], [None, 1.5, True], ["Ünï ☃"], []])
def test_a_cursor_comes_back_as_the_position_it_was_made_of(cursors: Cursors, position: list[object]) -> None:
    """Positions are lists of JSON values."""
    assert cursors.decode(cursors.encode(Place(position), LIST), LIST) == Place(position)


@pytest.mark.parametrize("place", [Place(None), Place(None, backwards=True), Place([7], backwards=True)])
def test_a_cursor_knows_its_direction(cursors: Cursors, place: Place) -> None:
    """It may also start at an end of the list, without a position."""
    assert cursors.decode(cursors.encode(place, LIST), LIST) == place


def test_a_cursor_cannot_be_turned_round(cursors: Cursors) -> None:
    """The direction is in the binding, not beside the position."""
    onwards = base64.urlsafe_b64decode(cursors.encode(Place([7]), LIST) + "==")
    back = base64.urlsafe_b64decode(cursors.encode(Place([7], backwards=True), LIST) + "==")

    assert (onwards[12:], onwards[:12] == back[:12]) == (back[12:], False)


def test_a_cursor_needs_no_escaping_in_a_url(cursors: Cursors) -> None:
    """RFC 4648 section 5, without padding."""
    cursor = cursors.encode(Place(["~?>" * 20]), LIST)

    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_a_cursor_of_another_list_is_refused(cursors: Cursors) -> None:
    """The binding names tenant, filter and sort: a cursor must not wander between them."""
    cursor = cursors.encode(Place([1]), LIST)

    with pytest.raises(InvalidInput) as refused:
        cursors.decode(cursor, "tenant-2 products newest")

    assert [(v.pointer, v.code) for v in refused.value.violations] == [("/after", "invalid_cursor")]


def test_a_cursor_of_another_secret_is_refused(cursors: Cursors) -> None:
    """A new secret invalidates every cursor handed out."""
    foreign = Cursors(Secrets("another secret of the tests, as long")).encode(Place([1]), LIST)

    with pytest.raises(InvalidInput):
        cursors.decode(foreign, LIST)


def test_a_position_cannot_flow_into_the_binding(cursors: Cursors) -> None:
    """The tag covers the length of the position, so that no byte can change sides."""
    raw = base64.urlsafe_b64decode(cursors.encode(Place([1]), "2]tail") + "==")
    moved = base64.urlsafe_b64encode(raw + b"2]").decode().rstrip("=")

    with pytest.raises(InvalidInput):
        cursors.decode(moved, "tail")


def test_a_cursor_with_any_byte_changed_is_refused(cursors: Cursors) -> None:
    """Neither the tag nor the position can be edited."""
    raw = base64.urlsafe_b64decode(cursors.encode(Place(["2026-02-01", 7]), LIST) + "==")

    for place in range(len(raw)):
        edited = bytes([*raw[:place], raw[place] ^ 1, *raw[place + 1 :]])
        with pytest.raises(InvalidInput):
            cursors.decode(base64.urlsafe_b64encode(edited).decode().rstrip("="), LIST)


@pytest.mark.parametrize(
    "garbage",
    ["", "a", "ab", "abc", "=", "====", "AAAAAAAAAAAAAAAA", "☃", "\ud800", "\x00", "a b", "../..", "%00", "A" * 10_000],
)
def test_garbage_is_refused_like_any_other_wrong_cursor(cursors: Cursors, garbage: str) -> None:
    """A client may send anything: it is told that this is no cursor, never with a crash."""
    with pytest.raises(InvalidInput):
        cursors.decode(garbage, LIST)
