"""Frames from a hostile child: they are strict JSON of ours, or refused."""

import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustok.sandbox.frames import (
    HEADER,
    Kind,
    Malformed,
    TooLong,
    decode,
    frame,
    header,
    json_frame,
    read_frame,
    write_all,
)


def test_a_frame_is_length_kind_and_payload() -> None:
    """Little-endian; the length is that of the payload."""
    assert frame(Kind.JOB, b"{}") == b"\x02\x00\x00\x00\x02{}"
    assert json_frame(Kind.LINE, "é") == b'\x04\x00\x00\x00\x12"\xc3\xa9"'
    assert header(b"\x02\x00\x00\x00\x02", {Kind.JOB: 2}) == (2, Kind.JOB)


def test_a_length_is_looked_at_before_anything_is_read() -> None:
    """A child cannot make its host allocate."""
    with pytest.raises(TooLong):
        header(HEADER.pack(3, Kind.RESULT), {Kind.RESULT: 2, Kind.CALL: 9})


def test_a_kind_that_may_not_come_is_refused() -> None:
    """However short it is."""
    with pytest.raises(Malformed):
        header(HEADER.pack(2, Kind.READY), {Kind.RESULT: 2})


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"1 2",
        b"\xff",
        b"NaN",
        b"-Infinity",
        b"1e999",
        b'{"a": 1, "a": 2}',
        b'"\\ud800"',
        b'{"\\udfff": 1}',
        b'"\\u0000"',
        b'"\x00"',
        b"9223372036854775808",
        b"-9223372036854775809",
        b"9" * 5000,
        b"[" * 41 + b"]" * 41,
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda payload: f"{len(payload)} {payload[:20]!r}",
)
def test_what_is_no_strict_json_is_refused(payload: bytes) -> None:
    """With the one error, whatever it is."""
    with pytest.raises(Malformed):
        decode(payload)


def test_the_parts_of_a_value_can_be_limited() -> None:
    """The list itself is one."""
    assert decode(b"[0, [0]]", most_nodes=4) == [0, [0]]
    with pytest.raises(Malformed):
        decode(b"[0, [0, 0]]", most_nodes=4)


def test_without_a_limit_there_may_be_as_many_parts_as_fit() -> None:
    """An operator may allow results of some megabytes."""
    assert len(decode(b"[" + b"0," * 1_000_000 + b"0]")) == 1_000_001


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -(2**63), 2**63 - 1, 1.5, "", "привет 🙂", [], {}, {"a": [{"b": None}]}, [[]] * 1000],
)
def test_strict_json_comes_back_as_it_was(value: Any) -> None:
    """Every kind of it."""
    assert decode(json_frame(Kind.RESULT, value)[HEADER.size :]) == value


@given(st.binary(max_size=400))
def test_any_bytes_are_json_or_refused(data: bytes) -> None:
    """Nothing else is ever raised."""
    try:
        value = decode(data)
    except Malformed:
        return
    assert value == json.loads(data)


_JSONLIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_JSONLIKE)
def test_what_python_calls_json_is_refused_or_kept(value: Any) -> None:
    """Numbers beyond the limits and surrogates too."""
    try:
        decoded = decode(json.dumps(value).encode())
    except Malformed:
        return
    assert decoded == value


@given(st.binary(min_size=HEADER.size, max_size=HEADER.size), st.integers(0, 1 << 20))
def test_any_header_is_known_or_refused(data: bytes, most_bytes: int) -> None:
    """What is known is within its limit."""
    try:
        length, kind = header(data, dict.fromkeys(Kind, most_bytes))
    except Malformed:
        return
    assert length <= most_bytes
    assert kind in Kind


def test_a_child_reads_whole_frames() -> None:
    """However they come in; an end in the middle is an end."""
    ours, theirs = os.pipe()
    write_all(theirs, frame(Kind.CODE, b"abc") + frame(Kind.JOB, b"{}") + b"\x09")
    os.close(theirs)

    assert read_frame(ours) == (Kind.CODE, b"abc")
    assert read_frame(ours) == (Kind.JOB, b"{}")
    with pytest.raises(EOFError):
        read_frame(ours)
    os.close(ours)
