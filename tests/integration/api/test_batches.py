"""Many commands in one request: all or none, or each by itself; a repeated request does nothing again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar
from uuid import UUID

import httpx2
import pytest

from rustok.bootstrap import build_platform
from rustok.catalog import MODULES
from rustok.db.engine import open_engine
from rustok.db.idempotency import IdempotencyKey, RequestInProgress, find_answers
from rustok.db.unit_of_work import UnitOfWork
from rustok.dispatch import Call, Dispatcher, Outcome
from rustok.kernel.context import Context
from rustok.kernel.errors import RustokError, Unavailable
from rustok.kernel.ids import uuid7
from rustok.kernel.module import Command, Input, Module, ModuleKind, Result
from rustok.kernel.permission import Permission
from rustok.kernel.secrets import Secrets
from rustok.testing import Database, FixedClock, PlatformUnderTest, RecordingTransport, a_context
from tests.integration.api.support import (
    PRODUCTS,
    UNKNOWN_ID,
    ApiUnderTest,
    a_product,
    administrator,
    assert_problem,
    bearer,
    pointers,
    settings_for,
)


class Wind(Input):
    example: ClassVar = {"times": 2}

    times: int


class Wound(Result):
    turns: float


async def take_key(data: Wind) -> Wind:
    """Find none for what is wound backwards."""
    if data.times < 0:
        raise LookupError
    return data


async def wind_clock(_uow: UnitOfWork, data: Wind) -> Wound:
    """Divide by zero, now and then."""
    return Wound(turns=1 / data.times)


CLOCKS = Module(
    name="clocks",
    kind=ModuleKind.DOMAIN,
    summary="Clocks.",
    permissions=(Permission("clocks.clocks.write", "Wind clocks"),),
    commands=(
        Command(
            name="clocks.clocks.wind",
            summary="Wind a clock",
            permission="clocks.clocks.write",
            input=Wind,
            prepare=take_key,
            result=Wound,
            handler=wind_clock,
            route="POST /clocks",
        ),
    ),
)
BATCH = "/api/v1/commerce:batch"
CREATE = "commerce.products.create"


def creating(handle: str, **fields: Any) -> dict[str, Any]:
    texts = {"en": {"title": handle.title(), "handle": handle}}
    return {"command": CREATE, "input": {"translations": texts, **fields}}


async def send(api: ApiUnderTest, mode: str, items: list[Any], **headers: str) -> httpx2.Response:
    return await api.client.post(BATCH, json={"mode": mode, "items": items}, headers=headers)


async def handles(api: ApiUnderTest) -> list[str]:
    listed = await api.client.get(PRODUCTS, params={"limit": 100})
    return sorted(product["translations"]["en"]["handle"] for product in listed.json()["data"])


def statuses(answer: httpx2.Response) -> list[int]:
    return [result["status"] for result in answer.json()["results"]]


@pytest.mark.under_fire
@pytest.mark.parametrize("mode", ["atomic", "independent"])
async def test_a_result_an_item_in_their_order(api: ApiUnderTest, mode: str) -> None:
    """What an item answers is what its own route would answer; later items see what earlier ones have done."""
    product = (await api.client.post(PRODUCTS, json=a_product())).json()
    at = {"product_id": product["id"]}
    items = [
        creating("first"),
        {"command": "commerce.products.update", "input": {**at, "vendor": "Acme"}, "version": 1},
        {"command": "commerce.products.publish", "input": at},
        {"command": "commerce.translations.set", "input": {**at, "locale": "de", "title": "Rad"}, "version": 3},
    ]

    answer = await send(api, mode, items)

    assert (answer.status_code, statuses(answer)) == (200, [201, 200, 200, 200])
    created, *_, last = [result["body"] for result in answer.json()["results"]]
    assert (await api.client.get(f"{PRODUCTS}/{created['id']}")).json() == created
    assert (await api.client.get(f"{PRODUCTS}/{product['id']}")).json() == last
    assert (last["vendor"], last["version"], set(last["translations"])) == ("Acme", 4, {"en", "de"})


NOBODYS = {"product_id": UNKNOWN_ID}
BAD = {
    "a conflict": (creating("second"), 409, "duplicate_handle", ""),
    "a fault": (creating("Not A Slug"), 422, "invalid_input", "/input/translations/en/handle"),
    "nothing there": ({"command": "commerce.products.publish", "input": NOBODYS}, 404, "product_not_found", ""),
    "no version": ({"command": "commerce.products.delete", "input": NOBODYS}, 428, "version_required", ""),
}


@pytest.mark.under_fire
@pytest.mark.parametrize(("bad", "status", "code", "place"), BAD.values(), ids=BAD)
async def test_of_an_atomic_batch_all_or_nothing_is_done(
    api: ApiUnderTest, bad: dict[str, Any], status: int, code: str, place: str
) -> None:
    """The answer is that of the item that failed, with its place; also where the database refuses several at once."""
    answer = await send(api, "atomic", [creating("first"), creating("second"), bad, creating("third")])

    assert pointers(assert_problem(answer, status, code))[0][0] == f"#/items/2{place}"
    assert await handles(api) == []


async def test_of_an_independent_batch_the_good_items_are_done(api: ApiUnderTest) -> None:
    """Each problem is its item's, also where neighbours share a transaction."""
    items = [creating("first"), creating("first"), creating("No"), creating("second"), {"command": CREATE, "input": {}}]

    answer = await send(api, "independent", items)

    assert statuses(answer) == [201, 409, 422, 201, 422]
    problem = answer.json()["results"][1]["problem"]
    assert (problem["code"], problem["errors"][0]["pointer"]) == ("duplicate_handle", "#/items/1")
    assert await handles(api) == ["first", "second"]


