"""The hooks that `rustok dev` installs for its demo tenant."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rustok.catalog import MODULES
from rustok.cli.demo_hooks import DEMO_HOOKS, install_hooks
from rustok.cli.session import Session
from rustok.cli.tenancy import TenantSession, tenant_session
from rustok.jobs.heartbeat import Heartbeat
from rustok.modules.alloy.schemas import Script
from rustok.sandbox.cage import Cage, CageConfig
from rustok.sandbox.contract import Level
from rustok.settings import Settings
from rustok.testing import Database, FixedClock, PlatformUnderTest
from tests.integration.alloy.workshop import Workshop, open_workshop
from tests.waiting import eventually_async

GALLERY = Path(__file__).parents[3] / "scripts"


@pytest.fixture
async def workshop(database: Database) -> AsyncIterator[Workshop]:
    async with Cage(CageConfig(children=1)) as cage, open_workshop(database, cage) as workshop:
        yield workshop


@pytest.fixture
async def tenant(workshop: Workshop) -> TenantSession:
    """The tenant of the workshop, as the command line sees it."""
    platform = workshop.platform
    session = Session(Settings(), platform.platform, platform.system_engine)
    return await tenant_session(session, workshop.tenant_id)


async def beat(workshop: Workshop, level: Level) -> None:
    """Let a worker say that it lives."""
    await Heartbeat(workshop.platform.system_engine, FixedClock(), lambda: {"level": level}).run_once()


async def install(workshop: Workshop, tenant: TenantSession, gallery: Path = GALLERY) -> str | None:
    """Install the hooks while somebody does the jobs."""
    installing = asyncio.create_task(install_hooks(tenant, gallery))

    async def done() -> bool:
        await workshop.work()
        return installing.done()

    await eventually_async(done)
    return await installing


async def scripts(workshop: Workshop) -> dict[str, Script]:
    return {script.name: script for script in (await workshop.query("alloy.scripts.list")).data}


async def test_the_hooks_are_checked_active_and_work(workshop: Workshop, tenant: TenantSession) -> None:
    """A new product without a price is tagged by the one and told of by the other."""
    await beat(workshop, "A")

    reason = await install(workshop, tenant)
    await workshop.run(
        "commerce.products.create",
        status="active",
        translations={"en": {"title": "Winter gloves"}},
        variants=[{"sku": "GLOVES"}],
    )
    await workshop.settle()

    found = await scripts(workshop)
    assert reason is None
    assert {name: script.status for name, script in found.items()} == dict.fromkeys(DEMO_HOOKS, "active")
    [product] = (await workshop.query("commerce.products.list")).data
    runs = (await workshop.query("alloy.runs.list", script_id=str(found["missing-price-alert"].id))).data
    assert product.tags == ["winter"]
    assert "prices are missing" in [line["message"] for run in runs for line in run.logs]


async def test_a_second_start_leaves_them_as_they_are(workshop: Workshop, tenant: TenantSession) -> None:
    """No version is added, and what was paused stays paused."""
    await beat(workshop, "A")
    await install(workshop, tenant)
    paused = (await scripts(workshop))["auto-tags"]
    await workshop.run("alloy.scripts.pause", script_id=str(paused.id))

    reason = await install_hooks(tenant, GALLERY, patience_s=0)

    found = await scripts(workshop)
    assert reason is None
    assert {name: (script.status, script.latest_version) for name, script in found.items()} == {
        "auto-tags": ("paused", 1),
        "missing-price-alert": ("active", 1),
    }


async def test_without_a_worker_that_may_run_them_none_is_installed(workshop: Workshop, tenant: TenantSession) -> None:
    """On a machine whose kernel cannot hold scripts the rest of the platform starts all the same."""
    nobody = await install_hooks(tenant, GALLERY, patience_s=0)
    await beat(workshop, "none")

    unprotected = await install_hooks(tenant, GALLERY, patience_s=0)

    assert nobody == "no worker was heard of"
    assert unprotected is not None
    assert "rustok doctor" in unprotected
    assert await scripts(workshop) == {}


async def test_without_the_module_of_scripts_none_is_installed(database: Database) -> None:
    """A platform may be built without it, and starts."""
    modules = [module for module in MODULES if module.name != "alloy"]
    async with PlatformUnderTest.open(modules, database) as platform:
        tenant_id = await platform.create_tenant()
        session = Session(Settings(), platform.platform, platform.system_engine)

        reason = await install_hooks(await tenant_session(session, tenant_id), GALLERY)

    assert reason == "the module alloy is not installed"


async def test_a_check_that_does_not_end_is_not_waited_for_for_ever(workshop: Workshop, tenant: TenantSession) -> None:
    """The next start pushes again what did not become active."""
    await beat(workshop, "A")

    reason = await install_hooks(tenant, GALLERY, patience_s=0)
    again = await install(workshop, tenant)

    assert reason == "the check of auto-tags was not done within 0 s"
    assert again is None


async def test_a_hook_that_is_none_is_told_of(workshop: Workshop, tenant: TenantSession, tmp_path: Path) -> None:
    """Somebody may have changed the gallery; the platform starts all the same."""
    await beat(workshop, "A")
    for name in DEMO_HOOKS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "script.json").write_text(f'{{"name": "{name}"}}')
        (tmp_path / name / "hook.py").write_text("import os\n")

    reason = await install(workshop, tenant, tmp_path)

    assert reason is not None
    assert reason.startswith("auto-tags did not pass its check: `rustok scripts check ")
