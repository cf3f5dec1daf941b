"""A worker's view of one zygote and its children."""

import asyncio
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
from array import array
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Literal

from rustok.sandbox.contract import SandboxUnavailable
from rustok.sandbox.frames import Malformed
from rustok.sandbox.leased import Child, ChildGone, Death, send_signal
from rustok.sandbox.wire import NOTICE_BYTES, Notice, Request, What, layers_of, mask

Mode = Literal["run", "compile"]

_ROOT = Path(__file__).parents[2]
_PROGRAM = """
import os, sys
os.register_at_fork = lambda **_: None
sys.modules["_hashlib"] = None
sys.path[:0] = sys.argv[4:]
from rustok.sandbox.zygote import main
main()
"""
"""`random` would seed itself anew in each child, which has seeds of its own; `hashlib` would load all of OpenSSL."""
_ENVIRONMENT = {"PYTHONHASHSEED": "0"}
"""All that a zygote has: the order of a set of texts must be the same in a replay."""
_MOST_DESCRIPTORS = 2
_CLOSE_ON_EXEC = socket.MSG_CMSG_CLOEXEC if sys.platform == "linux" else 0
_BOOT_S, _SILENCE_S, _READY_S, _END_S = 10.0, 2.0, 10.0, 2.0


class ZygoteLost(SandboxUnavailable):
    """It has died, or does not answer."""


class NotReady(SandboxUnavailable):
    """A child ended, as *death* tells where anybody can, or had to be ended before it was locked down."""

    def __init__(self, death: Death | None) -> None:
        super().__init__("a child did not get ready")
        self.death = death


