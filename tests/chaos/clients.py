"""Clients that write over HTTP as `docs/write-client.md` says: one key a write, repeated until it is answered."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, islice, takewhile
from typing import Any, Self
from uuid import UUID

import httpx2

from tests.chaos.evidence import Answer, Promise

PRODUCTS = "/api/v1/commerce/products"

_AGAIN_S = 0.1
_TIMEOUT_S = 30.0
_SERVER_ERROR = 500
_REFUSED = (409, 412)


class Clients:
    """Any number of clients that take turns with the tenants. What they were promised is kept.

    Of a hundred writes about 65 create a published product, 30 change one and 5 are refused after their rows were
    written: a handle that is taken.
    """

    def __init__(self, url: str, tokens: Mapping[UUID, str], seed: int) -> None:
        self.promises: set[Promise] = set()
        self.answers: Counter[Answer] = Counter()
        self.unanswered = 0
        """Requests whose connection ended without an answer; each was sent again with its key."""
        self.replayed = 0
        """Writes that were done though their answer was lost: they were sent again, and answered as the first time."""
        self.refused = 0
        self.answered_s: list[float] = []
        """When writes were answered 2xx, on the monotonic clock."""
        self.tenants = list(tokens)
        self._chance = random.Random(seed)
        self._tokens = tokens
        self._numbers = count()
        # Shorter than the server's 5 s: a request on a connection that the server is just closing gets no answer.
        limits = httpx2.Limits(max_connections=100, keepalive_expiry=2.0)
        self._http = httpx2.AsyncClient(base_url=url, timeout=_TIMEOUT_S, limits=limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._http.aclose()

    async def write(
        self, count: int, *, at_once: int = 16, pause_s: float = 0.0, tenants: Sequence[UUID] | None = None
    ) -> None:
        """Have *count* products created, each with what follows, by *at_once* clients of these *tenants*, or of all.

        Each client pauses after each product.
        """
        await self._write(islice(self._numbers, count), at_once, tenants or self.tenants, pause_s)

    async def write_until(self, is_over: Callable[[], bool], *, at_once: int, pause_s: float) -> None:
        """Go on writing as `write` does, until *is_over*."""
        await self._write(takewhile(lambda _: not is_over(), self._numbers), at_once, self.tenants, pause_s)

    async def _write(self, numbers: Iterator[int], at_once: int, tenants: Sequence[UUID], pause_s: float) -> None:
        async def client() -> None:
            for number in numbers:
                await self._live(tenants[number % len(tenants)], number)
                await asyncio.sleep(pause_s)

        await asyncio.gather(*(client() for _ in range(at_once)))

    async def _live(self, tenant_id: UUID, number: int) -> None:
        """Create one product; some are changed afterwards, some are tried to be created twice."""
        title = f"Thing {number}"
        product = await self._send(
            tenant_id, "POST", PRODUCTS, _product(title), {"Idempotency-Key": f"create {number}"}
        )
        if product is None:
            return
        dice = self._chance.random()
        if dice < 0.3:
            await self._change(tenant_id, product)
        elif dice < 0.35:
            await self._send(tenant_id, "POST", PRODUCTS, _product(title), {"Idempotency-Key": f"again {number}"})

    async def _change(self, tenant_id: UUID, product: Any) -> None:
        """Change a product that nobody else changes."""
        path, seen = f"{PRODUCTS}/{product['id']}", {"If-Match": f'"{product["version"]}"'}
        if await self._send(tenant_id, "PATCH", path, {"vendor": "Changed"}, seen) is None:
            # 412 after a request without an answer: it may have been done, so look and compare.
            found = await self._send(tenant_id, "GET", path, None, {})
            assert (found["version"], found["vendor"]) == (product["version"] + 1, "Changed"), found

    async def _send(self, tenant_id: UUID, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Any:
        """Repeat a request until it is answered for good; return what a 2xx says, None when it was refused."""
        known = {"Authorization": f"Bearer {self._tokens[tenant_id]}", **headers}
        while True:
            try:
                answer = await self._http.request(method, path, headers=known, json=body)
            except httpx2.TransportError:
                self.unanswered += 1
                await asyncio.sleep(_AGAIN_S)
                continue
            says_when = "Retry-After" in answer.headers
            self.answers[Answer(answer.status_code, says_when)] += 1
            self.replayed += "Idempotent-Replayed" in answer.headers
            if answer.is_success:
                return self._promised(tenant_id, answer.json())
            if answer.status_code in _REFUSED and not says_when:
                self.refused += 1
                return None
            if answer.status_code < _SERVER_ERROR and not says_when:
                raise AssertionError(f"{method} {path} was answered {answer.status_code}: {answer.text}")
            await asyncio.sleep(_AGAIN_S)

    def _promised(self, tenant_id: UUID, product: Any) -> Any:
        self.promises.add(Promise(tenant_id, UUID(product["id"]), product["version"]))
        self.answered_s.append(time.monotonic())
        return product


def _product(title: str) -> dict[str, Any]:
    return {
        "status": "active",
        "vendor": "Acme",
        "tags": ["thing"],
        "translations": {
            "en": {"title": title, "description": "A thing of English words"},
            "de": {"title": f"Ding {title}", "description": "Ein Ding deutscher Wörter"},
        },
        "variants": [{"prices": {"EUR": {"amount": 100}}}],
    }
