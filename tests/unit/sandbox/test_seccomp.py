"""The filter of a child, played through by a small machine for both architectures."""

import struct

import pytest

from rustok.sandbox.kernel import ARCHITECTURES, Architecture
from rustok.sandbox.seccomp import (
    ALLOW,
    KILL_PROCESS,
    NO_SUCH_FILE,
    PLAIN,
    SOCKET_FD,
    Instruction,
    child_filter,
)

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ANONYMOUS, _EXECUTABLE, _HIGH = 0x22, 7, 1 << 32

both = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)


def play(program: list[Instruction], audit: int, number: int, *arguments: int) -> int:
    """Do what the kernel does with a filter (seccomp(2), linux/filter.h); return its answer."""
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, audit, 0, *arguments, *(0,) * (6 - len(arguments)))
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, k = program[at]
        at += 1
        if code == _RETURN:
            return k
        if code == _LOAD:
            accumulator = struct.unpack_from("<I", data, k)[0]
            continue
        holds = {_EQUAL: accumulator == k, _AT_LEAST: accumulator >= k, _ANY_BIT: bool(accumulator & k)}[code]
        at += if_true if holds else if_false


def answer(architecture: Architecture, name: str, *arguments: int) -> int:
    return play(child_filter(architecture), architecture.audit, architecture.numbers[name], *arguments)


@both
def test_of_all_numbers_only_those_of_the_list_pass(architecture: Architecture) -> None:
    """With arguments that are all zero."""
    program = child_filter(architecture)

    passing = {number for number in range(1024) if play(program, architecture.audit, number) == ALLOW}

    assert passing == {architecture.numbers[name] for name in (*PLAIN, "mprotect", "getrusage")}


@both
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("read", (SOCKET_FD,), ALLOW),
        ("read", (0,), KILL_PROCESS),
        ("read", (SOCKET_FD | _HIGH,), KILL_PROCESS),
        ("write", (SOCKET_FD,), ALLOW),
        ("write", (2,), KILL_PROCESS),
        ("write", (SOCKET_FD | _HIGH,), KILL_PROCESS),
        ("mmap", (0, 4096, 3, _ANONYMOUS), ALLOW),
        ("mmap", (0, 4096, _EXECUTABLE, _ANONYMOUS), KILL_PROCESS),
        ("mmap", (0, 4096, 3, 2, SOCKET_FD), KILL_PROCESS),
        ("mprotect", (0, 4096, 3), ALLOW),
        ("mprotect", (0, 4096, _EXECUTABLE), KILL_PROCESS),
        ("getrusage", (0,), ALLOW),
        ("getrusage", (0xFFFFFFFF,), KILL_PROCESS),
        ("openat", (), KILL_PROCESS),
        ("prctl", (22, 2), KILL_PROCESS),
        ("timer_settime", (), KILL_PROCESS),
    ],
)
def test_arguments_decide(architecture: Architecture, name: str, arguments: tuple[int, ...], expected: int) -> None:
    """Both halves of each are looked at."""
    assert answer(architecture, name, *arguments) == expected


@both
def test_a_foreign_architecture_is_killed(architecture: Architecture) -> None:
    """Its numbers mean something else."""
    others = {other.audit for other in ARCHITECTURES.values()} - {architecture.audit} | {0x40000003}

    answers = {play(child_filter(architecture), audit, number) for audit in others for number in range(1024)}

    assert answers == {KILL_PROCESS}


def test_the_x32_numbers_are_killed() -> None:
    """They reach the same kernel under other numbers."""
    architecture = ARCHITECTURES["x86_64"]

    answers = {play(child_filter(architecture), architecture.audit, 0x40000000 | n) for n in range(1024)}

    assert answers == {KILL_PROCESS}


@both
def test_a_fruitless_call_fails_and_does_nothing(architecture: Architecture) -> None:
    """As if no file were there; nothing else is allowed for it."""
    program = child_filter(architecture, fruitless=("openat",))

    answers = {number: play(program, architecture.audit, number) for number in range(1024)}

    allowed = {architecture.numbers[name] for name in (*PLAIN, "mprotect", "getrusage")}
    assert {number for number, answer in answers.items() if answer == ALLOW} == allowed
    assert answers[architecture.numbers["openat"]] == NO_SUCH_FILE
