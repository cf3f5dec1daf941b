"""What a module does when a tenant switches it: its own hook, before the commit, and the jobs that it makes."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from rustok.catalog import MODULES
from rustok.db.transaction import run_alone
from rustok.db.unit_of_work import UnitOfWork
from rustok.jobs import NewJob, enqueue
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.errors import Conflict
from rustok.kernel.module import JobKind, Module, ModuleKind
from rustok.testing import Database, PlatformUnderTest

pytestmark = pytest.mark.under_fire

TIDY = JobKind(name="till.tidy", summary="Tidy up", queue="till", runs_while_off=True)
COUNT = JobKind(name="till.count", summary="Count the till", queue="till")


class TillOpen(Conflict):
    """The till is still open."""

    code = "till_open"


async def tidy_up(uow: UnitOfWork, is_on: bool) -> None:
    """Have things tidied up when the module goes."""
    if not is_on:
        await enqueue(uow, [NewJob(kind=TIDY, args={}), NewJob(kind=COUNT, args={})])


async def refuse(_uow: UnitOfWork, _is_on: bool) -> None:
    raise TillOpen("Close the till first.")


TILL = Module(name="till", kind=ModuleKind.EXTENSION, summary="A till.", jobs=(TIDY, COUNT), on_switch=tidy_up)
WITH_TILL = (*MODULES, TILL)


async def kinds_ready(platform: PlatformUnderTest) -> list[str]:
    store = PostgresJobStore(platform.system_engine)
    return sorted(job.kind for job in await store.grant_ready("till", 10, 6.0))


async def switch(platform: PlatformUnderTest, tenant: UUID, *, is_enabled: bool) -> Any:
    return await platform.run("tenants.modules.switch", tenant, module="till", is_enabled=is_enabled)


async def test_its_hook_makes_jobs_in_the_same_transaction(
    database: Database, platform_class: type[PlatformUnderTest]
) -> None:
    """What is to be done while it is off is done; the rest waits."""
    async with platform_class.open(WITH_TILL, database) as platform:
        tenant = await platform.create_tenant()

        await switch(platform, tenant, is_enabled=False)
        assert await kinds_ready(platform) == [TIDY.name]

        await switch(platform, tenant, is_enabled=True)
        assert await kinds_ready(platform) == [COUNT.name]


async def test_its_hook_may_refuse(database: Database, platform_class: type[PlatformUnderTest]) -> None:
    """Then nothing has happened: no event, no absence."""
    async with platform_class.open((*MODULES, replace(TILL, on_switch=refuse)), database) as platform:
        tenant = await platform.create_tenant()

        with pytest.raises(TillOpen):
            await switch(platform, tenant, is_enabled=False)

        events = [event.envelope.type for event in await platform.events()]
        absences = await run_alone(platform.system_engine, text("SELECT FROM module_absences"))
        assert (events, absences.rowcount) == (["tenants.tenant.created"], 0)


async def test_a_module_that_was_taken_out_of_the_build_is_forgotten(
    database: Database, platform_class: type[PlatformUnderTest]
) -> None:
    """A tenant that had it off is served by the rest as ever."""
    async with platform_class.open(WITH_TILL, database) as platform:
        tenant = await platform.create_tenant()
        await switch(platform, tenant, is_enabled=False)
    async with platform_class.open(MODULES, database) as platform:
        modules = await platform.query("tenants.modules.list", tenant)

    assert "till" not in {module.name for module in modules.data}
    assert all(module.is_enabled for module in modules.data)


async def test_a_module_may_have_no_hook(database: Database, platform_class: type[PlatformUnderTest]) -> None:
    """Most have none."""
    async with platform_class.open((*MODULES, replace(TILL, on_switch=None)), database) as platform:
        tenant = await platform.create_tenant()

        modules = await switch(platform, tenant, is_enabled=False)

    assert [module.name for module in modules.data if not module.is_enabled] == ["till"]
