"""Relay and worker bring committed events to the hooks of a tenant, and what a hook does back into the log."""

from collections import Counter

import pytest

from rustok.settings import Settings
from rustok.testing import PlatformUnderTest
from tests.chaos.test_script_kills import create, install, seen
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

            await eventually_async(lambda: _has_seen(rustok, len(products)), within_s=60)

    assert Counter(await seen(rustok)) == Counter(str(product) for product in products)


async def _has_seen(rustok: PlatformUnderTest, count: int) -> bool:
    return len(await seen(rustok)) >= count
