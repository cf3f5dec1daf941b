"""What a client that keeps a session does while nobody answers, in time that jumps to what comes next."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import httpx2
import pytest

from rustok.client import NoAnswer, Retries, RustokClient, SignIn, UnexpectedAnswer
from rustok.modules.access.refresh_token import REPEATED_FOR
from tests.chaos.simulator.timeline import ProcessLoop, Timeline

_TOKENS = {"access_token": "an access token", "refresh_token": "a refresh token"}


class Silent:
    """An API that signs in, and answers no refresh; it knows when each of its requests came, and for what."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, float]] = []

    async def _respond(self, request: httpx2.Request) -> httpx2.Response:
        loop = asyncio.get_running_loop()
        verb = request.url.path.rpartition("/")[2]
        self.requests.append((verb, loop.time()))
        if verb == "refresh":
            await loop.create_future()
        return httpx2.Response(201, json=_TOKENS)

    def sign_in(self, retries: Retries) -> SignIn:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._respond))
        return SignIn("http://api.test", "ada@example.com", "a password", tenant="acme", retries=retries, http=http)


def in_time_that_jumps(work: Coroutine[Any, Any, None]) -> None:
    """Run *work* to its end, an hour at most of its own time."""
    defects: list[BaseException] = []
    timeline = Timeline()
    loop = ProcessLoop("client", timeline, defects.append)  # type: ignore[abstract] # what is missing raises
    task = loop.create_task(work)
    loop.run_ready()
    timeline.run_until(3600)
    task.result()
    assert defects == []


@pytest.mark.parametrize("retries", [Retries(), Retries(attempts=100, budget_s=600, timeout_s=60)])
def test_a_refresh_is_repeated_only_as_long_as_the_server_takes_its_token_again(retries: Retries) -> None:
    """Whenever the first request was done, no later one looks like the reuse of a stolen token."""
    api = Silent()

    async def lose_the_answers() -> None:
        source = api.sign_in(retries)
        await source()
        with pytest.raises(NoAnswer):
            await source()

    in_time_that_jumps(lose_the_answers())

    sent = [at_s for verb, at_s in api.requests if verb == "refresh"]
    assert len(sent) > 1
    assert sent[-1] - sent[0] < REPEATED_FOR.total_seconds()


def test_a_token_whose_refresh_may_be_done_is_not_sent_later() -> None:
    """It would look stolen by then: the next call signs in."""
    api = Silent()

    async def ask_three_times() -> None:
        source = api.sign_in(Retries(attempts=1))
        await source()
        with pytest.raises(NoAnswer):
            await source()
        await source()

    in_time_that_jumps(ask_three_times())

    assert [verb for verb, _ in api.requests] == ["sessions", "refresh", "sessions"]


def test_a_session_of_which_nobody_knows_whether_it_was_refreshed_is_ended_by_signing_out() -> None:
    """The server takes any of its tokens for that."""
    api = Silent()

    async def sign_out() -> None:
        source = api.sign_in(Retries(attempts=1))
        await source()
        with pytest.raises(NoAnswer):
            await source()
        await source.sign_out()

    in_time_that_jumps(sign_out())

    assert [verb for verb, _ in api.requests] == ["sessions", "refresh", "sign-out"]


async def test_an_answer_to_a_sign_in_that_has_no_tokens_is_unexpected() -> None:
    """As any other of the client's."""
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _request: httpx2.Response(201, json={})))
    source = SignIn("http://api.test", "ada@example.com", "a password", tenant="acme", http=http)

    with pytest.raises(UnexpectedAnswer, match=r"access\.sessions\.open"):
        await source()


async def test_it_closes_its_connections_when_it_is_left() -> None:
    """Also those on which nobody was signed in; a client that was given stays open."""
    async with SignIn(
        "http://127.0.0.1:1", "ada@example.com", "a password", tenant="acme", retries=Retries(attempts=1)
    ) as source:
        with pytest.raises(NoAnswer):
            await source()
    with pytest.raises(RuntimeError, match="closed"):
        await source()

    async with httpx2.AsyncClient() as given:
        async with SignIn("http://127.0.0.1:1", "ada@example.com", "a password", tenant="acme", http=given):
            pass
        assert not given.is_closed


def test_a_write_for_which_there_was_no_token_is_not_done() -> None:
    """What may be done is the sign-in's alone."""
    api = Silent()

    async def write() -> None:
        signed_in = api.sign_in(Retries(attempts=1))
        await signed_in()
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(api._respond))
        client = RustokClient("http://api.test", signed_in, http=http)
        with pytest.raises(NoAnswer, match=r"access\.sessions\.refresh") as raised:
            await client.commerce.products.create(translations={})
        assert raised.value.may_be_done is False

    in_time_that_jumps(write())

    assert [verb for verb, _ in api.requests] == ["sessions", "refresh"]
