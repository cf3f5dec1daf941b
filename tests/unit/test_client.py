"""What a typed client makes of answers that the present API never gives, and the arithmetic of its patience."""

import logging
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from rustok.client import (
    CallFailed,
    InvalidInput,
    Problem,
    Retries,
    RustokClient,
    Unavailable,
    UnexpectedAnswer,
)
from rustok.client.consistency import MOST_KEPT, Writes
from rustok.client.paths import filled

QUICK = Retries(attempts=3, first_wait_s=0.0)
LINKS = {"next": None, "prev": None}
HIT: dict[str, Any] = {
    "product_id": "01990000-0000-7000-8000-000000000000",
    "handle": "bike",
    "title": "Red bicycle",
    "vendor": None,
    "product_type": None,
    "tags": [],
    "price_min": None,
    "price_max": None,
    "on_sale": False,
    "published_at": "2026-11-27T06:30:00Z",
    "source_version": 2,
    "details": {},
}
MODULE: dict[str, Any] = {
    "name": "commerce",
    "kind": "domain",
    "summary": "",
    "depends_on": [],
    "may_be_disabled": True,
    "is_enabled": True,
}


class Answering:
    """An API that gives the same answer to every request."""

    def __init__(self, status: int, headers: dict[str, str] | None = None, **content: Any) -> None:
        self._answer: Callable[[], httpx2.Response] = lambda: httpx2.Response(status, headers=headers, **content)
        self.requests: list[httpx2.Request] = []

    def _respond(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self._answer()

    @property
    def client(self) -> RustokClient:
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._respond))
        return RustokClient("http://api.test/", "token", http=http, retries=QUICK)


async def search(api: Answering) -> list[str]:
    return [hit.title async for hit in api.client.index.products.search(locale="en")]


async def test_fields_that_a_later_version_adds_are_left_out() -> None:
    """A change within v1 only adds (ADR 0002)."""
    api = Answering(200, json={"data": [{**HIT, "rating": 5}], "page": {**LINKS, "total": 1}, "took_ms": 3})

    assert await search(api) == ["Red bicycle"]


async def test_a_choice_that_a_later_version_adds_is_read_as_it_is() -> None:
    """A new kind of module, say: the client that does not know it still lists all."""
    api = Answering(200, json={"data": [{**MODULE, "kind": "galactic"}], "version": 1})

    modules = await api.client.tenants.modules.list()

    assert [str(module.kind) for module in modules.data] == ["galactic"]


async def test_an_answer_that_lacks_what_was_promised_is_unexpected() -> None:
    """It is an exception of the client's own, whatever reads JSON."""
    api = Answering(200, json={"data": [{"title": "Red bicycle"}], "page": LINKS})

    with pytest.raises(
        UnexpectedAnswer, match=r"index\.products\.search: the answer is not what was expected"
    ) as raised:
        await search(api)

    assert raised.value.may_be_done is False


async def test_an_answer_to_a_write_that_nobody_can_read_says_that_it_may_be_done() -> None:
    """The status is that of a success."""
    api = Answering(201, json={"title": "Red bicycle"})

    with pytest.raises(UnexpectedAnswer) as raised:
        await api.client.commerce.products.create(translations={})

    assert raised.value.may_be_done


async def test_a_read_whose_connection_breaks_has_changed_nothing() -> None:
    """Nor has one that a proxy answers."""

    def break_off(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadError("broken", request=request)

    broken = RustokClient(
        "http://api.test/", "token", http=httpx2.AsyncClient(transport=httpx2.MockTransport(break_off)), retries=QUICK
    )
    for client in (broken, Answering(502, text="<html>Bad Gateway</html>").client):
        with pytest.raises(CallFailed) as raised:
            await client.tenants.modules.list()

        assert raised.value.may_be_done is False


async def test_a_code_that_is_not_known_is_a_problem_of_its_status() -> None:
    """What a caller does about it goes by the status."""
    known = {"status": 422, "code": "too_purple", "detail": "Less purple, please.", "request_id": "r1", "shade": 7}

    with pytest.raises(InvalidInput, match=r"422 too_purple: Less purple, please\. \(request r1\)"):
        await search(Answering(422, json=known))


async def test_a_status_that_is_not_known_is_the_general_problem() -> None:
    """Not one of the subclasses."""
    with pytest.raises(Problem) as raised:
        await search(Answering(418, json={"status": 418, "code": "teapot", "detail": "Short and stout."}))

    assert (type(raised.value), raised.value.code) == (Problem, "teapot")


async def test_an_answer_of_a_proxy_is_a_problem_without_a_code_of_ours() -> None:
    """It is repeated like one of the API's, since nobody knows whether the API has seen the request."""
    api = Answering(502, text="<html>Bad Gateway</html>")

    with pytest.raises(Unavailable, match="502 unknown: Bad Gateway") as raised:
        await api.client.commerce.products.create(translations={})

    assert (raised.value.attempts, raised.value.may_be_done) == (3, True)
    assert len({request.headers["Idempotency-Key"] for request in api.requests}) == 1


async def test_a_defect_of_the_server_is_not_asked_for_again() -> None:
    """500 internal_error says that it is not worth repeating; whether it was done is not known."""
    problem = {"status": 500, "code": "internal_error", "detail": "", "retryable": False}

    with pytest.raises(Problem) as raised:
        await Answering(500, json=problem).client.commerce.products.create(translations={})

    assert (raised.value.attempts, raised.value.may_be_done) == (1, True)


async def test_an_operation_that_is_to_go_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """With the day on which it may be gone, and where to read on."""
    headers = {"Deprecation": "@1798761600", "Sunset": "Thu, 01 Jul 2027 00:00:00 GMT", "Link": "</docs>"}
    client = Answering(200, headers, json={"data": [], "page": LINKS}).client

    with caplog.at_level(logging.WARNING, logger="rustok.client"):
        for _ in range(2):
            await client.index.products.search(locale="en").first()

    assert [record.getMessage() for record in caplog.records] == [
        "index.products.search is to go, on Thu, 01 Jul 2027 00:00:00 GMT: </docs>"
    ]


def test_waits_double_up_to_the_longest_and_have_chance_in_them() -> None:
    """On top of what the server asks for, so that those who are told the same do not come at once."""
    retries = Retries(first_wait_s=1.0, longest_wait_s=4.0)

    longest = [max(retries.wait_s(attempt, 0.0) for _ in range(200)) for attempt in (1, 2, 3, 9, 10_000)]
    after_ten = [retries.wait_s(1, 10.0) for _ in range(200)]

    assert [bound / 2 < wait <= bound for wait, bound in zip(longest, (1, 2, 4, 4, 4), strict=True)] == [True] * 5
    assert 10.0 <= min(after_ten) < max(after_ten) <= 11.0


def test_a_client_that_only_writes_keeps_a_bounded_number_of_tokens() -> None:
    """The newest, which are more than a batch has."""
    writes = Writes()

    for number in range(2 * MOST_KEPT):
        writes.add(f"token {number}")

    missing = [token for _, token in writes.missing("index.products.search")]
    assert missing == [f"token {number}" for number in range(MOST_KEPT, 2 * MOST_KEPT)]


def test_what_fills_a_path_is_quoted() -> None:
    """It stays one part of the path, whatever it holds."""
    assert filled("/kv/{key}", {"key": "b c?d#e%2F"}) == "/kv/b%20c%3Fd%23e%252F"
