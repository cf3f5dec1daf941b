"""`GET /api/v1/events`: a tenant follows its own log from outside."""

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from rustok.events.feed import _LOOK, _PLANNED_ANEW, _READ
from rustok.kernel.ids import uuid7
from tests.integration.api.support import ApiUnderTest, administrator, assert_problem, bearer, pointers
from tests.integration.events.log import connected

EVENTS = "/api/v1/events"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_WRITE = """
    INSERT INTO event_log (position, shard, event_id, type, schema_version, tenant_id, aggregate_type, aggregate_id,
                           aggregate_version, correlation_id, causation_id, actor, occurred_at, payload)
    SELECT head + number, 0, gen_random_uuid(), $3, 1, $1, 'lamp', gen_random_uuid(), 1, gen_random_uuid(),
           gen_random_uuid(), 'test:log', now(), '{}'
      FROM generate_series(1, $2) AS number,
           (SELECT coalesce(max(position), 0) AS head FROM event_log) AS log
"""


async def write(api: ApiUnderTest, count: int, tenant_id: UUID | None = None, kind: str = "lamps.lamp.lit") -> None:
    """Put events into the log, at its end."""
    async with administrator(api.database) as admin:
        await admin.execute(_WRITE, tenant_id or api.tenant_id, count, kind)


async def page(
    api: ApiUnderTest, after: str | None = None, **parameters: Any
) -> tuple[list[dict[str, Any]], str, bool]:
    """Return the events of a page, its cursor, and whether there is more."""
    wanted = {**parameters, **({} if after is None else {"after": after})}
    answer = await api.client.get(EVENTS, params=wanted)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["data"], body["page"]["next"], body["page"]["has_more"]


async def pages(api: ApiUnderTest, **parameters: Any) -> AsyncIterator[Sequence[dict[str, Any]]]:
    """Follow the log to its end."""
    cursor, has_more = None, True
    while has_more:
        events, cursor, has_more = await page(api, cursor, **parameters)
        yield events


async def types(api: ApiUnderTest, **parameters: Any) -> list[str]:
    return [event["type"] async for events in pages(api, **parameters) for event in events]


@pytest.mark.under_fire
async def test_the_log_is_read_from_its_start_and_each_event_once(api: ApiUnderTest) -> None:
    """In pages of any size, in the order in which things happened."""
    product = await api.create()
    await api.client.delete(f"/api/v1/commerce/products/{product['id']}", headers={"If-Match": '"1"'})
    await api.rustok.settle()

    found = [events async for events in pages(api, limit=2)]

    assert [[event["type"] for event in events] for events in found] == [
        ["rustok.tenants.tenant.created.v1", "rustok.access.service_principal.created.v1"],
        ["rustok.access.api_key.created.v2", "rustok.commerce.product.created.v1"],
        ["rustok.commerce.product.deleted.v1"],
    ]


@pytest.mark.under_fire
async def test_an_event_is_a_cloud_event(api: ApiUnderTest) -> None:
    """Every attribute, with what led here."""
    request_id = str(uuid7())
    answer = await api.client.post(
        "/api/v1/commerce/products",
        json={"translations": {"en": {"title": "Red bicycle"}}},
        headers={"X-Request-Id": request_id, "traceparent": TRACEPARENT},
    )
    product_id = answer.json()["id"]
    await api.rustok.settle()

    [[event], _, _] = await page(api, type="commerce.product.created")

    assert UUID(event.pop("id")).version == 7
    assert event.pop("time").endswith("Z")
    assert UUID(event.pop("causationid"))
    assert event == {
        "specversion": "1.0",
        "source": f"/tenants/{api.tenant_id}/commerce",
        "type": "rustok.commerce.product.created.v1",
        "subject": f"product/{product_id}",
        "datacontenttype": "application/json",
        "dataschema": "urn:rustok:event:commerce.product.created.v1",
        "tenantid": str(api.tenant_id),
        "correlationid": request_id,
        "partitionkey": product_id,
        "traceparent": TRACEPARENT,
        "data": {"locales": ["en"], "variants": 0},
    }


