"""A worker's view of one child."""

import asyncio
import os
import select
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from rustok.sandbox.frames import HEADER, Kind, decode, header
from rustok.sandbox.wire import Notice

_DEATH_S = 2.0
"""How long a zygote may take to tell how a child ended."""
_FROM_NEW = {Kind.READY: 200}


class ChildGone(Exception):
    """Its end of the socket is closed."""


class Death(NamedTuple):
    """`status` as wait(2) has it; what it used as the kernel counted it, less what it had used when it was ready."""

    status: int
    cpu_us: int
    peak_bytes: int
    is_overgrown: bool = False
    """It was ended from here, for memory that its own limit should have denied it."""


class Child:
    """A process that is locked down and waits for its one piece of work."""

    def __init__(self, pid: int, sock: socket.socket, pidfd: int | None, memory_bytes: int) -> None:
        self.pid, self.memory_bytes = pid, memory_bytes
        self._is_overgrown = False
        self._sock, self._pidfd = sock, pidfd
        self._cpu_us, self._peak_bytes = 0, 0
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[Notice | None] = self._loop.create_future()
        self._received = bytearray()
        self._discarded = False
        sock.setblocking(False)

    @property
    def alive(self) -> bool:
        """As the zygote has told."""
        return not self._exit.done()

    def is_there(self) -> bool:
        """Ask the kernel: the zygote's word may be on its way, and all that wait may have died at once."""
        return self.alive and not self._discarded and (self._pidfd is None or not _is_readable(self._pidfd))

    async def ready(self) -> None:
        """Wait for the end of its lockdown.

        Raises:
            ChildGone, Malformed: it did not come to that.
        """
        _, payload = await self.receive(_FROM_NEW)
        used = decode(payload)
        self._cpu_us, self._peak_bytes = used["cpu_us"], used["peak_bytes"]

    async def send(self, data: bytes) -> None:
        try:
            sent = self._sock.send(data)  # nearly always all of it
        except BlockingIOError:
            sent = 0
        except OSError:
            raise ChildGone from None
        if sent < len(data):
            await self._send_rest(memoryview(data)[sent:])

    async def _send_rest(self, data: memoryview) -> None:
        try:
            await self._loop.sock_sendall(self._sock, data)
        except OSError:
            raise ChildGone from None

    async def receive(self, most_bytes: Mapping[Kind, int]) -> tuple[Kind, bytes]:
        """Return the next frame, of a kind and size that *most_bytes* allows.

        Raises:
            ChildGone: there is none.
            TooLong: it is longer.
            Malformed: it is none of these.
        """
        length, kind = header(await self._read(HEADER.size), most_bytes)
        return kind, await self._read(length)

    async def _read(self, length: int) -> bytes:
        while len(self._received) < length:
            try:
                part = await self._loop.sock_recv(self._sock, 1 << 16)
            except OSError:
                part = b""
            if not part:
                raise ChildGone
            self._received += part
        taken = bytes(self._received[:length])
        del self._received[:length]
        return taken

    async def death(self) -> Death | None:
        """Return how it ended, or None where nobody can tell: with its zygote, or behind its back."""
        try:
            async with asyncio.timeout(_DEATH_S):
                notice = await asyncio.shield(self._exit)
        except TimeoutError:
            return None
        if notice is None or notice.status < 0:
            return None
        return self.since_ready(notice.status, notice.cpu_us, notice.peak_bytes)

    def since_ready(self, status: int, cpu_us: int, peak_bytes: int) -> Death:
        used = max(0, cpu_us - self._cpu_us), max(0, peak_bytes - self._peak_bytes)
        return Death(status, *used, self._is_overgrown)

    def when_gone(self, call: Callable[[], None]) -> None:
        self._exit.add_done_callback(lambda _: call())

    def ended(self, notice: Notice | None) -> None:
        if not self._exit.done():
            self._exit.set_result(notice)

    def host_pid(self) -> int | None:
        """Return its number outside of its namespace, where it can be told."""
        if self._discarded or self._pidfd is None:
            return None if self._discarded else self.pid
        try:
            said = Path(f"/proc/self/fdinfo/{self._pidfd}").read_text()
        except OSError:
            return None
        return next((int(line[4:]) for line in said.splitlines() if line.startswith("Pid:")), None)

    def end_overgrown(self) -> None:
        """End it for the memory that it holds."""
        self._is_overgrown = True
        self.kill()

    def kill(self) -> None:
        """End it now, however it stands."""
        if self._discarded:
            return
        if self._pidfd is not None:
            send_signal(self._pidfd, signal.SIGKILL)
        elif self.alive:
            os.kill(self.pid, signal.SIGKILL)

    def discard(self) -> None:
        """Kill it and let go of its descriptors; a second time does nothing."""
        if self._discarded:
            return
        self.kill()
        self._discarded = True
        self._sock.close()
        if self._pidfd is not None:
            os.close(self._pidfd)


def _is_readable(pidfd: int) -> bool:
    """Tell whether the process has ended."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def send_signal(pidfd: int, number: signal.Signals) -> None:
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return
