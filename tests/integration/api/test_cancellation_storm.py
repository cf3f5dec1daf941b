"""Connections go from tenant to tenant, also those whose request was given up in mid-query: nobody sees another's."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from rustok.testing import PlatformUnderTest
from tests.integration.api.support import PRODUCTS, ApiUnderTest, a_product, bearer, settings_for

TENANTS = 50
CONNECTIONS = 4
AT_A_TIME = 12
CANCELLED = 0.05
SEED = 20261127
EFFORTS = (
    pytest.param(1_000, id="1000"),
    pytest.param(10_000, marks=[pytest.mark.deep, pytest.mark.timeout(600)], id="10000"),
)


@dataclass(slots=True)
class Storm:
    """`served`: who asked, and whose each row of the answer is."""

    api: ApiUnderTest
    served: list[tuple[str, str]] = field(default_factory=list)
    cancelled: int = 0

    async def ask(self, number: int, slug: str, token: str, patience_s: float | None) -> None:
        """Send a write or a read, and give it up after *patience_s*."""
        texts = {"en": {"title": slug, "handle": f"{slug}-{number}"}}
        try:
            async with asyncio.timeout(patience_s):
                if number % 4 == 0:
                    body = a_product(vendor=slug, translations=texts)
                    answer = await self.api.client.post(PRODUCTS, json=body, headers=bearer(token))
                else:
                    answer = await self.api.client.get(PRODUCTS, headers=bearer(token))
        except TimeoutError:
            self.cancelled += 1
            return
        assert answer.is_success or answer.status_code == 503, answer.text
        rows = answer.json().get("data", [answer.json()]) if answer.is_success else []
        self.served += ((slug, product["vendor"]) for product in rows)


@pytest.mark.parametrize("requests", EFFORTS)
async def test_nobody_sees_anothers_rows(rustok: PlatformUnderTest, requests: int) -> None:
    """Reads and writes in turns, of fifty tenants over four connections, one in twenty given up."""
    chance = random.Random(SEED)
    settings = settings_for(rustok.database, database_pool_size=CONNECTIONS)
    async with ApiUnderTest.open(rustok, settings=settings) as api:
        storm, tokens = Storm(api), {}
        for number in range(TENANTS):
            slug = f"tenant-{number}"
            tokens[slug] = await api.new_key(tenant_id=await rustok.create_tenant(slug))
            await storm.ask(0, slug, tokens[slug], None)
        plan = []
        for number in range(1, requests):
            patience_s = chance.uniform(0, 0.02) if chance.random() < CANCELLED else None
            plan.append((number, f"tenant-{chance.randrange(TENANTS)}", patience_s))
        plan.reverse()

        async def work() -> None:
            while plan:
                number, slug, patience_s = plan.pop()
                await storm.ask(number, slug, tokens[slug], patience_s)

        await asyncio.gather(*(work() for _ in range(AT_A_TIME)))
        afterwards = await asyncio.gather(*(api.client.get(PRODUCTS) for _ in range(2 * CONNECTIONS)))

    assert {pair for pair in storm.served if pair[0] != pair[1]} == set()
    assert len({slug for slug, _ in storm.served}) == TENANTS
    assert len(storm.served) > requests
    assert storm.cancelled > requests * CANCELLED / 4
    assert {answer.status_code for answer in afterwards} == {200}, "connections were lost"
