"""An operation that is to go says so, and whoever runs the platform sees who still calls it."""

import re
from collections.abc import AsyncIterator
from datetime import date
from typing import Any
from xml.etree.ElementTree import fromstring

import httpx2
import pytest
from structlog.testing import capture_logs

from rustok.catalog import MODULES
from rustok.dispatch import Call
from rustok.kernel.module import Deprecation
from rustok.telemetry.metrics import API, WORKER
from rustok.testing import DatabaseServer, PlatformUnderTest
from tests.integration.api.support import ApiUnderTest, bearer
from tests.unit.modules_by_hand import Lamp, a_command, a_query, lamps

LIGHT, FIND = "/api/v1/lamps/lamps/hall-1/light", "/api/v1/lamps/rooms/hall/lamps"
HEADERS = ("deprecation", "sunset", "link")
LIGHT_IS_TO_GO = (
    "@1798761600",
    "Thu, 01 Jul 2027 00:00:00 GMT",
    '</docs#lamps.lamps.light>; rel="deprecation"; type="text/html"',
)


async def light(_uow: Any, _data: Any) -> Lamp:
    return Lamp(lamp_id="hall-1")


LAMPS = lamps(
    commands=(
        a_command(
            handler=light,
            deprecation=Deprecation(since=date(2027, 1, 1), sunset=date(2027, 7, 1), use="lamps.lamps.switch"),
        ),
        a_command(name="lamps.lamps.switch", handler=light, route="POST /lamps/{lamp_id}/switch"),
        a_command(
            name="lamps.lamps.dim",
            handler=light,
            route="POST /lamps/{lamp_id}/dim",
            deprecation=Deprecation(since=date(2026, 12, 1)),
        ),
    ),
    queries=(a_query(handler=light, deprecation=Deprecation(since=date(2026, 11, 27))),),
    projections=(),
)


@pytest.fixture(scope="module")
async def lamps_api(database_server: DatabaseServer) -> AsyncIterator[ApiUnderTest]:
    """The API with a module in which one of the operations stays."""
    async with (
        database_server.throw_away() as database,
        PlatformUnderTest.open((*MODULES, LAMPS), database) as rustok,
        ApiUnderTest.open(rustok, modules=(*MODULES, LAMPS)) as api,
    ):
        yield api


def told(answer: httpx2.Response) -> list[str | None]:
    return [answer.headers.get(name) for name in HEADERS]


def calls(operation: str) -> float:
    return API.get_sample_value("rustok_deprecated_calls_total", {"operation": operation}) or 0


async def test_a_deprecated_command_says_since_when_until_when_and_where_to_read(lamps_api: ApiUnderTest) -> None:
    """A structured date, an HTTP date, and a link to its place in the documentation."""
    answer = await lamps_api.client.post(LIGHT)

    assert (answer.status_code, told(answer)) == (200, list(LIGHT_IS_TO_GO))


async def test_a_query_without_a_sunset_names_none(lamps_api: ApiUnderTest) -> None:
    """It is not known yet."""
    answer = await lamps_api.client.get(FIND)

    assert told(answer)[:2] == ["@1795737600", None]


@pytest.mark.parametrize(
    ("request_of", "status"),
    [({"headers": {"Authorization": ""}}, 401), ({"json": {"volume": 11}}, 422), ({"headers": {"If-Match": "x"}}, 400)],
)
async def test_a_refusal_says_so_too(lamps_api: ApiUnderTest, request_of: dict[str, Any], status: int) -> None:
    """Whatever becomes of the request."""
    answer = await lamps_api.client.post(LIGHT, **request_of)

    assert (answer.status_code, answer.headers["deprecation"]) == (status, "@1798761600")


async def test_what_stays_says_nothing(lamps_api: ApiUnderTest) -> None:
    """Of deprecation; neither does any route that there is not."""
    stays = await lamps_api.client.post("/api/v1/lamps/lamps/hall-1/switch")
    nowhere = await lamps_api.client.post("/api/v1/lamps/lamps/hall-1/shake")

    assert (stays.status_code, told(stays)) == (200, [None, None, None])
    assert (nowhere.status_code, told(nowhere)) == (404, [None, None, None])


async def test_each_call_is_logged_and_counted(lamps_api: ApiUnderTest) -> None:
    """With who has called; calls that were refused for want of rights are none."""
    before = calls("lamps.lamps.light")
    token = await lamps_api.new_key("customer")

    with capture_logs() as lines:
        await lamps_api.client.post(LIGHT)
        await lamps_api.client.post(LIGHT, headers=bearer(token))

    [line] = [line for line in lines if line["event"] == "deprecated_operation_called"]
    assert line.pop("actor").startswith("apikey:")
    assert line == {
        "event": "deprecated_operation_called",
        "log_level": "warning",
        "operation": "lamps.lamps.light",
        "tenant_id": str(lamps_api.tenant_id),
        "sunset": "2027-07-01",
    }
    assert calls("lamps.lamps.light") == before + 1


