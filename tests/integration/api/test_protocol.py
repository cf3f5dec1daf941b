"""What `rustok api` does with clients that send too much, too slowly, or no HTTP: a real process, asked on sockets."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from api.protocol import HEAD_LIMIT_BYTES
from rustok.cli.api import api_arguments
from rustok.embedded.process import free_port
from rustok.testing import Database, DatabaseServer
from rustok.testing.platform import SECRET
from tests.integration.api.support import PRODUCTS
from tests.waiting import eventually_async

ROOT = Path(__file__).parents[3]
HOST = "127.0.0.1"
GET = b"GET /health/live HTTP/1.1\r\nHost: api.test\r\n"
HALF_A_POST = f"POST {PRODUCTS} HTTP/1.1\r\nHost: api.test\r\nContent-Length: 9\r\n\r\n{{".encode()
MIB = 1 << 20


class Server(NamedTuple):
    port: int
    pid: int


@contextmanager
def running(database: Database, **replaced: str) -> Iterator[Server]:
    """Start what `rustok api` starts, with the values of some of its arguments replaced."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RUSTOK_")},
        "RUSTOK_DATABASE_URL": database.app_url,
        "RUSTOK_SECRET": SECRET,
        "RUSTOK_LOG_LEVEL": "ERROR",
    }
    arguments = api_arguments(HOST, port)
    for option, value in replaced.items():
        arguments[arguments.index(f"--{option}") + 1] = value
    command = [sys.executable, "-m", "uvicorn", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True) as process:  # noqa: S603 - ours
        yield Server(port, process.pid)
        os.killpg(process.pid, signal.SIGKILL)


async def listening(server: Server) -> Server:
    async def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, server.port)) == 0

    await eventually_async(listens)
    return server


@pytest.fixture(scope="module")
async def server(database_server: DatabaseServer) -> AsyncIterator[Server]:
    async with database_server.throw_away() as database:
        with running(database) as server:
            yield await listening(server)


@pytest.fixture(scope="module")
async def impatient(database_server: DatabaseServer) -> AsyncIterator[Server]:
    """The same, that waits for a fifth of a second."""
    async with database_server.throw_away() as database:
        with running(database, http="tests.integration.api.impatient:Impatient") as server:
            yield await listening(server)


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, server.port), timeout=20) as connection:
        yield connection


