"""Access rules that change all the time: whoever changes them, or does something else meanwhile, is served."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

import httpx2

from rustok.catalog import MODULES
from rustok.db.unit_of_work import StaleAuthorization, UnitOfWork
from rustok.kernel.module import Command, Input, Module, ModuleKind, Result
from rustok.kernel.permission import Permission
from rustok.testing import FixedClock, PlatformUnderTest
from tests.integration.api.graphql.support import fault, post
from tests.integration.api.support import PRODUCTS, ApiUnderTest, a_product, assert_problem
from tests.waiting import eventually_async

ROLES = "/api/v1/access/roles"


class Turn(Input):
    example: ClassVar = {}


class Vane(Result):
    degrees: int


async def turn(_uow: UnitOfWork, _data: Turn) -> Vane:
    """Be overtaken by a change of the rules, each time."""
    raise StaleAuthorization


def weather(prepare: Callable[[Turn], Awaitable[Turn]] | None = None) -> Module:
    return Module(
        name="weather",
        kind=ModuleKind.DOMAIN,
        summary="Turns vanes.",
        depends_on=("tenants",),
        permissions=(Permission("weather.vanes.turn", "Turn vanes"),),
        commands=(
            Command(
                name="weather.vanes.turn",
                summary="Turn a vane",
                permission="weather.vanes.turn",
                input=Turn,
                result=Vane,
                prepare=prepare,
                handler=turn,
                route="POST /vanes",
            ),
        ),
    )


def statuses(answers: Sequence[httpx2.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


async def test_rules_that_many_change_at_once_are_all_changed(api: ApiUnderTest) -> None:
    """One after the other, as tools that declare them do, ten at a time."""
    answers = await asyncio.gather(*(api.client.post(ROLES, json={"name": f"role-{n}"}) for n in range(10)))

    assert statuses(answers) == {201: 10}


async def test_other_writes_go_on_beside_changes_of_rules(api: ApiUnderTest) -> None:
    """Nobody is told to try again."""
    ended = asyncio.Event()

    async def write(writer: int) -> list[httpx2.Response]:
        answers: list[httpx2.Response] = []
        while not ended.is_set():
            texts = {"en": {"title": "Kettle", "handle": f"kettle-{writer}-{len(answers)}"}}
            answers.append(await api.client.post(PRODUCTS, json=a_product(translations=texts)))
        return answers

    async def change() -> list[httpx2.Response]:
        try:
            return [await api.client.post(ROLES, json={"name": f"role-{number}"}) for number in range(30)]
        finally:
            ended.set()

    changed, *written = await asyncio.gather(change(), *(write(writer) for writer in range(8)))

    assert statuses(changed) == {201: 30}
    assert statuses([answer for answers in written for answer in answers]).keys() == {201}


async def test_who_is_overtaken_each_time_is_told_so_after_two_seconds(rustok: PlatformUnderTest) -> None:
    """With rights that have ceased to hold, nothing is done."""
    clock = FixedClock()
    async with ApiUnderTest.open(rustok, clock=clock, modules=(*MODULES, weather())) as api:
        answer = await api.client.post("/api/v1/weather/vanes", json={})

    problem = assert_problem(answer, 503, "unavailable")
    assert (problem["retryable"], answer.headers["retry-after"]) == (True, "1")
    assert 2.0 <= clock.monotonic_s() <= 2.2


async def test_so_is_whoever_asks_by_graphql(rustok: PlatformUnderTest) -> None:
    """A command that takes nothing has no input there."""
    async with ApiUnderTest.open(rustok, clock=FixedClock(), modules=(*MODULES, weather())) as api:
        answer = await post(api, "mutation { turnVane { degrees } }")

    assert fault(answer)["code"] == "unavailable"


class Standstill(FixedClock):
    """Whoever sleeps does so until all may wake."""

    def __init__(self) -> None:
        super().__init__()
        self.sleeping, self.may_wake = 0, asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.sleeping += 1
        await self.may_wake.wait()
        await super().sleep(seconds)


async def test_batches_that_are_overtaken_keep_no_other_waiting(rustok: PlatformUnderTest) -> None:
    """While they pause they have none of the turns that batches take."""
    clock = Standstill()
    async with ApiUnderTest.open(rustok, clock=clock, modules=(*MODULES, weather())) as api:
        body = {"mode": "atomic", "items": [{"command": "weather.vanes.turn", "input": {}}]}
        overtaken = [asyncio.create_task(api.client.post("/api/v1/weather:batch", json=body)) for _ in range(8)]

        async def are_pausing() -> bool:
            return clock.sleeping == len(overtaken)

        await eventually_async(are_pausing, within_s=5)

        good = {"mode": "atomic", "items": [{"command": "commerce.products.create", "input": a_product()}]}
        answer = await api.client.post("/api/v1/commerce:batch", json=good)

        clock.may_wake.set()
        assert answer.status_code == 200
        assert statuses(await asyncio.gather(*overtaken)) == {503: len(overtaken)}


async def test_what_a_command_prepares_is_prepared_once(rustok: PlatformUnderTest) -> None:
    """It may be costly, as the hash of a password: nobody pays for it at each attempt."""
    prepared: list[Turn] = []

    async def prepare(data: Turn) -> Turn:
        prepared.append(data)
        return data

    async with ApiUnderTest.open(rustok, clock=FixedClock(), modules=(*MODULES, weather(prepare))) as api:
        answer = await api.client.post("/api/v1/weather/vanes", json={})

    assert_problem(answer, 503, "unavailable")
    assert len(prepared) == 1
