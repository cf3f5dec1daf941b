"""Relay and worker bring committed events to the hooks of a tenant, and what a hook does back into the log."""

from collections import Counter
from uuid import UUID

import pytest

from rustok.settings import Settings
from rustok.testing import PlatformUnderTest
from tests.chaos.test_script_kills import create, install, seen
from tests.integration.events.log import connected
from tests.integration.workers.conftest import relaying, working
from tests.waiting import eventually_async

pytestmark = pytest.mark.under_fire


async def test_a_hook_has_its_effects_once_an_event(rustok: PlatformUnderTest, settings: Settings) -> None:
    """The run is a job: enqueued with the checkpoint, ended with its effects."""
    tenant = await rustok.create_tenant()
    async with relaying(settings):
        with working(settings):
            await install(rustok, tenant)
            products = [await create(rustok, tenant) for _ in range(5)]

            await eventually_async(lambda: _has_seen(rustok, len(products)))

    assert Counter(await seen(rustok)) == Counter(str(product) for product in products)


_TAG = """
async def handle(event, ctx):
    product = await ctx.get("commerce.products", event["payload"]["product"])
    ctx.update("commerce.products", product["id"], tags=["tagged"])
"""


async def test_a_hook_that_is_cancelled_in_mid_run_has_no_effects(
    rustok: PlatformUnderTest, settings: Settings
) -> None:
    """It is stopped, not waited for: here it could not go on."""
    tenant = await rustok.create_tenant()
    async with relaying(settings):
        with working(settings):
            script = await install(rustok, tenant, _TAG, {"kind": "api"})
            product = await create(rustok, tenant)
            async with connected(rustok.database.admin_url) as admin, admin.transaction():
                await admin.execute("LOCK TABLE products")
                run = await rustok.run("alloy.runs.start", tenant, script_id=script, input={"product": str(product)})
                await eventually_async(lambda: _is(rustok, tenant, run.operation_id, "running"))

                await rustok.run("jobs.operations.cancel", tenant, operation_id=str(run.operation_id))

                await eventually_async(lambda: _is(rustok, tenant, run.operation_id, "cancelled"))

    found = await rustok.query("commerce.products.get", tenant, product_id=str(product))
    assert (found.tags, found.version) == ([], 1)


async def _is(rustok: PlatformUnderTest, tenant: UUID, operation_id: UUID, status: str) -> bool:
    operation = await rustok.query("jobs.operations.get", tenant, operation_id=str(operation_id))
    return bool(operation.status == status)


async def _has_seen(rustok: PlatformUnderTest, count: int) -> bool:
    return len(await seen(rustok)) >= count
