"""Processes die at any moment, and nothing is lost, nothing is stale."""

import os
import random
import signal
from functools import partial
from uuid import UUID

import pytest

from rustok.cli.supervisor import Supervisor
from rustok.events.figures import read_figures
from rustok.testing import PlatformUnderTest
from tests.checksums import index_checksums, source_checksums
from tests.waiting import eventually_async

SEED = 20260201
BATCHES_A_KILL = 10
BATCH = 10


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(6, marks=pytest.mark.timeout(300)),
        pytest.param(100, marks=[pytest.mark.deep, pytest.mark.timeout(900)]),
    ],
)
async def test_an_import_survives_the_death_of_relays_and_workers(
    rustok: PlatformUnderTest, processes: Supervisor, kills: int
) -> None:
    """SIGKILL of a relay or worker in mid-work: the index equals a direct JOIN of the source, for every tenant."""
    chance = random.Random(SEED)
    tenants = [await rustok.create_tenant(slug) for slug in ("acme", "globex", "initech")]

    for kill in range(kills):
        before = await indexed(rustok)
        for number in range(BATCHES_A_KILL):
            await import_batch(rustok, chance.choice(tenants), kill * BATCHES_A_KILL + number)
        await eventually_async(partial(has_moved, rustok, processes, before))
        os.kill(chance.choice(sorted(processes.pids.values())), signal.SIGKILL)

    await eventually_async(lambda: settled(rustok, processes))
    expected = await source_checksums(rustok.system_engine)
    assert sum(count for count, _digest in expected.values()) == kills * BATCHES_A_KILL * BATCH * 2
    assert await index_checksums(rustok.system_engine) == expected


async def import_batch(rustok: PlatformUnderTest, tenant: UUID, number: int) -> None:
    """Create products of two locales; change every third and unpublish and publish every fifth."""
    products = [
        {
            "status": "active",
            "vendor": f"Vendor {number % 7}",
            "tags": [f"batch::{number}"],
            "translations": {
                "en": {"title": f"Thing {number}-{place}", "description": "A thing of English words"},
                "de": {"title": f"Ding {number}-{place}", "description": "Ein Ding deutscher Wörter"},
            },
            "variants": [{"sku": f"SKU-{number}-{place}", "prices": {"EUR": {"amount": 100 + place}}}],
        }
        for place in range(BATCH)
    ]
    await rustok.run("commerce.imports.begin", tenant, source=f"batch {number}")
    await rustok.run(
        "commerce.imports.advance",
        tenant,
        source=f"batch {number}",
        first_line=1,
        last_line=BATCH,
        products=products,
    )
    newest = (await rustok.query("commerce.products.list", tenant, limit="1")).data[0]
    if number % 3 == 0:
        await rustok.run(
            "commerce.products.update", tenant, seen=newest.version, product_id=str(newest.id), vendor="Changed"
        )
    if number % 5 == 0:
        await rustok.run("commerce.products.unpublish", tenant, product_id=str(newest.id))
        await rustok.run("commerce.products.publish", tenant, product_id=str(newest.id))


async def indexed(rustok: PlatformUnderTest) -> int:
    """Return how many documents there are."""
    return sum(count for count, _digest in (await index_checksums(rustok.system_engine)).values())


async def has_moved(rustok: PlatformUnderTest, processes: Supervisor, before: int) -> bool:
    processes.replace_ended()
    return await indexed(rustok) > before


async def settled(rustok: PlatformUnderTest, processes: Supervisor) -> bool:
    processes.replace_ended()
    figures = await read_figures(rustok.system_engine)
    return not figures.outbox_pending and not any(consumer.lag_events for consumer in figures.consumers)
