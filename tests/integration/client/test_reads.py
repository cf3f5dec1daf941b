"""A typed client shows the index what it has written, by itself."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import httpx2
import pytest

from rustok.client import InvalidInput, ReadYourWrites, RustokClient, Unavailable
from rustok.client.consistency import TOKEN
from tests.integration.api.support import ApiUnderTest
from tests.integration.client.support import QUICK, a_product, client_of


@pytest.fixture
def looks(api: ApiUnderTest) -> Sequence[int]:
    """How many tokens each search has shown."""
    shown: list[int] = []

    async def note(request: httpx2.Request) -> None:
        if "/search/" in request.url.path:
            shown.append(len([token for token in request.headers.get(TOKEN, "").split(",") if token]))

    api.client.event_hooks = {"request": [note]}
    return shown


async def titles(client: RustokClient) -> set[str]:
    return {hit.title async for hit in client.index.products.search(locale="en", limit=100)}


async def test_a_search_after_a_write_shows_it(client: RustokClient, api: ApiUnderTest) -> None:
    """It waits for the index, and no longer than until that shows the write."""
    await a_product(client, "Red bicycle", status="active")

    searching = asyncio.ensure_future(titles(client))
    await api.rustok.settle()

    assert await searching == {"Red bicycle"}


async def test_arguments_of_a_search_are_sent_as_the_api_reads_them(client: RustokClient, api: ApiUnderTest) -> None:
    """A list, a choice of two, and what is left out."""
    await a_product(client, "Red bicycle", status="active", tags=["city", "red"])
    await a_product(client, "Blue bicycle", status="active", tags=["city"])
    await api.rustok.settle()

    found = client.index.products.search(locale="en", tags=["city", "red"], on_sale=False, sort="title")

    assert [hit.title async for hit in found] == ["Red bicycle"]


async def test_a_write_that_was_shown_is_not_waited_for_again(
    client: RustokClient, api: ApiUnderTest, looks: Sequence[int]
) -> None:
    """By the same kind of search; another reads another table."""
    await a_product(client, status="active")
    await api.rustok.settle()

    for _ in range(2):
        await titles(client)
    await client.index.content.search(locale="en").first()
    await a_product(client, "Blue bicycle", status="active")
    await api.rustok.settle()
    await titles(client)

    assert looks == [1, 0, 1, 1]


async def test_a_search_after_more_writes_than_a_request_can_name_shows_them_all(
    client: RustokClient, api: ApiUnderTest, looks: Sequence[int]
) -> None:
    """Sixteen at a time; those of a batch too."""
    names = {f"Number {number}" for number in range(40)}
    await client.commerce.batch([a_product(client, name, status="active") for name in names], mode="independent")
    await api.rustok.settle()

    assert await titles(client) == names
    assert looks == [16, 16, 8]


async def test_a_search_that_has_waited_in_vain_answers_without_the_write(
    api: ApiUnderTest, looks: Sequence[int]
) -> None:
    """Nobody delivers events here. It waits once, whatever is missing, and is told again next time."""
    client = client_of(api, read_your_writes=ReadYourWrites(wait_s=0))
    for number in range(20):
        await a_product(client, f"Number {number}", status="active")

    assert await titles(client) == set()
    assert await titles(client) == set()
    assert looks == [16, 16]


async def test_a_strict_reader_gets_no_answer_without_its_write(api: ApiUnderTest) -> None:
    """503 projection_lagging, again and again, and then the exception."""
    strict = ReadYourWrites(wait_s=0, is_strict=True)
    client = client_of(api, read_your_writes=strict, retries=replace(QUICK, attempts=2))
    await a_product(client, status="active")

    with pytest.raises(Unavailable, match="projection_lagging") as raised:
        await titles(client)

    assert (raised.value.attempts, raised.value.may_be_done) == (2, False)


async def test_who_wants_no_part_in_it_is_not_kept_waiting(api: ApiUnderTest, looks: Sequence[int]) -> None:
    """None as `read_your_writes`."""
    client = client_of(api, read_your_writes=None)
    await a_product(client, status="active")

    assert await titles(client) == set()
    assert looks == [0]


async def test_tokens_that_the_api_cannot_read_are_refused_once(client: RustokClient) -> None:
    """Those of before a change of the secret, say: whoever kept them could never search again."""
    client.index._conversation.remember("of another secret")

    with pytest.raises(InvalidInput, match="invalid_header"):
        await titles(client)

    assert await titles(client) == set()


async def test_a_visitor_names_the_tenant_and_searches(api: ApiUnderTest) -> None:
    """Without a token, where the storefront is open."""
    await a_product(client_of(api), status="active")
    await api.rustok.settle()
    await api.rustok.run("tenants.storefronts.open", api.tenant_id)

    async with httpx2.AsyncClient(transport=api.client._transport) as http:
        visitor = RustokClient("http://api.test", tenant="acme", http=http)

        assert await titles(visitor) == {"Red bicycle"}