class Zygote:
    """One zygote. Once lost it stays so: boot another one."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, said: IO[bytes]) -> None:
        self._process, self._control, self._said = process, control, said
        self._loop = asyncio.get_running_loop()
        self._booted: asyncio.Future[Notice] = self._loop.create_future()
        self._forked: dict[int, tuple[int, asyncio.Future[Child]]] = {}
        """What is being forked: for how much memory, and who waits for it."""
        self._children: dict[int, Child] = {}
        self._pidfd: int | None = None
        self._retired = False
        self._heard = 0
        self.forks = 0
        self._born_s = self._loop.time()
        self.held: frozenset[str] = frozenset()
        """The layers that its children can have."""
        self.lost = asyncio.Event()
        control.setblocking(False)
        self._loop.add_reader(control.fileno(), self._on_readable)

    @classmethod
    async def boot(cls, mode: Mode, layers: Collection[str]) -> "Zygote":
        """Start a zygote and wait until it can fork.

        Raises:
            ZygoteLost: it did not start; the message ends with what it said.
        """
        try:
            process, ours, said = _start(mode, layers)
        except OSError as error:
            raise ZygoteLost(f"the zygote for {mode} did not start: {error}") from None
        zygote = cls(process, ours, said)
        try:
            async with asyncio.timeout(_BOOT_S):
                notice = await zygote._booted
        except (TimeoutError, ZygoteLost):
            said.seek(0)
            last = said.read()[-500:].decode(errors="replace").strip()
            await zygote.close()
            raise ZygoteLost(f"the zygote for {mode} did not start: {last}") from None
        except BaseException:
            await zygote.close()
            raise
        zygote.held = layers_of(notice.number)
        return zygote

    @property
    def pid(self) -> int:
        """Of the launcher, above all others of this zygote."""
        return self._process.pid

    @property
    def children(self) -> Collection[Child]:
        return self._children.values()

    @property
    def age_s(self) -> float:
        return self._loop.time() - self._born_s

    async def fork(
        self, cpu_ms: int, memory_bytes: int, layers: Collection[str], probe: str | None = None, *, hurry: bool = False
    ) -> Child:
        """Return a child that is locked down to these limits and ready; in a *hurry* it has not warmed up.

        Raises:
            ZygoteLost: the zygote is lost, or was silent for two seconds and was killed for it.
            NotReady: the child did not get ready.
        """
        if self.lost.is_set():
            raise ZygoteLost("the zygote is gone")
        child = await self._ask(cpu_ms, memory_bytes, layers, probe, hurry)
        try:
            await _see_ready(child)
        except BaseException:
            child.discard()
            raise
        return child

    async def _ask(
        self, cpu_ms: int, memory_bytes: int, layers: Collection[str], probe: str | None, hurry: bool
    ) -> Child:
        self.forks += 1
        number = self.forks
        answer: asyncio.Future[Child] = self._loop.create_future()
        self._forked[number] = memory_bytes, answer
        try:
            self._control.send(Request(number, cpu_ms, memory_bytes, layers, probe, hurry).pack())
            await self._wait(answer)
            return answer.result()
        except OSError:
            self.kill()
            raise ZygoteLost("the zygote does not listen") from None
        except asyncio.CancelledError:
            answer.add_done_callback(_discard)
            raise
        finally:
            del self._forked[number]
            self._end_if_done()

    async def _wait(self, answer: asyncio.Future[Child]) -> None:
        """Wait as long as the zygote says anything at all: it may have much to do."""
        while not answer.done():
            heard = self._heard
            await asyncio.wait((answer,), timeout=_SILENCE_S)
            if not answer.done() and self._heard == heard:
                self.kill()

    def retire(self) -> None:
        """Fork no more, and end once the last child has."""
        self._retired = True
        self._end_if_done()

    def kill(self) -> None:
        """End it and all its children now; its launcher reaps it and ends too."""
        for child in self._children.values():
            child.kill()
        if self._pidfd is not None:
            send_signal(self._pidfd, signal.SIGKILL)
        else:
            self._process.kill()
        self._lose()

    async def close(self) -> None:
        """Kill it and wait until nothing is left of it."""
        self.kill()
        await asyncio.to_thread(_reap, self._process)
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None
        self._said.close()

    def _on_readable(self) -> None:
        try:
            data, descriptors = _receive(self._control)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if len(data) < NOTICE_BYTES:
            self._lose()
            return
        self._hear(Notice.unpack(data), descriptors)

    def _hear(self, notice: Notice, descriptors: list[int]) -> None:
        self._heard += 1
        if notice.what == What.BOOTED:
            self._pidfd = descriptors[0] if descriptors else None
            _answer(self._booted, notice)
        elif notice.what == What.FORKED:
            self._welcome(notice, socket.socket(fileno=descriptors[0]), *descriptors[1:])
        elif child := self._children.pop(notice.number, None):
            child.ended(notice)
            self._end_if_done()
        elif waiting := self._forked.get(notice.number):
            _fail(waiting[1], ZygoteLost("the zygote could not fork"))

    def _welcome(self, notice: Notice, sock: socket.socket, pidfd: int | None = None) -> None:
        memory_bytes, waiting = self._forked.get(notice.number, (0, None))
        child = self._children[notice.number] = Child(notice.pid, sock, pidfd, memory_bytes)
        if waiting is None or waiting.done():
            child.discard()
        else:
            waiting.set_result(child)

    def _end_if_done(self) -> None:
        if self._retired and not self._children and not self._forked:
            self.kill()

    def _lose(self) -> None:
        if self.lost.is_set():
            return
        self.lost.set()
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        gone = ZygoteLost("the zygote is gone")
        if not self._booted.done():
            self._booted.set_exception(gone)
        for _, waiting in self._forked.values():
            _fail(waiting, gone)
        for child in self._children.values():
            child.ended(None)


def _start(mode: Mode, layers: Collection[str]) -> tuple[subprocess.Popen[bytes], socket.socket, IO[bytes]]:
    """Execute the program; return it, our end of its socket, and the file that holds what it says."""
    with ExitStack() as undo:
        ours, theirs = socket.socketpair()
        undo.callback(ours.close)
        said = undo.enter_context(tempfile.TemporaryFile())
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own program
                _command(mode, layers, theirs.fileno()),
                env=_ENVIRONMENT,
                cwd="/",
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,  # Ctrl-C at a terminal is for the worker, which ends its runs itself
            )
        undo.pop_all()
    return process, ours, said


def _command(mode: Mode, layers: Collection[str], control: int) -> list[str]:
    """Without `site` and with nothing of the environment: only the standard library and what is named here is found."""
    paths = [str(_ROOT)]
    if mode == "compile":
        found = importlib.util.find_spec("RestrictedPython")
        if found is None or found.origin is None:
            raise SandboxUnavailable("RestrictedPython is not installed")
        paths.append(str(Path(found.origin).parents[1]))
    return [sys.executable, "-s", "-S", "-P", "-c", _PROGRAM, mode, str(mask(layers)), str(control), *paths]


def _receive(control: socket.socket) -> tuple[bytes, list[int]]:
    """Return a notice and the descriptors with it, closed on exec: `socket.recv_fds` takes flags, and ignores them."""
    descriptors = array("i")
    space = socket.CMSG_LEN(_MOST_DESCRIPTORS * descriptors.itemsize)
    data, ancillary, _, _ = control.recvmsg(NOTICE_BYTES, space, _CLOSE_ON_EXEC)
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(payload[: len(payload) - len(payload) % descriptors.itemsize])
    return data, list(descriptors)


def _reap(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def _see_ready(child: Child) -> None:
    try:
        async with asyncio.timeout(_READY_S):
            await child.ready()
    except ChildGone:
        raise NotReady(await child.death()) from None
    except (TimeoutError, Malformed, KeyError, TypeError):
        raise NotReady(None) from None


def _discard(answer: asyncio.Future[Child]) -> None:
    if not answer.cancelled() and not answer.exception():
        answer.result().discard()


def _fail(answer: asyncio.Future[Child], error: SandboxUnavailable) -> None:
    if not answer.done():
        answer.set_exception(error)


def _answer(future: asyncio.Future[Notice], notice: Notice) -> None:
    if not future.done():
        future.set_result(notice)
