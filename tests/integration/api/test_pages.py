"""Lists page by page, onwards and back."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rustok.catalog import MODULES
from rustok.testing import DatabaseServer, PlatformUnderTest
from tests.integration.api.possessions import OPERATIONS, REGISTRY, Operation, Owner
from tests.integration.api.support import ApiUnderTest

pytestmark = pytest.mark.under_fire

WITHOUT_PAGES = {
    "access.roles.list": "as many as somebody can keep in mind",
    "jobs.dead_letters.list": "a thousand groups at most, the largest first",
    "outbox.events.list": "a log, which is followed onwards: test_events.py",
    "tenants.modules.list": "as many as the platform has modules",
}
LISTS = [o for o in OPERATIONS if "after" in o.input.model_fields and o.name not in WITHOUT_PAGES]
LINK = re.compile(r'<([^>]+)>; rel="(next|prev)"')
LIMIT = 2

KEYS = st.integers(0, 30)
STEPS = st.lists(st.sampled_from(["next", "prev"]) | st.tuples(st.sampled_from(["add", "remove"]), KEYS), max_size=25)


@pytest.fixture(scope="module")
async def owner(database_server: DatabaseServer, platform_class: type[PlatformUnderTest]) -> AsyncIterator[Owner]:
    async with (
        database_server.throw_away() as database,
        platform_class.open(MODULES, database) as rustok,
        ApiUnderTest.open(rustok) as api,
    ):
        yield await Owner.create(api)


def test_every_list_has_pages() -> None:
    """What answers many rows says where they go on."""
    listing = {name for name, query in REGISTRY.queries.items() if "data" in query.result.model_fields}

    assert listing - set(WITHOUT_PAGES) == {operation.name for operation in LISTS}


@pytest.mark.parametrize("operation", LISTS, ids=lambda operation: operation.name)
async def test_the_way_back_shows_the_same_pages(owner: Owner, operation: Operation) -> None:
    """The first page has none before it, the last none behind it."""
    for _ in range(2):
        about = await owner.possess()
    wanted = {name: value for name, value in operation.input.example.items() if name == "locale"}
    first = await read(owner, operation.path.format_map(about.names), {**wanted, "limit": 1})

    onwards = [first]
    while onwards[-1]["page"]["next"]:
        onwards.append(await follow(owner, onwards[-1], "next"))
    back = [onwards[-1]]
    while back[-1]["page"]["prev"]:
        back.append(await follow(owner, back[-1], "prev"))

    assert len(onwards) > 1, "a list of one page goes nowhere"
    assert [page["data"] for page in back] == [page["data"] for page in reversed(onwards)]


async def test_links_lead_to_the_same_pages(owner: Owner) -> None:
    """RFC 8288: each is the request of this page with another cursor, whatever its parameters are."""
    facts: dict[str, Any] = {"vendor": "Tom & Jerry", "tags": ["a=b", "ü"]}
    for title in ("One", "Two", "Three"):
        translations = {"en": {"title": title}}
        await owner.run("commerce.products.create", status="active", translations=translations, **facts)
    await owner.api.rustok.settle()
    first = await read(owner, "/api/v1/search/products", {"locale": "en", "limit": 1, **facts})
    second = await follow(owner, first, "next")

    assert first["links"].keys() == {"next"}
    assert second["links"].keys() == {"next", "prev"}
    assert (await read(owner, second["links"]["prev"]))["data"] == first["data"]


@settings(max_examples=25)
@given(keys=st.sets(KEYS, min_size=1), steps=STEPS)
async def test_what_comes_and_goes_meanwhile_shifts_nothing(owner: Owner, keys: set[int], steps: list[Any]) -> None:
    """A page onwards has the rows behind the last one seen, a page back those before the first, and none between.

    From a page that is empty by now, the way back starts at the end of the list.
    """
    script = str((await owner.run("alloy.scripts.create", name=f"script-{uuid4().hex}")).id)
    rows = {f"{key:02}" for key in keys}
    for key in rows:
        await owner.run("alloy.kv.set", script_id=script, key=key, value=1)
    page = await read(owner, f"/api/v1/alloy/scripts/{script}/kv", {"limit": LIMIT})

    for step in steps:
        if isinstance(step, tuple):
            await change(owner, script, rows, step)
        elif page["page"][step]:
            seen = [row["key"] for row in page["data"]]
            page = await follow(owner, page, step)
            assert [row["key"] for row in page["data"]] == expected(sorted(rows), seen, step)


async def change(owner: Owner, script: str, rows: set[str], step: tuple[str, int]) -> None:
    what, number = step
    key = f"{number:02}"
    if what == "add":
        await owner.run("alloy.kv.set", script_id=script, key=key, value=1)
        rows.add(key)
    elif key in rows:
        await owner.run("alloy.kv.delete", script_id=script, key=key)
        rows.remove(key)


def expected(rows: list[str], seen: list[str], direction: str) -> list[str]:
    if direction == "next":
        return [row for row in rows if not seen or row > seen[-1]][:LIMIT]
    return [row for row in rows if not seen or row < seen[0]][-LIMIT:]


async def follow(owner: Owner, page: Mapping[str, Any], direction: str) -> dict[str, Any]:
    """Ask for the page that the cursor leads to; its link leads to the same."""
    asked = {**page["asked"], "after": page["page"][direction]}
    found = await read(owner, page["path"], asked)
    assert (await read(owner, page["links"][direction]))["data"] == found["data"]
    return found


async def read(owner: Owner, path: str, asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a page, with what was asked and the links of its header."""
    answer = await owner.api.client.get(path, params=asked, headers=dict(owner.headers))
    assert answer.status_code == 200, answer.text
    links = {relation: target for target, relation in LINK.findall(answer.headers.get("link", ""))}
    assert links.keys() == {name for name, cursor in answer.json()["page"].items() if cursor}
    return {**answer.json(), "path": path, "asked": asked or {}, "links": links}