@pytest.mark.under_fire
async def test_an_attribute_without_a_value_is_absent(api: ApiUnderTest) -> None:
    """As the specification of CloudEvents would have it."""
    await api.rustok.settle()

    [[event, *_], _, _] = await page(api)

    assert "traceparent" not in event


@pytest.mark.under_fire
async def test_the_cursor_of_the_end_shows_what_comes_later(api: ApiUnderTest) -> None:
    """There is always one: whoever keeps it misses nothing, and sees nothing twice."""
    await api.rustok.settle()
    _, cursor, has_more = await page(api)
    await api.create()

    before = await page(api, cursor)
    await api.rustok.settle()
    events, _, _ = await page(api, cursor)

    assert (has_more, before[0], before[2]) == (False, [], False)
    assert [event["type"] for event in events] == ["rustok.commerce.product.created.v1"]


@pytest.mark.under_fire
@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("lamps.lamp.lit", ["lit"]),
        ("lamps.lamp.*", ["lit", "broken"]),
        ("lamps.*", ["lit", "broken", "moved"]),
        ("lamps.la.*", []),
        ("*", ["created", "created", "created", "lit", "broken", "moved"]),
    ],
)
async def test_a_filter_shows_the_events_of_these_types(api: ApiUnderTest, pattern: str, found: list[str]) -> None:
    """One type, or all below a name."""
    await api.rustok.settle()
    for kind in ("lamps.lamp.lit", "lamps.lamp.broken", "lamps.shade.moved"):
        await write(api, 1, kind=kind)

    assert [name.split(".")[-2] for name in await types(api, type=pattern)] == found


@pytest.mark.under_fire
async def test_a_page_looks_at_so_many_events_and_no_more(api: ApiUnderTest) -> None:
    """However few of them the filter lets through; the cursor goes on behind what was looked at."""
    await api.rustok.settle()
    await write(api, 2500)
    await write(api, 1, kind="lamps.lamp.broken")

    found = [len(events) async for events in pages(api, type="lamps.lamp.broken")]

    assert found == [0, 0, 1]


@pytest.mark.under_fire
async def test_a_full_page_that_ends_with_the_look_is_followed_by_what_comes_next(api: ApiUnderTest) -> None:
    """The limit and the end of the log are met at the same event."""
    await write(api, 4)

    assert [len(events) async for events in pages(api, limit=2)] == [2, 2]


@pytest.mark.under_fire
async def test_a_tenant_follows_its_own_events_only(api: ApiUnderTest) -> None:
    """Those of others take places of the log between them."""
    other = uuid7()
    for tenant_id in (api.tenant_id, other, api.tenant_id, other):
        await write(api, 1, tenant_id)

    events, cursor, _ = await page(api)
    later, _, _ = await page(api, cursor)

    assert ({event["tenantid"] for event in events}, len(events), later) == ({str(api.tenant_id)}, 2, [])


@pytest.mark.under_fire
async def test_following_takes_a_permission(api: ApiUnderTest) -> None:
    """Events tell of keys and scripts: owners and administrators have it, managers do not."""
    answers = {
        role: await api.client.get(EVENTS, headers=bearer(await api.new_key(role)))
        for role in ("owner", "admin", "manager", "editor", "customer")
    }

    assert {role: answer.status_code for role, answer in answers.items()} == {
        "owner": 200, "admin": 200, "manager": 403, "editor": 403, "customer": 403,
    }  # fmt: skip
    assert "outbox.events.read" in assert_problem(answers["manager"], 403, "permission_denied")["detail"]


@pytest.mark.under_fire
@pytest.mark.parametrize("parameters", [{}, {"type": "lamps.*"}])
async def test_a_cursor_belongs_to_its_filter(api: ApiUnderTest, parameters: dict[str, str]) -> None:
    """With another one it would pass over what that one wants."""
    _, cursor, _ = await page(api, type="lamps.lamp.lit")

    answer = await api.client.get(EVENTS, params={"after": cursor, **parameters})

    assert pointers(assert_problem(answer, 422, "invalid_input")) == [("#/after", "invalid_cursor")]


