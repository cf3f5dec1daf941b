"""The turns that batches take, of all tenants, and what is refused before an item is begun."""

import asyncio
from datetime import timedelta
from typing import Any

from rustok.catalog import MODULES
from rustok.kernel.module import Module
from rustok.modules.access import TooManyHashes
from rustok.testing import FixedClock, PlatformUnderTest
from tests.integration.api.support import ApiUnderTest, assert_problem, bearer
from tests.unit.modules_by_hand import Lamp, LightLamp, a_command, lamps
from tests.waiting import eventually_async

BATCH, KEYS = "/api/v1/lamps:batch", "/api/v1/access/api-keys"
TURNS = 4


def a_batch(*lamp_ids: str) -> dict[str, Any]:
    items = [{"command": "lamps.lamps.light", "input": {"lamp_id": each}} for each in lamp_ids]
    return {"mode": "independent", "items": items}


class Lamps:
    """Those that are called `slow` are lit once all may be."""

    def __init__(self) -> None:
        self.slow, self.may_be_lit = 0, asyncio.Event()
        command = a_command(handler=self.light, prepare=self.prepare)
        self.module: Module = lamps(commands=(command,), queries=(), projections=())

    async def prepare(self, data: LightLamp) -> LightLamp:
        if data.lamp_id == "busy":
            raise TooManyHashes("Try again.")
        return data

    async def light(self, _uow: object, data: LightLamp) -> Lamp:
        if data.lamp_id == "slow":
            self.slow += 1
            await self.may_be_lit.wait()
        return Lamp(lamp_id=data.lamp_id)

    async def are_all_slow(self) -> bool:
        return self.slow == TURNS


async def test_a_batch_keeps_its_turn_to_its_end(rustok: PlatformUnderTest) -> None:
    """However many transactions it takes: who comes later does not get in between."""
    lit, ended = Lamps(), list[str]()
    async with ApiUnderTest.open(rustok, modules=(*MODULES, lit.module)) as api:

        async def send(name: str, *lamp_ids: str) -> None:
            answer = await api.client.post(BATCH, json=a_batch(*lamp_ids))
            assert answer.status_code == 200, answer.text
            ended.append(name)

        large = [asyncio.create_task(send("large", "slow", *["hall"] * 120)) for _ in range(TURNS)]
        await eventually_async(lit.are_all_slow, within_s=10)
        small = asyncio.create_task(send("small", "hall"))
        lit.may_be_lit.set()
        await asyncio.gather(small, *large)

    assert ended[0] == "large"


async def test_a_key_that_expires_while_its_batch_waits_does_nothing(rustok: PlatformUnderTest) -> None:
    """Its rights are those of the moment when it has its turn."""
    lit, clock = Lamps(), FixedClock()
    async with ApiUnderTest.open(rustok, clock=clock, modules=(*MODULES, lit.module)) as api:
        end = (clock.now() + timedelta(seconds=30)).isoformat()
        key = await api.client.post(KEYS, json={"name": "a key", "role": "owner", "expires_at": end})
        headers = bearer(key.json()["token"])
        assert (await api.client.get(KEYS, headers=headers)).status_code == 200
        before = [asyncio.create_task(api.client.post(BATCH, json=a_batch("slow"))) for _ in range(TURNS)]
        await eventually_async(lit.are_all_slow, within_s=10)
        late = asyncio.create_task(api.client.post(BATCH, json=a_batch("hall"), headers=headers))
        for _ in range(100):  # it comes as far as it can
            await asyncio.sleep(0)

        clock.advance(60)
        lit.may_be_lit.set()

        assert_problem(await late, 401, "unauthenticated")
        assert [answer.status_code for answer in await asyncio.gather(*before)] == [200] * TURNS


async def test_what_is_busy_before_an_item_is_begun_keeps_none_behind_it_waiting(rustok: PlatformUnderTest) -> None:
    """As where passwords are being hashed: others need none."""
    async with ApiUnderTest.open(rustok, modules=(*MODULES, Lamps().module)) as api:
        answer = await api.client.post(BATCH, json=a_batch("hall", "busy", "stairs"))

    assert [result["status"] for result in answer.json()["results"]] == [200, 503, 200]