async def test_five_hundred_items_are_done_at_once(api: ApiUnderTest) -> None:
    """As many as a batch may have; each has a token of its own."""
    answer = await send(api, "independent", [creating(f"item-{n}", status="active") for n in range(500)])
    await api.rustok.settle()

    assert set(statuses(answer)) == {201}
    tokens = [result["consistency"] for result in answer.json()["results"]]
    for first in range(0, 500, 16):
        token = ",".join(tokens[first : first + 16])
        shown = await api.client.get("/api/v1/search/products?locale=en", headers={"RusToK-Consistency": token})
        assert shown.headers["rustok-freshness"] == "fresh"


@pytest.mark.under_fire
@pytest.mark.parametrize("mode", ["atomic", "independent"])
async def test_a_repeated_batch_does_nothing_again(api: ApiUnderTest, mode: str) -> None:
    """Each item is answered what it was answered; what had failed is tried again."""
    items = [creating(f"item-{n}") for n in range(3)]

    first = await send(api, mode, items, **{"Idempotency-Key": "batch-1"})
    again = await send(api, mode, items, **{"Idempotency-Key": "batch-1"})

    assert [result["replayed"] for result in again.json()["results"]] == [True] * 3
    assert [{**result, "replayed": True} for result in first.json()["results"]] == again.json()["results"]
    assert await handles(api) == ["item-0", "item-1", "item-2"]


async def test_what_of_a_batch_has_failed_is_tried_again(api: ApiUnderTest) -> None:
    """Only a success is kept: the rest of the batch is not done twice."""
    items = [creating("first"), creating("taken")]
    taken = (await api.client.post(PRODUCTS, json={"translations": {"en": {"title": "T", "handle": "taken"}}})).json()

    before = await send(api, "independent", items, **{"Idempotency-Key": "batch-1"})
    await api.client.delete(f"{PRODUCTS}/{taken['id']}", headers={"If-Match": '"1"'})
    after = await send(api, "independent", items, **{"Idempotency-Key": "batch-1"})

    assert (statuses(before), statuses(after)) == ([201, 409], [201, 201])
    assert [result["replayed"] for result in after.json()["results"]] == [True, False]


@pytest.mark.under_fire
@pytest.mark.parametrize("mode", ["atomic", "independent"])
async def test_another_batch_with_the_same_key_is_refused(api: ApiUnderTest, mode: str) -> None:
    """The whole of it, also the items that are the same."""
    await send(api, mode, [creating("first")], **{"Idempotency-Key": "batch-1"})

    answer = await send(api, mode, [creating("first"), creating("second")], **{"Idempotency-Key": "batch-1"})

    assert assert_problem(answer, 422, "idempotency_key_reused")["errors"] == []
    assert await handles(api) == ["first"]


@pytest.mark.under_fire
@pytest.mark.parametrize("mode", ["atomic", "independent"])
async def test_a_batch_needs_the_permissions_of_all_its_items(api: ApiUnderTest, mode: str) -> None:
    """Nothing is done for who lacks one of them."""
    customer = bearer(await api.new_key("customer"))

    answer = await send(api, mode, [creating("first")], **customer)

    assert_problem(answer, 403, "permission_denied")
    assert await handles(api) == []


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#/mode"),
        ({"mode": "some", "items": [creating("a")]}, "#/mode"),
        ({"mode": "atomic", "items": []}, "#/items"),
        ({"mode": "atomic", "items": [creating("a")] * 501}, "#/items"),
        ({"mode": "atomic", "items": [{"command": "content.nodes.create", "input": {}}]}, "#/items/0/command"),
        ({"mode": "atomic", "items": [{"command": "commerce.imports.begin", "input": {}}]}, "#/items/0/command"),
        ({"mode": "atomic", "items": [{**creating("a"), "version": -1}]}, "#/items/0/version"),
        ({"mode": "atomic", "items": [{**creating("a"), "path": "/"}]}, "#/items/0/path"),
    ],
)
async def test_a_batch_that_does_not_fit_is_refused(shared_api: ApiUnderTest, body: Any, pointer: str) -> None:
    """With the place of the fault."""
    answer = await shared_api.client.post(BATCH, json=body)

    assert pointers(assert_problem(answer, 422, "invalid_input"))[0][0] == pointer


