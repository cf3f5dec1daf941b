"""A trace leads from a request, through the hook that it starts, to what that causes."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, text
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from rustok.db.transaction import run_alone
from rustok.kernel.ids import uuid7
from rustok.settings import Settings
from rustok.testing import PlatformUnderTest
from tests.chaos.test_script_kills import install
from tests.integration.api.support import PRODUCTS, ApiUnderTest, a_product
from tests.integration.workers.conftest import relaying, working
from tests.waiting import eventually_async

HOOK = """
async def handle(event, ctx):
    ctx.update("commerce.products", event["aggregate_id"], tags=["traced"])
    ctx.emit("traced", traceparent=event["traceparent"], correlation_id=event["correlation_id"])
"""
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"

_CAUSED = text("SELECT type, correlation_id, traceparent, payload FROM event_log WHERE actor LIKE 'script:%'")


async def test_a_hook_and_what_it_causes_belong_to_the_trace_of_the_request(
    rustok: PlatformUnderTest, settings: Settings
) -> None:
    """The hook sees the trace and the root's id; its events, and what is logged meanwhile, carry both on."""
    root = str(uuid7())
    headers = {"traceparent": TRACEPARENT, "X-Request-Id": root}
    with capture_logs(processors=[merge_contextvars]) as lines:
        async with ApiUnderTest.open(rustok) as api, relaying(settings):
            with working(settings):
                await install(rustok, api.tenant_id, HOOK)
                await api.client.post(PRODUCTS, json=a_product(), headers=headers)
                await eventually_async(lambda: _has_caused(rustok, 2))

    caused = {row.type: row for row in await _caused(rustok)}
    assert caused.keys() == {"commerce.product.updated", "alloy.run.emitted"}
    assert {(str(row.correlation_id), row.traceparent) for row in caused.values()} == {(root, TRACEPARENT)}
    assert caused["alloy.run.emitted"].payload["data"] == {"traceparent": TRACEPARENT, "correlation_id": root}
    assert _of_root(lines, root) == [("http_request_finished", None, TRACE_ID), ("job_ended", "alloy.run", TRACE_ID)]


async def _has_caused(rustok: PlatformUnderTest, events: int) -> bool:
    return len(await _caused(rustok)) == events


async def _caused(rustok: PlatformUnderTest) -> Sequence[Row[Any]]:
    return (await run_alone(rustok.system_engine, _CAUSED)).all()


def _of_root(lines: Sequence[Mapping[str, Any]], root: str) -> list[tuple[str, str | None, str | None]]:
    return [
        (line["event"], line.get("kind"), line.get("trace_id")) for line in lines if line.get("correlation_id") == root
    ]
