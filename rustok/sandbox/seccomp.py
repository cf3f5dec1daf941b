"""The filter of a child: a list of system calls, each with what its arguments must be; any other one kills it.

The last line, and the one that matters: a child can read and write its one socket, get and give back anonymous
memory, look at its clock, and end.
"""

import errno
from collections.abc import Iterator

from rustok.sandbox.kernel import Architecture

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, k (linux/filter.h)."""

KILL_PROCESS, ALLOW = 0x80000000, 0x7FFF0000
NO_SUCH_FILE = 0x00050000 | errno.ENOENT
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_X32 = 0x40000000
_PROT_EXEC, _MAP_ANONYMOUS, _RUSAGE_SELF = 4, 0x20, 0

SOCKET_FD = 3
"""The one descriptor of a child."""

PLAIN = (
    "brk", "munmap", "mremap", "exit_group", "clock_gettime", "getrandom",
    "futex", "madvise", "exit", "rt_sigreturn", "restart_syscall",
)  # fmt: skip
"""Allowed with any arguments. `read`, `write`, `mmap`, `mprotect` and `getrusage` are allowed with some."""


def child_filter(architecture: Architecture, fruitless: tuple[str, ...] = ()) -> list[Instruction]:
    """Return the filter for *architecture*: it kills foreign architectures first, then looks at the number.

    Calls in *fruitless* do nothing and fail, as if no file were there.
    """
    kill = (_RETURN, 0, 0, KILL_PROCESS)
    program: list[Instruction] = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, architecture.audit), kill]
    program.append((_LOAD, 0, 0, _NUMBER))
    if architecture.has_x32:
        program += [(_AT_LEAST, 0, 1, _X32), kill]
    for name, body in _rules(fruitless):
        program += [(_EQUAL, 0, len(body), architecture.numbers[name]), *body]
    return [*program, kill]


def _rules(fruitless: tuple[str, ...]) -> Iterator[tuple[str, list[Instruction]]]:
    """Yield what is allowed, and what decides once the number fits: it must end with an answer."""
    yield "read", _if_argument_is(0, SOCKET_FD)
    yield "write", _if_argument_is(0, SOCKET_FD)
    yield "mmap", _if_not_executable(if_so=_if_anonymous())
    yield "mprotect", _if_not_executable(if_so=[(_RETURN, 0, 0, ALLOW)])
    yield "getrusage", _if_argument_is(0, _RUSAGE_SELF)
    for name in PLAIN:
        yield name, [(_RETURN, 0, 0, ALLOW)]
    for name in fruitless:
        yield name, [(_RETURN, 0, 0, NO_SUCH_FILE)]


def _if_argument_is(index: int, value: int) -> list[Instruction]:
    return [
        (_LOAD, 0, 0, _low(index)),
        (_EQUAL, 0, 3, value),
        (_LOAD, 0, 0, _low(index) + 4),
        (_EQUAL, 0, 1, 0),
        (_RETURN, 0, 0, ALLOW),
        (_RETURN, 0, 0, KILL_PROCESS),
    ]


def _if_not_executable(if_so: list[Instruction]) -> list[Instruction]:
    return [(_LOAD, 0, 0, _low(2)), (_ANY_BIT, 0, 1, _PROT_EXEC), (_RETURN, 0, 0, KILL_PROCESS), *if_so]


def _if_anonymous() -> list[Instruction]:
    return [
        (_LOAD, 0, 0, _low(3)),
        (_ANY_BIT, 0, 1, _MAP_ANONYMOUS),
        (_RETURN, 0, 0, ALLOW),
        (_RETURN, 0, 0, KILL_PROCESS),
    ]


def _low(index: int) -> int:
    """Return the offset of an argument's low half; both our architectures are little-endian."""
    return _ARGUMENTS + 8 * index
