"""The few calls of Linux that Python has no name for."""

import ctypes
import os
from collections.abc import Callable
from typing import Any, NamedTuple

_libc = ctypes.CDLL(None, use_errno=True)
_LONG = ctypes.c_long

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 24, 38
SECCOMP_MODE_FILTER = 2

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 32, 16384, 1 << 18
MNT_DETACH = 2

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000

CLOCK_PROCESS_CPUTIME_ID = 2
TIMER_ABSTIME = 1


class Architecture(NamedTuple):
    """AUDIT_ARCH (linux/audit.h) and the numbers of the calls that we name (asm/unistd.h)."""

    audit: int
    has_x32: bool
    numbers: dict[str, int]


_ALIKE = {"landlock_create_ruleset": 444, "landlock_restrict_self": 446}
ARCHITECTURES = {
    "x86_64": Architecture(
        0xC000003E,
        True,
        {
            "read": 0, "write": 1, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigreturn": 15,
            "mremap": 25, "madvise": 28, "exit": 60, "getrusage": 98, "capset": 126, "pivot_root": 155,
            "prctl": 157, "futex": 202, "restart_syscall": 219, "timer_create": 222, "timer_settime": 223,
            "clock_gettime": 228, "exit_group": 231, "openat": 257, "prlimit64": 302, "getrandom": 318, **_ALIKE,
        },
    ),
    "aarch64": Architecture(
        0xC00000B7,
        False,
        {
            "pivot_root": 41, "openat": 56, "read": 63, "write": 64, "capset": 91, "exit": 93, "exit_group": 94,
            "futex": 98, "timer_create": 107, "timer_settime": 110, "clock_gettime": 113, "restart_syscall": 128,
            "rt_sigreturn": 139, "getrusage": 165, "prctl": 167, "brk": 214, "munmap": 215, "mremap": 216,
            "mmap": 222, "mprotect": 226, "madvise": 233, "prlimit64": 261, "getrandom": 278, **_ALIKE,
        },
    ),
}  # fmt: skip


_MACHINE = os.uname().machine  # a locked down child cannot ask any more


def architecture() -> Architecture:
    """Return the architecture of this machine.

    Raises:
        OSError: there is no table for it.

    """
    try:
        return ARCHITECTURES[_MACHINE]
    except KeyError:
        raise OSError(f"there is no table of system calls for {_MACHINE}") from None


def prctl(option: int, *arguments: int) -> None:
    """Set *option* of this process (prctl(2)); missing arguments are 0."""
    prepared_prctl(option, *arguments)()


def prepared_prctl(option: int, *arguments: int) -> Callable[[], int]:
    """Make `prctl` ready, once for many processes forked from this one: each then copies fewer pages."""
    values = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    return lambda: _check(_libc.prctl(option, *values), "prctl")


def syscall(name: str, *arguments: Any) -> int:
    """Call the kernel by the name of the call; numbers and pointers as ctypes has them."""
    return prepared_syscall(name, *arguments)()


def prepared_syscall(name: str, *arguments: Any) -> Callable[[], int]:
    """Make `syscall` ready, as `prepared_prctl` does."""
    values = [_LONG(a) if isinstance(a, int) else a for a in (architecture().numbers[name], *arguments)]
    return lambda: _check(_libc.syscall(*values), name)


def unshare(flags: int) -> None:
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: bytes | None, target: bytes, kind: bytes | None, flags: int, options: bytes | None = None) -> None:
    _check(_libc.mount(source, target, kind, ctypes.c_ulong(flags), options), "mount")


def umount(target: bytes) -> None:
    _check(_libc.umount2(target, ctypes.c_int(MNT_DETACH)), "umount2")


class SockFilter(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _SockFprog(ctypes.Structure):
    _fields_ = (("len", ctypes.c_uint16), ("filter", ctypes.POINTER(SockFilter)))


class Filter:
    """A seccomp program, made once so that a child has nothing left to do but to install it."""

    def __init__(self, program: list[tuple[int, int, int, int]]) -> None:
        self._code = (SockFilter * len(program))(*(SockFilter(*instruction) for instruction in program))
        self._fprog = _SockFprog(len(program), self._code)
        self.install = prepared_prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(self._fprog))
        """Put this process under the filter, for good; it needs NO_NEW_PRIVS."""


class _SigEvent(ctypes.Structure):
    """As <signal.h> has it for SIGEV_SIGNAL: 64 bytes."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("pad", ctypes.c_char * 48),
    )


class _TimeSpec(ctypes.Structure):
    _fields_ = (("sec", ctypes.c_long), ("nsec", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class CpuTimer:
    """Has the kernel send *signum* to a process that has used so much CPU time; made once, armed in each fork."""

    def __init__(self, signum: int) -> None:
        self._number, self._spec = ctypes.c_int(), _TimerSpec()
        self._event = _SigEvent(signo=signum, notify=0)
        event, number = ctypes.byref(self._event), ctypes.byref(self._number)
        self._create = prepared_syscall("timer_create", CLOCK_PROCESS_CPUTIME_ID, event, number)

    def arm(self, cpu_s: float) -> None:
        """Send it once this process has used *cpu_s* seconds in all."""
        self._create()
        self._spec.value.sec, self._spec.value.nsec = divmod(int(cpu_s * 1e9), 10**9)
        syscall("timer_settime", self._number.value, TIMER_ABSTIME, ctypes.byref(self._spec), None)


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def drop_capabilities() -> None:
    """Give up every capability; the bounding set too, where we may."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break  # the last one, or none of ours to drop
    header, data = _CapHeader(0x20080522, 0), (_CapData * 2)()
    syscall("capset", ctypes.byref(header), ctypes.byref(data))


class _LandlockAttributes(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


_FS_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many rights over files an ABI of Landlock knows (linux/landlock.h); 16 from 5 on."""
_ABI_WITH_NET, _ABI_WITH_SCOPE = 4, 6


def landlock_abi() -> int:
    """Return the version of Landlock that this kernel has; 0 where it has none."""
    try:
        return syscall("landlock_create_ruleset", None, 0, 1)
    except OSError:
        return 0


def landlock_deny_all(abi: int) -> None:
    """Deny this process every file, port and signal to the outside that this version knows of, for good."""
    attributes = _LandlockAttributes((1 << _FS_RIGHTS.get(abi, 16)) - 1)
    size = 8
    if abi >= _ABI_WITH_NET:
        attributes.net, size = 3, 16
    if abi >= _ABI_WITH_SCOPE:
        attributes.scoped, size = 3, 24
    ruleset = syscall("landlock_create_ruleset", ctypes.byref(attributes), size, 0)
    syscall("landlock_restrict_self", ruleset, 0)
    os.close(ruleset)


def _check(returned: int, name: str) -> int:
    if returned < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return returned