def read_to_the_end(connection: socket.socket) -> bytes:
    """Return all that comes until the server closes."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def problem_in(answer: bytes) -> dict[str, Any]:
    """Return the one problem that *answer* is, with its id and the security headers of any other."""
    head, _, body = answer.partition(b"\r\n\r\n")
    headers = dict(line.lower().split(": ") for line in head.decode().split("\r\n")[1:])
    problem: dict[str, Any] = json.loads(body)
    assert headers["content-type"] == "application/problem+json"
    assert (headers["connection"], headers["content-length"]) == ("close", str(len(body)))
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"] == problem["request_id"]
    assert answer.startswith(b"HTTP/1.1 %d " % problem["status"])
    return problem


def test_a_head_within_the_limit_is_read(server: Server) -> None:
    """Names, values and the address count."""
    with connected(server) as connection:
        connection.sendall(GET + b"Connection: close\r\nX-Big: " + b"a" * (HEAD_LIMIT_BYTES - 100) + b"\r\n\r\n")
        answer = read_to_the_end(connection)

    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(GET + b"X-Big: " + b"a" * HEAD_LIMIT_BYTES + b"\r\n\r\n", id="a large header"),
        pytest.param(GET + b"X-Many: abcdef\r\n" * 4000 + b"\r\n", id="many headers"),
        pytest.param(b"GET /" + b"a" * HEAD_LIMIT_BYTES + b" HTTP/1.1\r\nHost: api.test\r\n\r\n", id="a long address"),
        pytest.param(GET + b"X-Endless: " + b"a" * MIB, id="a header that does not end"),
        pytest.param(GET + (b"a" * MIB), id="a name that does not end"),
        pytest.param(b"GET /" + b"a" * MIB, id="an address that does not end"),
    ],
)
def test_a_head_over_the_limit_is_a_problem(server: Server, head: bytes) -> None:
    """431, while it still comes; then the connection is closed."""
    with connected(server) as connection:
        connection.sendall(head)
        problem = problem_in(read_to_the_end(connection))

    assert (problem["status"], problem["code"], problem["retryable"]) == (431, "head_too_large", False)


@pytest.mark.parametrize("opening", [GET, GET + b"Transfer-Encoding: chunked\r\n\r\n0\r\n"])
def test_a_header_that_does_not_end_takes_no_memory(server: Server, opening: bytes) -> None:
    """Nor does a trailer, which comes after a body: they are not kept, and refused or read to nowhere."""
    process = psutil.Process(server.pid)
    before = process.memory_info().rss

    with connected(server) as connection, suppress(ConnectionError):
        connection.sendall(opening + b"X-Endless: " + b"a" * 64 * MIB)

    assert process.memory_info().rss - before < 16 * MIB


@pytest.mark.parametrize("junk", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", GET + b"No colon\r\n\r\n", b"G" * 100])
def test_what_is_no_http_is_a_problem(server: Server, junk: bytes) -> None:
    """400, as everywhere else."""
    with connected(server) as connection:
        connection.sendall(junk)
        problem = problem_in(read_to_the_end(connection))

    assert (problem["status"], problem["code"]) == (400, "bad_request")


@pytest.mark.parametrize("dribbled", [b"G", GET, GET + b"X-Slow: a"])
def test_a_head_that_does_not_arrive_is_a_problem(impatient: Server, dribbled: bytes) -> None:
    """408: whoever dribbles (slowloris) does not hold a connection."""
    with connected(impatient) as connection:
        connection.sendall(dribbled)
        problem = problem_in(read_to_the_end(connection))

    assert (problem["status"], problem["code"], problem["retryable"]) == (408, "request_timeout", True)


@pytest.mark.parametrize("said", [b"", b"\r\n\r\n"])
def test_a_connection_that_says_nothing_is_closed(impatient: Server, said: bytes) -> None:
    """Without an answer: there is no request that it could belong to."""
    with connected(impatient) as connection:
        connection.sendall(said)
        assert read_to_the_end(connection) == b""


@pytest.mark.parametrize(
    ("said", "then"),
    [
        pytest.param(GET + b"\r\n", b"\r\n", id="an empty line after a request"),
        pytest.param(HALF_A_POST, b" ", id="a body that goes on after its answer"),
        pytest.param(HALF_A_POST, b" " * 8, id="a body that ends after its answer"),
    ],
)
def test_a_connection_that_falls_silent_is_closed(impatient: Server, said: bytes, then: bytes) -> None:
    """Whatever it has said last; without another answer, which might be taken for that to the next request."""
    with connected(impatient) as connection:
        connection.sendall(said)
        answers = connection.recv(65_536)
        connection.sendall(then)
        answers += read_to_the_end(connection)

    assert answers.count(b"HTTP/1.1 ") == 1


def test_a_client_that_is_slow_but_in_time_is_served(server: Server) -> None:
    """Byte by byte, twice on one connection."""
    with connected(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for end in (b"", b"Connection: close\r\n"):
            for byte in GET + end + b"\r\n":
                connection.send(bytes([byte]))
        answers = read_to_the_end(connection)

    assert answers.count(b"HTTP/1.1 200 ") == 2


def test_a_bad_request_is_not_answered_in_the_place_of_an_earlier_one(server: Server) -> None:
    """Pipelined, they come at once: an answer too many would be taken for that of the first."""
    with connected(server) as connection:
        connection.sendall(GET.replace(b"live", b"ready") + b"\r\nno http\r\n\r\n")
        answers = read_to_the_end(connection)

    assert answers == b""
