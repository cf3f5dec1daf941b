"""Workers and cages die in the middle of scripts: each event has its effects once, none is lost."""

import os
import random
import signal
from collections import Counter
from collections.abc import Mapping
from functools import partial
from uuid import UUID

import psutil
import pytest
from sqlalchemy import text

from rustok.cli.supervisor import Supervisor
from rustok.db.transaction import run_alone
from rustok.testing import PlatformUnderTest
from tests.waiting import eventually_async

SEED = 20260202
PRODUCTS_A_KILL = 8

HOOK = """
async def handle(event, ctx):
    product = await ctx.get("commerce.products", event["aggregate_id"])
    total = 0
    for n in range(60_000):
        total += n
    ctx.update("commerce.products", product["id"], tags=[f"seen {product['version']}"])
    ctx.emit("seen", product=product["id"])
"""

ON_CREATED = {"kind": "event", "pattern": "commerce.product.created"}

_SEEN = text("SELECT payload -> 'data' ->> 'product' AS product FROM event_log WHERE type = 'alloy.run.emitted'")
_LEFT = text("SELECT count(*) FROM jobs")
_TAGS = text("SELECT id, tags FROM products")


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(2, marks=pytest.mark.timeout(300)),
        pytest.param(60, marks=[pytest.mark.deep, pytest.mark.timeout(900)]),
    ],
)
async def test_scripts_survive_the_death_of_workers_and_cages(
    rustok: PlatformUnderTest, processes: Supervisor, kills: int
) -> None:
    """SIGKILL of a worker, of its zygote or of a child in mid-run: exactly one effect an event."""
    chance = random.Random(SEED)
    tenant = await rustok.create_tenant()
    await install(rustok, tenant)
    products: list[UUID] = []

    for _kill in range(kills):
        products += [await create(rustok, tenant) for _ in range(PRODUCTS_A_KILL)]
        await eventually_async(partial(is_under_way, rustok, processes, len(products)), within_s=120)
        kill_somebody(processes, chance)

    await eventually_async(lambda: has_seen(rustok, processes, len(products)), within_s=120)
    assert Counter(await seen(rustok)) == Counter(str(product) for product in products)
    tags = {row.id: row.tags for row in await run_alone(rustok.system_engine, _TAGS)}
    assert tags == {product: ["seen 1"] for product in products}
    assert (await run_alone(rustok.system_engine, _LEFT)).scalar_one() == 0


async def install(
    rustok: PlatformUnderTest, tenant: UUID, code: str = HOOK, trigger: Mapping[str, str] = ON_CREATED
) -> str:
    """Push a hook, wait until a worker has checked and activated it, and return its id."""
    script = await rustok.run(
        "alloy.scripts.create",
        tenant,
        name="seen",
        triggers=[trigger],
        grants=["commerce.products.read", "commerce.products.write"],
    )
    await rustok.run("alloy.versions.push", tenant, script_id=str(script.id), code=code, activate=True)

    async def is_active() -> bool:
        found = await rustok.query("alloy.scripts.get", tenant, script_id=str(script.id))
        return bool(found.status == "active")

    await eventually_async(is_active)
    return str(script.id)


async def create(rustok: PlatformUnderTest, tenant: UUID) -> UUID:
    product = await rustok.run("commerce.products.create", tenant, translations={"en": {"title": "木"}})
    product_id: UUID = product.id
    return product_id


async def seen(rustok: PlatformUnderTest) -> list[str]:
    return [row.product for row in await run_alone(rustok.system_engine, _SEEN)]


async def is_under_way(rustok: PlatformUnderTest, processes: Supervisor, created: int) -> bool:
    """Tell whether some of the latest products have been seen; what has died is replaced meanwhile."""
    processes.replace_ended()
    return len(await seen(rustok)) > created - PRODUCTS_A_KILL


async def has_seen(rustok: PlatformUnderTest, processes: Supervisor, created: int) -> bool:
    processes.replace_ended()
    left = (await run_alone(rustok.system_engine, _LEFT)).scalar_one()
    return len(await seen(rustok)) >= created and not left


def kill_somebody(processes: Supervisor, chance: random.Random) -> None:
    """Kill a worker, or a process of its cage: its zygote, or a child in the middle of a run."""
    workers = [pid for name, pid in sorted(processes.pids.items()) if name.startswith("worker")]
    worker = chance.choice(workers)
    caged = sorted(child.pid for child in psutil.Process(worker).children(recursive=True))
    victim = chance.choice([worker, *chance.sample(caged, min(2, len(caged)))])
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(worker, signal.SIGKILL)
