"""What the broker tests share: a server to hurt, a worker to run, and waits that end."""

import itertools
import os
import signal
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import dramatiq
from dramatiq import Broker, Middleware, Worker

from rustok.embedded import RedisServer
from tests.waiting import WAIT_S
from workers.broker import StreamBroker

StreamBrokers = Callable[..., StreamBroker]
"""Makes brokers of one namespace, with StreamBroker's options."""


class Valkey:
    """A real server with an append-only file, on a port that survives its restarts."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self.port = server.port
        self.url = server.url

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop_immediately()

    def restart(self) -> None:
        self.stop()
        self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Connections stay open and nobody answers."""
        os.kill(self._server.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._server.pid, signal.SIGCONT)


class CuttingProxy(socketserver.ThreadingTCPServer):
    """Stands before a server and, instead of passing on every *every*-th reply, cuts that connection."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int, every: int) -> None:
        super().__init__(("127.0.0.1", 0), _Relay)
        self.target = ("127.0.0.1", port)
        self.url = f"redis://127.0.0.1:{self.server_address[1]}/0"
        self.cuts = 0
        self._replies = itertools.count(1)
        self._every = every

    def swallows(self) -> bool:
        cut = next(self._replies) % self._every == 0
        self.cuts += cut
        return cut

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join(WAIT_S)
            self.server_close()


class _Relay(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, CuttingProxy)
        proxy = self.server
        with suppress(OSError), socket.create_connection(proxy.target) as upstream:
            requests = threading.Thread(target=_pump, args=(self.request, upstream, bool), daemon=True)
            requests.start()
            _pump(upstream, self.request, proxy.swallows)
            requests.join(WAIT_S)


def _pump(source: socket.socket, sink: socket.socket, swallows: Callable[[], bool]) -> None:
    with suppress(OSError):
        while (data := source.recv(65_536)) and not swallows():
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def working(broker: Broker, *, threads: int = 4, prefetch: int | None = None) -> Iterator[Worker]:
    """A running worker. *prefetch* instead of Dramatiq's twice the threads."""
    worker = Worker(broker, worker_timeout=100, worker_threads=threads)
    if prefetch is not None:
        worker.queue_prefetch = prefetch
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


class Enqueueing(Protocol):
    """What the tests use of an actor."""

    queue_name: str

    def send(self, *args: object, **kwargs: object) -> dramatiq.Message[Any]: ...

    def message(self, *args: object, **kwargs: object) -> dramatiq.Message[Any]: ...


def actor(broker: Broker, fn: Callable[..., None], name: str = "act", **options: Any) -> Enqueueing:
    declared: Enqueueing = dramatiq.actor(broker=broker, actor_name=name, **options)(fn)
    return declared


class Runs:
    """An actor's body that notes the first argument of every run, in order."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def __call__(self, key: object) -> None:
        self.seen.append(key)


class Gate:
    """An actor's body that says when it has begun and runs until it is opened."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.opened = threading.Event()
        self.seen: list[Any] = []

    def __call__(self, key: object) -> None:
        self.seen.append(key)
        self.begun.release()
        assert self.opened.wait(WAIT_S)

    def wait_begun(self) -> None:
        assert self.begun.acquire(timeout=WAIT_S)


class Signals(Middleware):
    """Notes which signals were emitted for messages."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def before_enqueue(self, *_: object) -> None:
        self.seen.append("before_enqueue")

    def after_enqueue(self, *_: object) -> None:
        self.seen.append("after_enqueue")

    def before_process_message(self, *_: object) -> None:
        self.seen.append("before_process_message")

    def after_process_message(self, *_: object, **__: object) -> None:
        self.seen.append("after_process_message")

    def before_ack(self, *_: object) -> None:
        self.seen.append("before_ack")

    def after_ack(self, *_: object) -> None:
        self.seen.append("after_ack")

    def before_nack(self, *_: object) -> None:
        self.seen.append("before_nack")

    def after_nack(self, *_: object) -> None:
        self.seen.append("after_nack")


@dataclass(frozen=True)
class Subject:
    """A broker under test, and how to look at its dead letters."""

    broker: Broker
    dead_ids: Callable[[str], list[str]]
