"""An HTTP client that costs little: keep-alive connections in a process of their own, `python -m tests.bench.load`.

It reads a `Plan` as JSON from standard input and prints a `Load` as JSON. A request is a string with a number
filled in, an answer is looked at no further than its status and length.
"""

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import uvloop

_MARK = "@@"
_REFUSALS = (b"HTTP/1.1 429", b"HTTP/1.1 503")


@dataclass(frozen=True, slots=True)
class Plan:
    """`path`, `headers` and `body` may hold `@@`, which becomes a number that no other request has."""

    port: int
    path: str
    body: str
    headers: dict[str, str]
    clients: int
    seconds: float
    method: str = "POST"
    first_number: int = 0
    a_second: float = 0.0
    """Requests sent each second, whatever the answers; 0: each client sends as soon as it has its answer."""
    most: int = 0
    """Requests in all; 0: no limit. A rate needs one."""
    is_refusable: bool = False
    """Whether the load goes on after a 429 or a 503."""


@dataclass(frozen=True, slots=True)
class Load:
    """`latencies_ms` of the good answers, sorted; `sent` requests used up that many numbers.

    `refused` counts 429 and 503 where the plan expects them; they are failures else.
    """

    answers: int
    failures: int
    sent: int
    seconds: float
    latencies_ms: list[float]
    refused: int

    @property
    def a_second(self) -> float:
        return self.answers / self.seconds


class LoadFailed(Exception):
    """The client ended badly, or requests were refused."""


def start_load(plan: Plan) -> "subprocess.Popen[str]":
    """Start the client in a process of its own; `finish_load` waits for it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(asdict(plan)))
    process.stdin.close()
    return process


def finish_load(process: "subprocess.Popen[str]") -> Load:
    """Return what the client found.

    Raises:
        LoadFailed: it ended badly, or an answer was not 2xx: such a run measures something else.

    """
    assert process.stdout is not None
    with process.stdout as answer:
        text = answer.read()
    if process.wait() != 0:
        raise LoadFailed("the load client ended badly; why, it says above")
    load = Load(**json.loads(text))
    if load.failures or not load.answers:
        raise LoadFailed(f"{load.failures} of {load.sent} requests have failed")
    return load


def run_load(plan: Plan) -> Load:
    """Run the client to its end. Raises as `finish_load` does."""
    return finish_load(start_load(plan))


class _Numbers:
    """Hands out the texts of requests until the plan is over."""

    def __init__(self, plan: Plan) -> None:
        headers = {"Host": "bench", "Content-Type": "application/json", **plan.headers}
        lines = [f"{plan.method} {plan.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        self._head = "\r\n".join(lines).split(_MARK)
        self._body = plan.body.split(_MARK)
        self._length = len(plan.body.replace(_MARK, "0" * 9).encode())
        self._first = plan.first_number
        self._most = plan.most
        self.refusals = _REFUSALS if plan.is_refusable else ()
        self._until_s = time.perf_counter() + plan.seconds
        self.sent = 0

    def stop(self, refusal: bytes) -> None:
        """Send nothing more after a request was refused; show the first refusal."""
        if self._until_s:
            print(refusal.decode(), file=sys.stderr)  # noqa: T201 - whoever runs the benchmark must see it
        self._until_s = 0.0

    def next(self) -> bytes | None:
        """Return the next request; None when the time is up."""
        if time.perf_counter() >= self._until_s or (self._most and self.sent >= self._most):
            return None
        number = f"{self._first + self.sent:09d}"
        self.sent += 1
        head, body = number.join(self._head), number.join(self._body)
        return f"{head}\r\nContent-Length: {self._length}\r\n\r\n{body}".encode()


class _Client(asyncio.Protocol):
    """One connection. It sends again as soon as it is answered, unless *idle* takes it back for later."""

    def __init__(self, numbers: _Numbers, idle: "list[_Client] | None") -> None:
        self._numbers = numbers
        self._idle = idle
        self._transport: asyncio.Transport | None = None
        self._answer = b""
        self._began_s = 0.0
        self.done = asyncio.get_running_loop().create_future()
        self.latencies_s: list[float] = []
        self.failures = self.refused = 0
        self.is_waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._idle is None:
            self.send()
        else:
            self._idle.append(self)

    def send(self) -> None:
        request = self._numbers.next()
        assert self._transport is not None
        if request is None:
            self._transport.close()
            return
        self._began_s = time.perf_counter()
        self.is_waiting = True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, separator, body = self._answer.partition(b"\r\n\r\n")
        if not separator or len(body) < _content_length(head):
            return
        if self._answer.startswith(b"HTTP/1.1 2"):
            self.latencies_s.append(time.perf_counter() - self._began_s)
        elif self._answer.startswith(self._numbers.refusals):
            self.refused += 1
        else:
            self.failures += 1
            self._numbers.stop(self._answer)
        self._answer = b""
        if self._idle is None:
            self.send()
        else:
            self.is_waiting = False
            self._idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if self._idle and self in self._idle:
            self._idle.remove(self)  # the server closes what is idle for seconds
        if not self.done.done():
            self.done.set_result(None)

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()


def _content_length(head: bytes) -> int:
    start = head.lower().index(b"content-length:") + 15
    end = head.find(b"\r\n", start)
    return int(head[start : end if end >= 0 else len(head)])


async def _run(plan: Plan) -> Load:
    loop = asyncio.get_running_loop()
    numbers = _Numbers(plan)
    idle: list[_Client] | None = [] if plan.a_second else None
    began_s = time.perf_counter()
    clients = [
        (await loop.create_connection(lambda: _Client(numbers, idle), "127.0.0.1", plan.port))[1]
        for _ in range(plan.clients)
    ]
    if idle is not None:
        await _send_at_a_rate(plan, clients, idle, began_s)
        for client in clients:
            client.close()
    await asyncio.gather(*(client.done for client in clients))
    seconds = time.perf_counter() - began_s
    latencies_ms = sorted(1000 * latency_s for client in clients for latency_s in client.latencies_s)
    failures, refused = (sum(getattr(client, name) for client in clients) for name in ("failures", "refused"))
    return Load(len(latencies_ms), failures, numbers.sent, seconds, latencies_ms, refused)


async def _send_at_a_rate(plan: Plan, clients: list[_Client], idle: list[_Client], began_s: float) -> None:
    """Send on schedule. When every client waits for its answer, the schedule slips and the rate is missed."""
    for number in range(plan.most):
        due_s = began_s + number / plan.a_second
        while (left_s := due_s - time.perf_counter()) > 0 or not idle:  # noqa: ASYNC110 - the schedule is the clock's
            await asyncio.sleep(max(0.0005, left_s))
        idle.pop().send()
    while any(client.is_waiting for client in clients):  # noqa: ASYNC110 - the schedule is the clock's
        await asyncio.sleep(0.001)


def main() -> None:
    load = uvloop.run(_run(Plan(**json.load(sys.stdin))))
    json.dump(asdict(load), sys.stdout)


if __name__ == "__main__":
    main()