async def test_a_query_is_counted_once(lamps_api: ApiUnderTest) -> None:
    """Although its parameters are read before it is asked."""
    before = calls("lamps.lamps.find")

    await lamps_api.client.get(FIND)

    assert calls("lamps.lamps.find") == before + 1


@pytest.mark.parametrize("mode", ["atomic", "independent"])
async def test_an_item_of_a_batch_is_a_call(lamps_api: ApiUnderTest, mode: str) -> None:
    """The answer to the batch says, once, which of them are to go."""
    before = calls("lamps.lamps.light")
    item = {"command": "lamps.lamps.light", "input": {"lamp_id": "hall-1"}}

    answer = await lamps_api.client.post("/api/v1/lamps:batch", json={"mode": mode, "items": [item, item]})

    assert (answer.status_code, told(answer)) == (200, list(LIGHT_IS_TO_GO))
    assert calls("lamps.lamps.light") == before + 2


@pytest.mark.parametrize(
    "refused", [{"command": "lamps.lamps.light", "input": {"volume": 11}}, {"command": "lamps.lamps.shake"}]
)
async def test_of_several_in_a_batch_the_earliest_dates_count(lamps_api: ApiUnderTest, refused: dict[str, Any]) -> None:
    """And each has a link; also when nothing was done, since one of them does not fit or is none."""
    items = [{"command": f"lamps.lamps.{name}", "input": {"lamp_id": "hall-1"}} for name in ("light", "switch", "dim")]
    items.append(refused)

    answer = await lamps_api.client.post("/api/v1/lamps:batch", json={"mode": "atomic", "items": items})

    since, sunset, links = told(answer)
    assert (answer.status_code, since, sunset) == (422, "@1796083200", "Thu, 01 Jul 2027 00:00:00 GMT")
    assert re.findall(r"</docs#(\S+)>", links or "") == ["lamps.lamps.light", "lamps.lamps.dim"]


async def test_a_batch_of_what_stays_says_nothing(lamps_api: ApiUnderTest) -> None:
    """Although its module has commands that are to go."""
    item = {"command": "lamps.lamps.switch", "input": {"lamp_id": "hall-1"}}

    answer = await lamps_api.client.post("/api/v1/lamps:batch", json={"mode": "atomic", "items": [item]})

    assert (answer.status_code, told(answer)) == (200, [None, None, None])


async def test_what_a_script_does_is_counted_in_its_worker(lamps_api: ApiUnderTest) -> None:
    """Its effects go through the same door."""
    rustok = lamps_api.rustok
    name = {"operation": "lamps.lamps.light"}
    before = WORKER.get_sample_value("rustok_deprecated_calls_total", name) or 0

    async with rustok.platform.units.begin(rustok.context(lamps_api.tenant_id)) as uow:
        call = Call(rustok.registry.commands["lamps.lamps.light"], {"lamp_id": "hall-1"})
        await rustok.platform.dispatcher.run_within(uow, call)

    assert WORKER.get_sample_value("rustok_deprecated_calls_total", name) == before + 1


async def test_the_documentation_says_it(lamps_api: ApiUnderTest) -> None:
    """That for programs, and that for people."""
    document = (await lamps_api.client.get("/api/openapi.json")).json()
    operation = document["paths"]["/api/v1/lamps/lamps/{lamp_id}/light"]["post"]
    page = fromstring((await lamps_api.client.get("/docs")).text.partition("\n")[2])  # noqa: S314 - our own page
    [article] = [a for a in page.iter("article") if a.attrib["id"] == "lamps.lamps.light"]

    text = "Deprecated since 2027-01-01. It may be gone from 2027-07-01 on. Use `lamps.lamps.switch`."
    assert (operation["deprecated"], operation["description"]) == (True, text)
    assert {"Deprecation", "Sunset", "Link"} <= operation["responses"]["200"]["headers"].keys()
    batch = document["paths"]["/api/v1/lamps:batch"]["post"]
    assert {"Deprecation", "Sunset", "Link"} <= batch["responses"]["200"]["headers"].keys()
    assert "deprecated" not in document["paths"]["/api/v1/lamps/lamps/{lamp_id}/switch"]["post"]
    assert text.replace("`", "") in "".join(article.itertext())
