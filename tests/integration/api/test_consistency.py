"""Read your writes: what a token and a preference do to a search."""

import asyncio
import time
from threading import Event
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest

from api.consistency import LONGEST_WAIT_S, MOST_TOKENS, TOKEN
from rustok.catalog import MODULES
from rustok.db.engine import open_engine
from rustok.dispatch import Call
from rustok.events.outbox import OutboxTransport
from rustok.index.freshness import Freshness
from rustok.kernel.consistency import Change, Tokens
from rustok.runtime import SystemClock
from rustok.testing import PlatformUnderTest
from tests.integration.api.support import (
    PRODUCTS,
    ApiUnderTest,
    a_product,
    administrator,
    assert_problem,
    bearer,
    settings_for,
)
from tests.waiting import eventually_async

SEARCH = "/api/v1/search/products?locale=en"
INDEX = "index_products"


async def written(api: ApiUnderTest, **fields: Any) -> tuple[str, str]:
    """Publish a product; return its id and the token of the write."""
    answer = await api.client.post(PRODUCTS, json=a_product(status="active", **fields))
    return answer.json()["id"], answer.headers[TOKEN]


async def search(api: ApiUnderTest, token: str, prefer: str = "") -> httpx2.Response:
    headers = {TOKEN: token, **({"Prefer": prefer} if prefer else {})}
    return await api.client.get(SEARCH, headers=headers)


def found(answer: httpx2.Response) -> list[str]:
    return [hit["product_id"] for hit in answer.json()["data"]]


@pytest.mark.under_fire
async def test_a_reader_is_told_whether_the_index_shows_its_write(api: ApiUnderTest) -> None:
    """Without a preference it does not wait; a projection that has never begun is behind."""
    product, token = await written(api)

    before = await search(api, token)
    await api.rustok.settle()
    after = await search(api, token)

    assert before.headers["rustok-freshness"].startswith("stale; lag=")
    assert (after.headers["rustok-freshness"], found(after)) == ("fresh", [product])


@pytest.mark.under_fire
async def test_a_reader_that_shows_no_token_is_told_nothing(api: ApiUnderTest) -> None:
    """It has no opinion on what it should see."""
    answer = await api.client.get(SEARCH, headers={"Prefer": "wait=5, handling=strict"})

    assert answer.status_code == 200
    assert "rustok-freshness" not in answer.headers


@pytest.mark.under_fire
async def test_a_reader_waits_until_the_index_shows_its_write(api: ApiUnderTest) -> None:
    """As soon as it does, and not until its patience is at an end."""
    product, token = await written(api)

    waiting = asyncio.create_task(search(api, token, "wait=10"))
    await api.rustok.settle()
    answer = await asyncio.wait_for(waiting, 5)

    assert (answer.headers["rustok-freshness"], answer.headers["preference-applied"]) == ("fresh", "wait=10")
    assert found(answer) == [product]


async def test_a_deletion_is_waited_for_as_well(api: ApiUnderTest) -> None:
    """A tombstone has a version."""
    product, _ = await written(api)
    await api.rustok.settle()
    hidden = await api.client.post(f"{PRODUCTS}/{product}/unpublish")
    deleted = await api.client.delete(f"{PRODUCTS}/{product}", headers={"If-Match": hidden.headers["etag"]})

    before = await search(api, deleted.headers[TOKEN])
    await api.rustok.settle()
    after = await search(api, deleted.headers[TOKEN])

    assert (before.headers["rustok-freshness"][:5], found(before)) == ("stale", [product])
    assert (after.headers["rustok-freshness"], found(after)) == ("fresh", [])


@pytest.mark.under_fire
async def test_without_a_worker_the_wait_ends(api: ApiUnderTest) -> None:
    """With what there is, and how old the write is that it lacks."""
    _, token = await written(api)

    answer = await asyncio.wait_for(search(api, token, "wait=1"), LONGEST_WAIT_S)

    assert answer.status_code == 200
    freshness, lag = answer.headers["rustok-freshness"].split("; lag=")
    assert freshness == "stale"
    assert float(lag) >= 1


@pytest.mark.under_fire
async def test_a_strict_reader_gets_no_answer_without_its_write(api: ApiUnderTest) -> None:
    """503, to be tried again; once the index shows it, it is answered."""
    product, token = await written(api)

    refused = await search(api, token, "handling=strict, wait=1")
    await api.rustok.settle()
    answer = await search(api, token, "handling=strict")

    assert_problem(refused, 503, "projection_lagging")
    assert refused.headers["retry-after"] == "1"
    assert (answer.headers["preference-applied"], found(answer)) == ("handling=strict", [product])


