"""What a child tries once it is locked down, to see whether a layer holds. One that ends with status 0 saw it hold."""

import _socket
import os

_SPIN = 50_000_000


def forbidden_call() -> None:
    """Must not return: seccomp kills who asks."""
    os.getpid()


def open_root() -> None:
    """Landlock refuses it; an empty root would not."""
    try:
        os.open("/", os.O_RDONLY)
    except PermissionError:
        return
    raise AssertionError


def look_around() -> None:
    """In namespaces of our own the forker is pid 1, no network is up, and the root is empty."""
    if os.getppid() != 1 or [name for _, name in _socket.if_nameindex() if name != "lo"] or os.path.exists("/usr"):  # noqa: PTH110
        raise AssertionError


def use_too_much_memory() -> None:
    try:
        bytearray(16 << 20)
    except MemoryError:
        return
    raise AssertionError


def spin() -> None:
    """Must not return: the timer kills it long before."""
    for _ in range(_SPIN):
        pass


PROBES = {
    "namespaces": look_around,
    "landlock": open_root,
    "seccomp": forbidden_call,
    "rlimits": use_too_much_memory,
    "cpu_timer": spin,
}