@pytest.mark.under_fire
@pytest.mark.parametrize("pattern", ["", "Lamps", "lamps.*.lit", "lamps.", "*.lit", "lamps*", "a" * 201])
async def test_a_filter_that_is_none_is_refused(api: ApiUnderTest, pattern: str) -> None:
    """Not taken for one that nothing fits."""
    answer = await api.client.get(EVENTS, params={"type": pattern})

    [(pointer, _)] = pointers(assert_problem(answer, 422, "invalid_input"))
    assert pointer == "#/type"


async def lose_the_oldest(api: ApiUnderTest) -> None:
    """Do what retention does: the log begins behind the last position there is, with another tenant's event."""
    async with connected(api.database.owner_url) as owner, administrator(api.database) as admin:
        head = await admin.fetchval("SELECT max(position) FROM event_log")
        [name] = await owner.fetchrow(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'event_log'::regclass"
        )
        await owner.execute(f"DROP TABLE {name}")
        await owner.execute(
            f"CREATE TABLE event_log_later PARTITION OF event_log FOR VALUES FROM ({head + 1}) TO (1000000)"
        )
        await admin.execute(_WRITE.replace("max(position), 0", f"max(position), {head}"), uuid7(), 1, "lamps.lamp.lit")


@pytest.mark.under_fire
async def test_a_cursor_before_what_the_log_keeps_is_refused(api: ApiUnderTest) -> None:
    """Going on after the gap would hide it; without a cursor one begins with what there is."""
    await write(api, 3)
    _, cursor, _ = await page(api, limit=1)

    await lose_the_oldest(api)

    assert_problem(await api.client.get(EVENTS, params={"after": cursor}), 410, "cursor_expired")
    assert (await page(api))[0] == []


@pytest.mark.under_fire
async def test_the_cursor_of_the_end_outlives_what_the_log_has_dropped(api: ApiUnderTest) -> None:
    """Also that of a tenant in which nothing has happened for long: it follows the log, not its own last event."""
    await write(api, 1)
    await write(api, 5, uuid7())
    _, cursor, _ = await page(api)

    await lose_the_oldest(api)

    assert (await page(api, cursor))[0] == []


@pytest.mark.under_fire
async def test_the_index_of_a_tenant_serves_the_read(api: ApiUnderTest) -> None:
    """As the role app, with row level security on, although the events of some make up a large part of the log."""
    await api.rustok.settle()
    for _ in range(20):
        await write(api, 500, uuid7())
    async with administrator(api.database) as admin:
        await admin.execute("ANALYZE event_log")

    async with connected(api.database.app_url) as app, app.transaction():
        await app.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await app.execute("SELECT set_config('rustok.tenant_id', $1, true)", str(api.tenant_id))
        await app.execute(_PLANNED_ANEW.text)
        for statement in (_LOOK.text, _READ.text):
            plan = await plan_of(app, statement, api.tenant_id)
            assert "_tenant_id_position_idx" in plan
            assert "Seq Scan" not in plan
            assert '"Node Type": "Sort"' not in plan


async def plan_of(connection: asyncpg.Connection, statement: str, tenant_id: UUID) -> str:
    """Return how *statement* is executed from the start of the log."""
    values = {"tenant_id": f"'{tenant_id}'::uuid", "after": "0", "until": "1000000", "type": "'*'", "prefix": "''"}
    for number, name in enumerate(values, 1):
        statement = statement.replace(f":{name}", f"${number}")
    statement = statement.replace(":limit", "50")
    await connection.execute(f"PREPARE followed (uuid, bigint, bigint, text, text) AS {statement}")
    given = ", ".join(values.values())
    plan: str = await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE followed ({given})")
    await connection.execute("DEALLOCATE followed")
    return plan
