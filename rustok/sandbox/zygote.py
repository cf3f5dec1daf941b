"""The program that children are forked from: `exec`'d by a worker, with nothing of it but one socket.

It uses `_socket`: `socket` makes enumerations of hundreds of constants, which would be in the memory of each child.
"""

import _socket
import gc
import importlib
import os
import select
import signal
import struct
import sys
import time
import warnings
from collections.abc import Collection, Sequence
from importlib.machinery import BuiltinImporter
from typing import NoReturn

from rustok.sandbox import lockdown
from rustok.sandbox.child import Order, Task, live, peak_bytes, prepare
from rustok.sandbox.probes import PROBES
from rustok.sandbox.seccomp import SOCKET_FD
from rustok.sandbox.wire import REQUEST, Notice, Request, What, layers_of, mask

_AT_A_TIME = 16
_LOADED_LATE = ("unicodedata", "encodings.latin_1", "encodings.utf_16", "encodings.cp1251")
"""What Python imports by itself when a script first needs it."""


def main() -> NoReturn:
    """Start as `zygote MODE LAYERS SOCKET`; end when the worker closes its end of the socket.

    The launcher forks the forker, which is pid 1 where namespaces are allowed, and waits for it.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no hook is to see a KeyboardInterrupt
    mode, bits, number = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    task = load(mode)
    settle(task)
    layers = layers_of(bits)
    apart = "namespaces" in layers and lockdown.leave_namespaces()
    forker = os.fork()
    if forker:
        os.close(number)
        os.waitpid(forker, 0)
        os._exit(0)
    control = _socket.socket(fileno=number)
    held = harden(layers, apart=apart)
    Forker(control, task, held).serve()
    os._exit(0)


def load(mode: str) -> Task:
    if mode == "compile":
        from rustok.sandbox.compile_task import CompileTask  # noqa: PLC0415 - a child that runs hooks must not hold it

        return CompileTask()
    from rustok.sandbox.run_task import RunTask  # noqa: PLC0415

    return RunTask()


def settle(task: Task) -> None:
    """Load what is ever needed: from here on no import finds a file, and what Python would say has no place to go."""
    for module in _LOADED_LATE:
        importlib.import_module(module)
    os.environ["TZ"] = "UTC0"
    time.tzset()
    task.rehearse()
    task.warm_up()
    warnings.simplefilter("ignore")
    sys.meta_path[:] = [BuiltinImporter]
    sys.path.clear()
    sys.stdin = sys.stdout = sys.stderr = None
    gc.collect()
    gc.disable()
    gc.freeze()


def harden(layers: Collection[str], *, apart: bool) -> frozenset[str]:
    """Give up what a forker does not need; return the layers that its children can have."""
    apart = apart and lockdown.empty_root()
    held = set(layers) if apart else set(layers) - {"namespaces"}
    if sys.platform == "linux":
        lockdown.become_nobody()
        lockdown.die_with_parent()
        if not lockdown.renounce(landlock="landlock" in layers):
            held.discard("landlock")
    return frozenset(held)


class Forker:
    """Single-threaded: forks on request, reaps, and tells how each child ended."""

    def __init__(self, control: _socket.socket, task: Task, held: frozenset[str]) -> None:
        self._control, self._task, self._held = control, task, held
        self._pid = os.getpid()
        self._prepared = prepare(held, task.fruitless)
        self._numbers: dict[int, int] = {}
        self._wake, wake = os.pipe()
        for end in (self._wake, wake):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def serve(self) -> None:
        self._tell(Notice(What.BOOTED, mask(self._held), self._pid), [pidfd(self._pid)])
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._wake in ready:
                os.read(self._wake, 4096)
                self._reap()
            if self._control.fileno() in ready:
                requests = self._requests()
                if not requests:
                    return
                for notice, descriptors in [self._fork(request) for request in requests]:
                    self._tell(notice, descriptors)

    def _requests(self) -> list[Request]:
        """Return all that wait: after each fork, whatever this process touches is copied, so it does little between."""
        data = self._control.recv(_AT_A_TIME * REQUEST.size)
        while missing := -len(data) % REQUEST.size:
            part = self._control.recv(missing)
            if not part:
                return []
            data += part
        return [Request.unpack(data[at : at + REQUEST.size]) for at in range(0, len(data), REQUEST.size)]

    def _fork(self, request: Request) -> tuple[Notice, Sequence[int | None]]:
        """Fork a child; return what to tell of it, and the descriptors that the worker gets."""
        ours, theirs = _socket.socketpair()
        try:
            pid = os.fork()
        except OSError:
            return Notice(What.EXITED, request.number, 0, -1), ()
        if not pid:
            self._become_child(request, theirs)
        self._numbers[pid] = request.number
        theirs.close()
        return Notice(What.FORKED, request.number, pid), (ours.detach(), pidfd(pid))

    def _become_child(self, request: Request, theirs: _socket.socket) -> NoReturn:
        signal.set_wakeup_fd(-1)
        keep_only(theirs.fileno())
        order = Order(request.cpu_ms, request.memory_bytes, request.layers, request.hurry)
        probe = PROBES[request.probe] if request.probe else None
        live(self._task, order, self._pid, self._prepared, probe)

    def _tell(self, notice: Notice, descriptors: Collection[int | None] = ()) -> None:
        """Send *notice*; the descriptors are the worker's from here on."""
        passed = [fd for fd in descriptors if fd is not None]
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"{len(passed)}i", *passed))
        self._control.sendmsg([notice.pack()], [rights] if passed else [])
        for fd in passed:
            os.close(fd)

    def _reap(self) -> None:
        while self._numbers:
            pid, status, used = os.wait4(-1, os.WNOHANG)
            if not pid:
                return
            cpu_us = int((used.ru_utime + used.ru_stime) * 1e6)
            if number := self._numbers.pop(pid, 0):  # pid 1 is given the orphans of others, too
                self._tell(Notice(What.EXITED, number, pid, status, cpu_us, peak_bytes(used)))


def pidfd(pid: int) -> int | None:
    """Return a descriptor of this process, where the system has such a thing."""
    return os.pidfd_open(pid) if sys.platform == "linux" else None


def keep_only(fd: int) -> None:
    """Make *fd* the only descriptor. Objects that think they own another one must never be collected here."""
    os.dup2(fd, SOCKET_FD)
    os.closerange(0, SOCKET_FD)
    os.closerange(SOCKET_FD + 1, 1 << 16)


if __name__ == "__main__":
    main()