@pytest.mark.under_fire
async def test_a_write_that_was_begun_before_another_and_committed_after_it_is_waited_for(api: ApiUnderTest) -> None:
    """A token names versions: that a place behind it in the outbox is done with means nothing."""
    rustok = api.rustok
    texts = {"en": {"title": "Earlier", "handle": "earlier"}}
    create = Call(rustok.registry.commands["commerce.products.create"], {"status": "active", "translations": texts})
    async with rustok.platform.units.begin(rustok.context(api.tenant_id)) as uow:
        await rustok.platform.dispatcher.run_within(uow, create)
        early = Tokens(uow.secrets).issue(api.tenant_id, uow.emitted, uow.now)
        await uow.flush(OutboxTransport(rustok.system_engine))
        _, late = await written(api)
        await rustok.settle()

        beside = [await search(api, token) for token in (early, late)]
    await rustok.settle()
    after = [await search(api, token) for token in (early, late)]

    assert [answer.headers["rustok-freshness"][:5] for answer in beside] == ["stale", "fresh"]
    assert [answer.headers["rustok-freshness"] for answer in after] == ["fresh", "fresh"]


@pytest.mark.under_fire
async def test_a_projection_that_does_not_subscribe_to_it_has_nothing_to_catch_up_with(api: ApiUnderTest) -> None:
    """A script is no product; a write that changed nothing has made no events."""
    script = await api.client.post("/api/v1/alloy/scripts", json={"name": "hook"})
    product, _ = await written(api)
    await api.rustok.settle()
    again = await api.client.post(f"{PRODUCTS}/{product}/publish")

    for answer in (script, again):
        assert (await search(api, answer.headers[TOKEN])).headers["rustok-freshness"] == "fresh"


@pytest.mark.under_fire
async def test_what_is_read_where_it_is_written_is_fresh(api: ApiUnderTest) -> None:
    """A module's own route follows nothing."""
    product, token = await written(api)

    answer = await api.client.get(f"{PRODUCTS}/{product}", headers={TOKEN: token, "Prefer": "wait=10"})
    unchanged = await api.client.get(f"{PRODUCTS}/{product}", headers={TOKEN: token, "If-None-Match": "*"})

    assert [each.headers["rustok-freshness"] for each in (answer, unchanged)] == ["fresh", "fresh"]
    assert unchanged.status_code == 304


@pytest.mark.under_fire
async def test_a_repeated_write_has_the_token_of_the_first(api: ApiUnderTest) -> None:
    """Its events are those that the reader waits for."""
    answers = [
        await api.client.post(PRODUCTS, json=a_product(), headers={"Idempotency-Key": "key-1"}) for _ in range(2)
    ]

    assert answers[1].headers["idempotent-replayed"] == "true"
    assert answers[0].headers[TOKEN] == answers[1].headers[TOKEN]


@pytest.mark.under_fire
async def test_several_tokens_are_waited_for_together(api: ApiUnderTest) -> None:
    """In one header or in many."""
    (_, one), (_, other) = (
        await written(api),
        await written(api, translations={"en": {"title": "Blue", "handle": "blue"}}),
    )
    twice = [(TOKEN, one), (TOKEN, other)]

    before = await search(api, f"{one}, {other}")
    await api.rustok.settle()
    after = await api.client.get(SEARCH, headers=twice)

    assert before.headers["rustok-freshness"].startswith("stale")
    assert after.headers["rustok-freshness"] == "fresh"


async def test_the_lag_is_that_of_the_write_that_is_not_shown(api: ApiUnderTest) -> None:
    """What is shown long since has none."""
    _, old = await written(api)
    await api.rustok.settle()
    await asyncio.to_thread(Event().wait, 0.3)
    began_s = time.monotonic()
    _, new = await written(api, translations={"en": {"title": "Blue", "handle": "blue"}})

    answer = await search(api, f"{old}, {new}")

    lag_s = float(answer.headers["rustok-freshness"].removeprefix("stale; lag="))
    assert lag_s < time.monotonic() - began_s + 0.2


@pytest.mark.under_fire
async def test_a_question_that_does_not_fit_is_refused_at_once(api: ApiUnderTest) -> None:
    """Nobody waits for an answer to it."""
    _, token = await written(api)

    answer = await asyncio.wait_for(
        api.client.get(f"{SEARCH}&limit=999", headers={TOKEN: token, "Prefer": "wait=10"}), 5
    )

    assert_problem(answer, 422, "invalid_input")


@pytest.mark.under_fire
async def test_a_token_that_this_tenant_was_not_given_is_refused(api: ApiUnderTest) -> None:
    """Garbage, another tenant's, or more than anybody needs."""
    _, token = await written(api)
    other = bearer(await api.new_key(tenant_id=await api.rustok.create_tenant("globex")))

    answers = [
        await search(api, "garbage"),
        await api.client.get(SEARCH, headers=[(TOKEN.encode(), "é".encode())]),
        await search(api, ",".join([token] * (MOST_TOKENS + 1))),
        await api.client.get(SEARCH, headers={TOKEN: token, **other}),
    ]

    for answer in answers:
        assert_problem(answer, 400, "invalid_header")


