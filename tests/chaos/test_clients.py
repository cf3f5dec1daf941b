"""What clients of a scenario were answered, and what they may hold the platform to, is written down as it was."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from tests.chaos.clients import Clients
from tests.chaos.evidence import Answer, Promise

TENANT = UUID(int=1)
PRODUCT = UUID(int=7)
CREATES, CHANGES, REPEATS = 2, 1, 7
"""Seeds of chance: the first product is created and left alone, is changed, is tried to be created twice."""


class Reply(NamedTuple):
    """What the server says next; a status of 0: it hangs up instead."""

    status: int
    body: Any = None
    retry_after: bool = False


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Api:
    """Gives the replies that it was told, in turn, whatever it is asked, and remembers what that was."""

    replies: list[Reply] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await _head(reader):
                self.requests.append(head)
                await reader.readexactly(int(head.headers.get("content-length", 0)))
                reply = self.replies.pop(0)
                if not reply.status:
                    break
                writer.write(_spoken(reply))
                await writer.drain()
        finally:
            writer.close()

    def keys(self) -> list[str | None]:
        """Return the Idempotency-Key of each request."""
        return [request.headers.get("idempotency-key") for request in self.requests]


async def _head(reader: asyncio.StreamReader) -> Request | None:
    try:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except asyncio.IncompleteReadError:
        return None
    method, path, _ = lines[0].split(" ")
    headers = (line.split(": ", 1) for line in lines[1:] if line)
    return Request(method, path, {name.lower(): value for name, value in headers})


def _spoken(reply: Reply) -> bytes:
    body = json.dumps(reply.body).encode()
    come_again = "Retry-After: 1\r\n" if reply.retry_after else ""
    head = f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\nContent-Length: {len(body)}\r\n{come_again}"
    return f"{head}\r\n".encode() + body


Speaking = Callable[[int, Sequence[Reply]], Clients]


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
async def clients_of(api: Api) -> AsyncIterator[Speaking]:
    """Makes clients with a seed, of the server that gives these replies."""
    made: list[Clients] = []
    async with await asyncio.start_server(api.serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

        def make(seed: int, replies: Sequence[Reply]) -> Clients:
            api.replies = list(replies)
            made.append(Clients(url, {TENANT: "rk_test"}, seed))
            return made[-1]

        yield make
        for clients in made:
            await clients.__aexit__()


def product(version: int, vendor: str = "Acme") -> dict[str, Any]:
    return {"id": str(PRODUCT), "version": version, "vendor": vendor}


CREATED = Reply(201, product(2))


async def test_each_answer_is_counted_as_what_it_was(clients_of: Speaking, api: Api) -> None:
    """A 503 that does not say when to come again is another answer than one that does; a 500 is one, too."""
    clients = clients_of(CREATES, [Reply(500), Reply(503), Reply(503, retry_after=True), Reply(502), CREATED])

    await clients.write(1)

    assert clients.answers == {
        Answer(500, False): 1,
        Answer(503, False): 1,
        Answer(503, True): 1,
        Answer(502, False): 1,
        Answer(201, False): 1,
    }
    assert api.keys() == ["create 0"] * 5


async def test_a_promise_is_what_was_answered_2xx(clients_of: Speaking) -> None:
    """Of that tenant, with the version that the answer says; an error promises nothing."""
    clients = clients_of(CREATES, [Reply(500, product(9)), CREATED])

    await clients.write(1)

    assert clients.promises == {Promise(TENANT, PRODUCT, 2)}
    assert len(clients.answered_s) == 1


async def test_a_request_without_an_answer_is_counted_and_sent_again_with_its_key(
    clients_of: Speaking, api: Api
) -> None:
    """It may have been served: another key would write twice."""
    clients = clients_of(CREATES, [Reply(0), Reply(0), CREATED])

    await clients.write(1)

    assert (clients.unanswered, api.keys()) == (2, ["create 0"] * 3)
    assert clients.answers == {Answer(201, False): 1}


async def test_a_change_is_promised_beside_the_product(clients_of: Speaking, api: Api) -> None:
    """Under the version that it was told, and with no key: the version guards it."""
    clients = clients_of(CHANGES, [CREATED, Reply(200, product(3, "Changed"))])

    await clients.write(1)

    assert clients.promises == {Promise(TENANT, PRODUCT, 2), Promise(TENANT, PRODUCT, 3)}
    assert (api.requests[1].method, api.requests[1].headers["if-match"]) == ("PATCH", '"2"')


async def test_a_change_that_is_refused_after_no_answer_was_done_before(clients_of: Speaking) -> None:
    """The client looks: what it finds is promised."""
    clients = clients_of(CHANGES, [CREATED, Reply(0), Reply(412), Reply(200, product(3, "Changed"))])

    await clients.write(1)

    assert clients.promises == {Promise(TENANT, PRODUCT, 2), Promise(TENANT, PRODUCT, 3)}
    assert (clients.unanswered, clients.refused) == (1, 1)


async def test_a_change_that_is_refused_and_was_not_done_is_a_fault(clients_of: Speaking) -> None:
    """Nobody else changes this product: whoever refuses the change has lost it, or counted wrongly."""
    clients = clients_of(CHANGES, [CREATED, Reply(412), Reply(200, product(2))])

    with pytest.raises(AssertionError):
        await clients.write(1)


async def test_a_write_that_is_refused_promises_nothing(clients_of: Speaking, api: Api) -> None:
    """A handle that is taken: that is an answer, and final."""
    clients = clients_of(REPEATS, [CREATED, Reply(409)])

    await clients.write(1)

    assert (clients.refused, clients.promises) == (1, {Promise(TENANT, PRODUCT, 2)})
    assert api.keys() == ["create 0", "again 0"]


@pytest.mark.parametrize("status", [409, 429])
async def test_who_is_told_to_come_again_does(clients_of: Speaking, api: Api, status: int) -> None:
    """A request with this key that is still under way, and a limit, are no refusals."""
    clients = clients_of(CREATES, [Reply(status, retry_after=True), CREATED])

    await clients.write(1)

    assert (clients.refused, len(clients.promises), len(api.requests)) == (0, 1, 2)


async def test_an_answer_that_nobody_expects_ends_the_run(clients_of: Speaking) -> None:
    """Else clients that are not let in would write nothing, and all of that would be right."""
    clients = clients_of(CREATES, [Reply(401)])

    with pytest.raises(AssertionError, match="was answered 401"):
        await clients.write(1)