async def test_a_batch_may_be_larger_than_a_write_and_has_its_limits_too(shared_api: ApiUnderTest) -> None:
    """Four times as many bytes, and a hundred values an item."""
    large = "x" * 1_000_000
    items = [{"command": CREATE, "input": {"vendor": large}}]

    fits = await send(shared_api, "independent", items * 3)
    exceeds = await send(shared_api, "independent", items * 5)

    assert statuses(fits) == [422] * 3
    assert_problem(exceeds, 413, "body_too_large")


async def test_a_row_that_is_held_refuses_its_own_item_alone(rustok: PlatformUnderTest) -> None:
    """Those behind it are done; a batch does not wait for ever for any of them."""
    settings = settings_for(rustok.database, database_statement_timeout_s=0.5)
    async with ApiUnderTest.open(rustok, settings=settings) as api:
        held = (await api.client.post(PRODUCTS, json=a_product())).json()["id"]
        items = [
            creating("first"),
            {"command": "commerce.products.publish", "input": {"product_id": held}},
            creating("second"),
        ]
        async with administrator(rustok.database) as admin, admin.transaction():
            await admin.execute("SELECT FROM products WHERE id = $1 FOR UPDATE", UUID(held))

            answer = await send(api, "independent", items)

    assert statuses(answer) == [201, 503, 201]


def run_each(dispatcher: Dispatcher, calls: Sequence[Call], context: Context, *key: IdempotencyKey) -> Awaitable[Any]:
    return dispatcher.run_each(calls, lambda work: work(context), *key)


@pytest.mark.parametrize("run", [Dispatcher.run_atomic, run_each])
async def test_a_batch_that_is_under_way_is_not_begun_again(
    api: ApiUnderTest, run: Callable[..., Awaitable[Any]]
) -> None:
    """Two at the same batch would do its items out of their order."""
    key = IdempotencyKey("batch-1", "somebody", b"{}")
    async with api.rustok.platform.units.begin(api.rustok.context(api.tenant_id)) as uow:
        await find_answers(uow, [key])
        create = api.rustok.registry.commands[CREATE]
        calls = [Call(create, creating(f"item-{n}")["input"]) for n in range(2)]

        with pytest.raises(RequestInProgress):
            await run(api.rustok.platform.dispatcher, calls, api.rustok.context(api.tenant_id), key)

    assert await handles(api) == []


async def test_a_defect_in_one_item_is_told_of_that_item(database: Database) -> None:
    """Without its cause, which is in the log; what was done before it is not lost."""
    async with PlatformUnderTest.open((*MODULES, CLOCKS), database) as rustok:
        tenant_id = await rustok.create_tenant()
        wind = rustok.registry.commands["clocks.clocks.wind"]
        calls = [Call(wind, {"times": times}) for times in (1, 0, -1, 2)]

        outcomes = await run_each(rustok.platform.dispatcher, calls, rustok.context(tenant_id))

    assert [type(outcome) for outcome in outcomes] == [Outcome, RustokError, RustokError, Outcome]
    assert {str(defect).startswith("Something went wrong here") for defect in outcomes[1:3]} == {True}


async def test_a_server_that_is_away_is_asked_once(rustok: PlatformUnderTest) -> None:
    """Each item is told so."""
    create = rustok.registry.commands[CREATE]
    calls = [Call(create, creating(f"item-{n}")["input"]) for n in range(250)]
    async with open_engine("postgresql://nobody:nothing@127.0.0.1:1/none") as engine:
        platform = build_platform(
            MODULES,
            engine=engine,
            transport=RecordingTransport(),
            secrets=Secrets("a secret of the tests, long enough"),
            clock=FixedClock(),
        )
        context = a_context(uuid7(), frozenset({create.permission}))

        outcomes = await asyncio.wait_for(run_each(platform.dispatcher, calls, context), 10)

    assert {type(outcome) for outcome in outcomes} == {Unavailable}


async def test_every_module_with_commands_has_batches(shared_api: ApiUnderTest) -> None:
    """Under its own path."""
    paths = (await shared_api.client.get("/api/openapi.json")).json()["paths"]

    assert {path for path in paths if path.endswith(":batch")} == {
        f"/api/v1/{module}:batch"
        for module in ("access", "alloy", "blog", "commerce", "content", "operations", "tenants")
    }
