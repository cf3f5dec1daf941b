"""A module goes off and on again while clients write and events flow: nothing is lost, and the index is right."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from sqlalchemy import text

from rustok.db.transaction import run_alone
from rustok.testing import PlatformUnderTest
from tests.checksums import index_checksums, source_checksums
from tests.integration.api.support import PRODUCTS, ApiUnderTest, a_product, settings_for
from tests.waiting import eventually_async

WRITERS = 8
SWITCHES = 10
_PRODUCTS = text("SELECT id FROM products")
_CREATED = text("SELECT aggregate_id AS id FROM event_log WHERE type = 'commerce.product.created'")
WRITES_BETWEEN = (
    pytest.param(40, id="40"),
    pytest.param(1_000, marks=[pytest.mark.deep, pytest.mark.timeout(600)], id="1000"),
)


@dataclass(slots=True)
class Load:
    """Clients that write without a pause. `is_off` is None while a switch is under way: either answer is right then."""

    api: ApiUnderTest
    is_off: bool | None = False
    made: list[UUID] = field(default_factory=list)
    answers: Counter[tuple[bool | None, int]] = field(default_factory=Counter)
    ended: bool = False

    async def write(self, writer: int) -> None:
        number = 0
        while not self.ended:
            number += 1
            texts = {"en": {"title": "Kettle", "handle": f"kettle-{writer}-{number}"}}
            before = self.is_off
            answer = await self.api.client.post(PRODUCTS, json=a_product(status="active", translations=texts))
            known = before if before == self.is_off else None
            self.answers[known, answer.status_code] += 1
            if answer.status_code == 201:
                self.made.append(UUID(answer.json()["id"]))
            else:
                assert answer.json()["code"] == "module_off", answer.text

    async def switch(self, *, to_on: bool) -> None:
        self.is_off = None
        answer = await self.api.client.put("/api/v1/tenants/modules/commerce", json={"is_enabled": to_on})
        assert answer.status_code == 200, answer.text
        self.is_off = not to_on

    async def pass_by(self, writes: int) -> None:
        """Wait until so many more were answered."""
        until = self.answers.total() + writes

        async def has_passed() -> bool:
            return self.answers.total() >= until

        await eventually_async(has_passed, within_s=120.0)


async def settle_on(rustok: PlatformUnderTest, load: Load) -> None:
    while not load.ended:
        await rustok.settle()


@pytest.mark.parametrize("writes", WRITES_BETWEEN)
async def test_a_module_goes_off_and_on_under_load(rustok: PlatformUnderTest, writes: int) -> None:
    """404 while it is off, 201 while it is on; what was made is there, once, with its event, and in the index."""
    async with ApiUnderTest.open(rustok, settings=settings_for(rustok.database, database_pool_size=4)) as api:
        load = Load(api)
        async with asyncio.TaskGroup() as group:
            group.create_task(settle_on(rustok, load))
            for writer in range(WRITERS):
                group.create_task(load.write(writer))
            for number in range(SWITCHES):
                await load.pass_by(writes)
                await load.switch(to_on=number % 2 == 1)
            load.ended = True

    assert load.answers[True, 404] > 0
    assert load.answers[False, 201] > 0
    assert (load.answers[True, 201], load.answers[False, 404]) == (0, 0)
    await rustok.settle()
    for made in (_PRODUCTS, _CREATED):
        assert sorted(row.id for row in await run_alone(rustok.system_engine, made)) == sorted(load.made)
    index = await index_checksums(rustok.system_engine)
    assert index == await source_checksums(rustok.system_engine)
    assert index[api.tenant_id][0] == len(load.made)
