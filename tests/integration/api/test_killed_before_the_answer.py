"""The server is killed after a commit and before its answer; the client asks again, with its key."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from rustok.testing import PlatformUnderTest
from tests.integration.api.processes import api_process
from tests.integration.api.support import PRODUCTS, administrator, bearer

EFFORTS = (
    pytest.param(10, id="10"),
    pytest.param(200, marks=[pytest.mark.deep, pytest.mark.timeout(600)], id="200"),
)


@pytest.fixture
def port(rustok: PlatformUnderTest) -> Iterator[int]:
    """The port of an API that dies when it is told to."""
    with api_process(rustok.database) as port:
        yield port


@pytest.mark.parametrize("kills", EFFORTS)
async def test_what_was_committed_is_answered_when_it_is_asked_for_again(
    rustok: PlatformUnderTest, port: int, kills: int
) -> None:
    """One row, one event, and the same answer as often as it is asked for."""
    tenant_id = await rustok.create_tenant()
    key = await rustok.run("access.api_keys.create", tenant_id, name="a key", role="owner")
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=bearer(key.token), timeout=30) as client:
        for number in range(kills):
            body = {"translations": {"en": {"title": f"Number {number}"}}}
            headers = {"Idempotency-Key": f"key-{number}"}
            with pytest.raises(httpx2.TransportError):
                await client.post(PRODUCTS, json=body, headers={**headers, "X-Die": "now"})

            first, second = [await _ask(client, body, headers) for _ in range(2)]

            assert (first.status_code, first.headers["idempotent-replayed"]) == (201, "true")
            for name in ("etag", "location", "rustok-consistency"):
                assert first.headers[name] == second.headers[name]
            assert first.content == second.content
            assert (await client.get(first.headers["location"])).json() == first.json()

    async with administrator(rustok.database) as admin:
        rows = await admin.fetchval("SELECT count(*) FROM products")
        events = await admin.fetchval("SELECT count(*) FROM outbox WHERE type = 'commerce.product.created'")
    assert (rows, events) == (kills, kills)


async def _ask(client: httpx2.AsyncClient, body: Any, headers: dict[str, str]) -> httpx2.Response:
    """Ask until there is an answer: a connection may have been taken by the one that has died."""
    while True:
        try:
            return await client.post(PRODUCTS, json=body, headers=headers)
        except httpx2.TransportError:
            await asyncio.sleep(0)
