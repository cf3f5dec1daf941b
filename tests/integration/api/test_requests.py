"""What every request gets, whatever its route: ids, headers, a line in the log, and an answer."""

from uuid import UUID

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from rustok.catalog import MODULES
from rustok.kernel.errors import Misconfigured
from rustok.kernel.module import Module, ModuleKind, Query, QueryInput, Result
from rustok.kernel.permission import Permission
from rustok.telemetry import metrics
from rustok.testing import PlatformUnderTest
from tests.integration.api.support import PRODUCTS, ApiUnderTest, a_product, administrator, assert_problem

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_an_unknown_route_is_a_problem(shared_api: ApiUnderTest) -> None:
    """Also with a slash too many: no redirect."""
    for path in ("/", "/nowhere", f"{PRODUCTS}/", "/api/v1/tenants/tenants"):
        assert_problem(await shared_api.client.get(path), 404, "route_not_found")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{PRODUCTS}/%00", 422),
        (f"{PRODUCTS}/%0A", 422),
        (f"{PRODUCTS}/%FF", 422),
        (f"{PRODUCTS}/{{product_id}}", 422),
        (f"{PRODUCTS}/a%2Fb", 404),
        (f"/{PRODUCTS}", 404),
    ],
)
async def test_a_strange_path_is_a_problem_of_the_callers(shared_api: ApiUnderTest, path: str, status: int) -> None:
    """Never one of ours."""
    response = await shared_api.client.get(f"http://api.test{path}")

    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")


async def test_a_wrong_method_is_a_problem_that_lists_the_right_ones(shared_api: ApiUnderTest) -> None:
    """RFC 9110, section 15.5.6: all methods of the path, of commands and queries together."""
    response = await shared_api.client.put(PRODUCTS)

    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD, POST"


async def test_a_path_is_no_value_of_another_ones_placeholder(shared_api: ApiUnderTest) -> None:
    """DELETE is a method of /operations/{operation_id}, and not of this."""
    response = await shared_api.client.delete("/api/v1/operations/dead-letters")

    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD"


async def test_answers_carry_the_security_headers(shared_api: ApiUnderTest) -> None:
    """Answers and problems alike: no sniffing, no caching."""
    for response in (await shared_api.client.get(PRODUCTS), await shared_api.client.get("/nowhere")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("given", ["a", "A-1_b.c", "x" * 128])
async def test_a_request_id_is_echoed(shared_api: ApiUnderTest, given: str) -> None:
    """So that a client finds its request in our log."""
    response = await shared_api.client.get("/health/live", headers={"X-Request-Id": given})

    assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a/b", "{}"])
async def test_a_request_id_of_another_form_is_replaced(shared_api: ApiUnderTest, given: str) -> None:
    """By one that sorts by time."""
    response = await shared_api.client.get("/health/live", headers={"X-Request-Id": given})

    assert UUID(response.headers["x-request-id"]).version == 7


@pytest.mark.parametrize(
    ("given", "trace_id"),
    [
        (TRACEPARENT, "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("", None),
        (TRACEPARENT.upper(), None),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", None),
        (TRACEPARENT.replace("00-", "ff-", 1), None),
    ],
)
async def test_a_well_formed_trace_is_joined(shared_api: ApiUnderTest, given: str, trace_id: str | None) -> None:
    """W3C Trace Context; another form counts as none."""
    response = await shared_api.client.get("/nowhere", headers={"traceparent": given})

    assert assert_problem(response, 404, "route_not_found")["trace_id"] == trace_id


async def test_events_carry_the_request_that_caused_them(api: ApiUnderTest) -> None:
    """A request id that is a UUID is the root of the chain of causes."""
    root = "01990000-0000-7000-8000-00000000abcd"
    headers = {"X-Request-Id": root, "traceparent": TRACEPARENT}

    await api.client.post(PRODUCTS, json=a_product(), headers=headers)

    async with administrator(api.database) as admin:
        row = await admin.fetchrow("SELECT * FROM outbox WHERE type = 'commerce.product.created'")
    assert (str(row["correlation_id"]), str(row["causation_id"])) == (root, root)
    assert row["traceparent"] == TRACEPARENT
    assert row["actor"].startswith("apikey:")


async def test_a_request_is_one_line_in_the_log(shared_api: ApiUnderTest) -> None:
    """With its ids, its tenant, the route's template and the code it failed with; never the path's values."""
    path = f"{PRODUCTS}/01990000-0000-7000-8000-000000000000"

    with capture_logs(processors=[merge_contextvars]) as lines:
        await shared_api.client.get(path, headers={"X-Request-Id": "r-1"})

    [line] = lines
    assert isinstance(line.pop("duration_ms"), float)
    assert UUID(line.pop("correlation_id")).version == 7
    assert line == {
        "event": "http_request_finished",
        "log_level": "info",
        "method": "GET",
        "route": f"{PRODUCTS}/{{product_id}}",
        "status": 404,
        "code": "product_not_found",
        "request_id": "r-1",
        "tenant": "acme",
    }


@pytest.mark.parametrize(
    ("method", "path", "labels"),
    [
        ("GET", "/health/live", {"method": "GET", "route": "/health/live", "status": "200"}),
        ("BREW", "/tea/pot/4711", {"method": "other", "route": "unmatched", "status": "404"}),
    ],
)
async def test_a_request_is_measured_under_its_template(
    shared_api: ApiUnderTest, method: str, path: str, labels: dict[str, str]
) -> None:
    """Clients must not be able to make new series."""
    name = "rustok_http_request_seconds_count"
    before = metrics.API.get_sample_value(name, labels) or 0

    await shared_api.client.request(method, path)

    assert metrics.API.get_sample_value(name, labels) == before + 1
    assert "rustok_http_request_seconds_bucket" in (await shared_api.client.get("/metrics")).text


class Nothing(QueryInput):
    misconfigured: bool = False


async def fail(_uow: object, data: Nothing) -> Result:
    raise Misconfigured("hunter2") if data.misconfigured else ZeroDivisionError("hunter2")


BROKEN = Module(
    name="broken",
    kind=ModuleKind.EXTENSION,
    summary="Fails.",
    permissions=(Permission("broken.things.read", "Fail"),),
    queries=(
        Query(
            name="broken.things.list",
            summary="Fail",
            permission="broken.things.read",
            input=Nothing,
            result=Result,
            handler=fail,
            route="GET /things",
        ),
    ),
)


@pytest.mark.parametrize("query", ["", "?misconfigured=true"])
async def test_a_defect_is_logged_once_and_tells_the_caller_nothing(rustok: PlatformUnderTest, query: str) -> None:
    """Exceptions nobody expected, and errors that no caller can act on."""
    async with ApiUnderTest.open(rustok, modules=(*MODULES, BROKEN)) as api:
        with capture_logs() as lines:
            response = await api.client.get(f"/api/v1/broken/things{query}")

    assert_problem(response, 500, "internal_error")
    assert "hunter2" not in response.text
    assert [line["event"] for line in lines] == ["http_request_crashed", "http_request_finished"]
    assert lines[0]["exc_info"]


async def test_the_page_of_error_codes_has_every_code(shared_api: ApiUnderTest) -> None:
    """The `type` of a problem leads there."""
    page = (await shared_api.client.get("/docs/errors")).text

    for code in ("duplicate_handle", "malformed_json", "tenant_mismatch", "route_not_found", "internal_error"):
        assert f'id="{code}"' in page
