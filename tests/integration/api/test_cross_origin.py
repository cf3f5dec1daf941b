"""Pages of origins that an operator has named call the API from browsers; no others do."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest

from api.cross_origin import parse_origins
from rustok.kernel.errors import Misconfigured
from rustok.testing import PlatformUnderTest
from tests.integration.api.support import PRODUCTS, UNKNOWN_ID, ApiUnderTest, a_product, settings_for

SHOP = "https://shop.example.com"
ALLOWED = "access-control-allow-origin"
GRAPHQL = "/api/graphql"


@pytest.fixture
async def open_api(rustok: PlatformUnderTest) -> AsyncIterator[ApiUnderTest]:
    """An API that pages of the shop may call, with a small body and a quota of four requests."""
    fields = {"allowed_origins": f"{SHOP}, http://localhost:3000", "body_limit_bytes": 2048, "request_quota": "4/h"}
    async with ApiUnderTest.open(rustok, settings=settings_for(rustok.database, **fields)) as api:
        yield api


async def ask_beforehand(
    api: ApiUnderTest, path: str, origin: str = SHOP, method: str = "POST", headers: str = "authorization,content-type"
) -> httpx2.Response:
    """Send what a browser sends before the request of a page, which has no credential."""
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return await api.client.options(path, headers={"Origin": origin, "Authorization": "", **asked})


def names_of_headers(document: Any, place: str) -> Iterator[str]:
    """Yield the headers that a document has as parameters (`in`), or in its answers (`headers`)."""
    if isinstance(document, list):
        for each in document:
            yield from names_of_headers(each, place)
    elif isinstance(document, dict):
        if place == "in" and document.get("in") == "header":
            yield document["name"].lower()
        if place == "headers" and "description" in document:
            yield from (name.lower() for name in document.get("headers", ()))
        for each in document.values():
            yield from names_of_headers(each, place)


@pytest.mark.parametrize("path", [PRODUCTS, f"{PRODUCTS}/{UNKNOWN_ID}", GRAPHQL])
async def test_who_asks_beforehand_is_told_what_it_may_send(open_api: ApiUnderTest, path: str) -> None:
    """Without a credential, whatever the route, and as often as it likes."""
    answers = [await ask_beforehand(open_api, path, method=method) for method in ("POST", "PATCH", "DELETE", "PUT") * 2]

    assert {(answer.status_code, answer.headers[ALLOWED]) for answer in answers} == {(200, SHOP)}
    assert "X-Request-Id" in answers[0].headers


async def test_every_header_of_the_document_may_be_sent_and_read(open_api: ApiUnderTest) -> None:
    """A page needs what any other client needs."""
    document = (await open_api.client.get("/api/openapi.json", headers={"Origin": SHOP})).json()
    sent = set(names_of_headers(document, "in"))
    answered = set(names_of_headers(document, "headers"))

    asked = await ask_beforehand(open_api, PRODUCTS, headers=",".join(sent))
    read = await open_api.client.get(PRODUCTS, headers={"Origin": SHOP})

    assert (asked.status_code, len(sent) > 3, len(answered) > 8) == (200, True, True)
    exposed = {name.lower() for name in read.headers["access-control-expose-headers"].split(", ")}
    assert answered - exposed == set()


async def test_problems_are_read_by_the_page_as_well(open_api: ApiUnderTest) -> None:
    """Else a browser says of each that something went wrong, and nobody knows what."""
    client, headers = open_api.client, {"Origin": SHOP}
    answers = [
        await client.post(PRODUCTS, json=a_product(), headers=headers),
        await client.get(f"{PRODUCTS}/{UNKNOWN_ID}", headers=headers),
        await client.post(PRODUCTS, content=b"{" + b" " * 4096, headers=headers | {"Content-Type": "application/json"}),
        await client.post(GRAPHQL, json={"query": "{"}, headers=headers),
        await client.get(PRODUCTS, headers=headers),
        await client.get(PRODUCTS, headers={**headers, "Authorization": "Bearer nobody"}),
        await client.get("/nowhere", headers=headers),
    ]

    assert [answer.status_code for answer in answers] == [201, 404, 413, 400, 429, 401, 404]
    assert {answer.headers.get(ALLOWED) for answer in answers} == {SHOP}
    assert "Retry-After" in answers[4].headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", ["https://evil.example", f"{SHOP}.evil.example", "http://shop.example.com", "null"])
async def test_another_origin_is_told_nothing(open_api: ApiUnderTest, origin: str) -> None:
    """The browser keeps the answer from the page; what its request would do needs a credential."""
    asked = await ask_beforehand(open_api, PRODUCTS, origin)
    read = await open_api.client.get(PRODUCTS, headers={"Origin": origin})

    assert (asked.status_code, read.status_code) == (400, 200)
    assert (ALLOWED in asked.headers, ALLOWED in read.headers) == (False, False)


async def test_no_origin_is_allowed_unless_one_is_named(api: ApiUnderTest) -> None:
    """And what asks beforehand is a method that no route has."""
    asked = await ask_beforehand(api, GRAPHQL)
    read = await api.client.get(PRODUCTS, headers={"Origin": SHOP})

    assert (asked.status_code, read.status_code) == (405, 200)
    assert [name for name in (*asked.headers, *read.headers) if name.startswith("access-control")] == []


async def test_the_events_are_followed_from_a_page(open_api: ApiUnderTest) -> None:
    """As any other answer is read; an operation, too, as a stream."""
    await open_api.rustok.settle()
    begun = await open_api.rustok.run("jobs.dead_letters.redrive", open_api.tenant_id)
    operation = f"/api/v1/operations/{begun.operation_id}"
    await open_api.client.delete(operation)

    events = await open_api.client.get("/api/v1/events", headers={"Origin": SHOP})
    stream = await open_api.client.get(f"{operation}/events", headers={"Origin": SHOP})

    assert [(answer.status_code, answer.headers[ALLOWED]) for answer in (events, stream)] == [(200, SHOP)] * 2
    assert len(events.json()["data"]) > 0
    assert stream.text.startswith("event: cancelled\ndata: ")


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "null",
        "shop.example.com",
        f"{SHOP}/",
        f"{SHOP}:443",
        "http://a.example:80",
        "HTTPS://A.example",
        "ws://a.b",
    ],
)
def test_what_no_browser_sends_stops_the_process(text: str) -> None:
    """It would allow nobody; `*` would allow all."""
    with pytest.raises(Misconfigured, match="RUSTOK_ALLOWED_ORIGINS: number 2 is no origin"):
        parse_origins(f"http://localhost:3000,{text}")


def test_origins_are_read_in_their_order() -> None:
    """With commas; none where the setting is not there."""
    origins = ("http://localhost:3000", "https://xn--lden-loa.example", "http://[::1]:8080", "https://127.0.0.1:4430")

    assert parse_origins(" , ".join(origins)) == origins
    assert parse_origins(None) == parse_origins("") == ()
