"""What a zygote and a child give up, in the order that works, before a line of a tenant's code runs."""

import mmap
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Collection

from rustok.sandbox import kernel, seccomp

_NOBODY = 65534
_NEW_NAMESPACES = (
    kernel.CLONE_NEWNS
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWCGROUP
)
_NEVER = (
    (resource.RLIMIT_FSIZE, 0),
    (resource.RLIMIT_CORE, 0),
    (resource.RLIMIT_NOFILE, 8),
    (resource.RLIMIT_NPROC, 0),
    (resource.RLIMIT_MEMLOCK, 0),
)
_LAST_WORDS = 0.9
"""The share of its CPU time after which a child is asked which line it runs."""


def leave_namespaces() -> bool:
    """Enter namespaces of our own; the next fork is pid 1 of them. Return whether this was allowed."""
    try:
        kernel.unshare(_NEW_NAMESPACES)
    except OSError:
        return _leave_as_user()
    return True


def _leave_as_user() -> bool:
    """Use a user namespace, which needs no privilege where it is allowed at all."""
    become_nobody()
    uid, gid = os.geteuid(), os.getegid()
    try:
        kernel.unshare(_NEW_NAMESPACES | kernel.CLONE_NEWUSER)
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - pathlib is more to load
                file.write(text)
    except OSError:
        return False
    return True


def empty_root() -> bool:
    """Put an empty file system that cannot be written in the place of the root. Return whether this was allowed."""
    try:
        kernel.mount(None, b"/", None, kernel.MS_REC | kernel.MS_PRIVATE)
        flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
        kernel.mount(b"none", b"/proc", b"tmpfs", flags, b"size=4k,mode=555")
        os.chdir("/proc")
        kernel.syscall("pivot_root", b".", b".")
        kernel.umount(b".")
        os.chdir("/")
        kernel.mount(None, b"/", None, flags | kernel.MS_REMOUNT | kernel.MS_RDONLY)
    except OSError:
        return False
    return True


def become_nobody() -> None:
    """Be a user without rights, where we may change to one; root without capabilities may not, and has none either."""
    try:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except PermissionError:
        return
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # or /proc/self, where a user namespace is set up, would be root's


def die_with_parent() -> None:
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)


def renounce(landlock: bool) -> bool:
    """Give up capabilities, privileges to come, and with *landlock* every file; return whether Landlock holds."""
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    abi = kernel.landlock_abi() if landlock else 0
    if abi:
        kernel.landlock_deny_all(abi)
    return bool(abi)


class Lockdown:
    """What a child gives up, prepared by the forker once: a child then has little to do, and few pages to copy."""

    def __init__(self, layers: Collection[str], fruitless: tuple[str, ...]) -> None:
        self._die_with_parent = kernel.prepared_prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)
        self._timers: tuple[kernel.CpuTimer, ...] = ()
        if "cpu_timer" in layers:
            self._timers = kernel.CpuTimer(signal.SIGKILL), kernel.CpuTimer(signal.SIGXCPU)
        self._base_bytes = address_space_bytes() if "rlimits" in layers else 0
        self._filter: kernel.Filter | None = None
        if "seccomp" in layers:
            self._filter = kernel.Filter(seccomp.child_filter(kernel.architecture(), fruitless))

    def die_with(self, parent: int) -> None:
        """End when *parent*, which forked this process, does.

        Raises:
            OSError: it has ended by now.
        """
        if sys.platform == "linux":
            self._die_with_parent()
        if os.getppid() != parent:
            raise OSError("the parent is gone")

    def seal(self, cpu_ms: int, memory_bytes: int, layers: Collection[str]) -> None:
        """From here on this process may use *cpu_ms* more than by now and *memory_bytes* more than its forker.

        Raises:
            OSError: the kernel does not allow it; the child must end.
        """
        if "cpu_timer" in layers:
            used_s, most_s = time.process_time(), cpu_ms / 1000
            for timer, share in zip(self._timers, (1, _LAST_WORDS), strict=True):
                timer.arm(used_s + most_s * share)
        if "rlimits" in layers:
            for limit, most in (*_NEVER, (resource.RLIMIT_AS, self._base_bytes + memory_bytes)):
                resource.setrlimit(limit, (most, most))
        if "seccomp" in layers and self._filter is not None:
            self._filter.install()


def call_for_last_words(on_last_words: Callable[[], None]) -> None:
    """Have *on_last_words* called, between two instructions of Python, at nine tenths of a child's CPU time."""
    signal.signal(signal.SIGXCPU, lambda *_: on_last_words())


def address_space_bytes() -> int:
    """Return what this process has mapped, to the page.

    There is no /proc to ask: this is the least limit under which one page more can still be had.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    low, high = 0, (1 << 24 if hard == resource.RLIM_INFINITY else hard // mmap.PAGESIZE)
    while low < high:
        middle = (low + high) // 2
        resource.setrlimit(resource.RLIMIT_AS, (middle * mmap.PAGESIZE, hard))
        try:
            mmap.mmap(-1, mmap.PAGESIZE).close()
            high = middle
        except OSError:
            low = middle + 1
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return (low - 1) * mmap.PAGESIZE