@pytest.mark.under_fire
@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=99", f"wait={LONGEST_WAIT_S}"),
        ("respond-async, WAIT = 3", "wait=3"),
        ('wait="2"; foo', "wait=2"),
        ("wait=0", None),
        ("handling=lenient", None),
        ("return=minimal", None),
        ("wait=soon", None),
        ("wait=1.5, handling=strict", "handling=strict"),
    ],
)
async def test_a_preference_is_applied_or_ignored(shared_api: ApiUnderTest, prefer: str, applied: str | None) -> None:
    """Of those that this API knows; a longer wait is cut (RFC 7240)."""
    token = (await shared_api.client.post("/api/v1/operations/dead-letters/redrive", json={})).headers[TOKEN]

    answer = await search(shared_api, token, prefer)

    assert (answer.status_code, answer.headers.get("preference-applied")) == (200, applied)


async def test_readers_that_wait_hold_no_connection(rustok: PlatformUnderTest) -> None:
    """Many wait while one connection serves all the others; in the end they take turns with it."""
    settings = settings_for(rustok.database, database_pool_size=1, database_pool_timeout_s=10.0)
    async with ApiUnderTest.open(rustok, settings=settings) as api:
        product, token = await written(api)
        waiting = [asyncio.create_task(search(api, token, "wait=10")) for _ in range(20)]

        meanwhile = [await api.client.get(PRODUCTS) for _ in range(5)]
        await rustok.settle()
        answers = await asyncio.gather(*waiting)

    assert {answer.status_code for answer in meanwhile} == {200}
    assert [found(answer) for answer in answers] == [[product]] * 20


async def test_readers_share_their_questions(rustok: PlatformUnderTest) -> None:
    """However many wait, PostgreSQL is asked two hundred times a second at most."""
    async with administrator(rustok.database) as admin:
        await admin.execute(f"ALTER DATABASE {rustok.database.name} SET track_functions = 'all'")
        async with open_engine(rustok.database.app_url) as engine:
            freshness = Freshness(engine, rustok.registry.projections.values(), SystemClock())
            looking = asyncio.create_task(freshness.run())
            changes = [Change("commerce.product.created", UUID(int=number), 1) for number in range(200)]
            answers = await asyncio.gather(
                *(freshness.missing(INDEX, each.aggregate_id, [each], 0.2) for each in changes)
            )
            looking.cancel()
        await eventually_async(lambda: _calls(admin))

        assert answers == [{each} for each in changes]
        assert await _calls(admin) <= 45


async def _calls(admin: asyncpg.Connection) -> int:
    """Return how often the index was looked at, as far as that has been told."""
    calls: int | None = await admin.fetchval("SELECT calls FROM pg_stat_user_functions WHERE funcname = 'index_behind'")
    return calls or 0


async def test_a_tenant_with_more_readers_than_its_share_keeps_none_of_the_others(rustok: PlatformUnderTest) -> None:
    """Its next reader is told at once that the index is behind; another tenant's waits."""
    one, other = UUID(int=1), UUID(int=2)
    changes = [Change("commerce.product.created", UUID(int=number), 1) for number in range(201)]
    async with open_engine(rustok.database.app_url) as engine:
        freshness = Freshness(engine, rustok.registry.projections.values(), SystemClock())
        waiting = [asyncio.create_task(freshness.missing(INDEX, one, [each], 600.0)) for each in changes[:200]]
        await asyncio.sleep(0)

        refused = await asyncio.wait_for(freshness.missing(INDEX, one, changes[:1], 600.0), 1)
        others = asyncio.create_task(freshness.missing(INDEX, other, changes[:1], 600.0))
        await asyncio.sleep(0)

        assert refused == set(changes[:1])
        assert not others.done()
        for task in [*waiting, others]:
            task.cancel()


async def test_a_server_that_does_not_answer_leaves_readers_behind() -> None:
    """They wait as long as they wanted to, who does not want to wait does not, and no error is theirs."""
    async with open_engine("postgresql://nobody:nothing@127.0.0.1:1/none") as engine:
        projections = [projection for module in MODULES for projection in module.projections]
        freshness = Freshness(engine, projections, SystemClock())
        looking = asyncio.create_task(freshness.run())
        change = Change("commerce.product.created", UUID(int=1), 1)

        assert await freshness.missing(INDEX, UUID(int=1), [change], 0.1) == {change}
        assert await asyncio.wait_for(freshness.missing(INDEX, UUID(int=1), [change], 0), 1.5) == {change}
        assert not looking.done()
        looking.cancel()
