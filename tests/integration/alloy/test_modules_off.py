"""A module that a tenant has switched off hears nothing and begins nothing; nothing is lost, and nothing is made up."""

from uuid import UUID

import pytest

from rustok.jobs import NewJob, enqueue
from rustok.jobs.store import PostgresJobStore
from rustok.modules.alloy import RUN
from tests.integration.alloy.workshop import Workshop

pytestmark = pytest.mark.under_fire

SUFFIX = 'ctx.update("commerce.products", event["aggregate_id"], vendor="seen")'
CRON = [{"kind": "cron", "expression": "* * * * *", "timezone": "UTC"}]


async def switch(workshop: Workshop, module: str, *, is_enabled: bool) -> None:
    await workshop.run("tenants.modules.switch", module=module, is_enabled=is_enabled)


async def ready(workshop: Workshop) -> list[UUID]:
    """Return the jobs of runs that whoever looks for work would find, or would be given if somebody named them."""
    store = PostgresJobStore(workshop.platform.system_engine)
    found = [job_id for job_id, _ in await store.ready(RUN.queue, [], 100, 100)]
    told = await store.still_ready(found)
    assert found == [job_id for job_id, may_begin in told.items() if may_begin]
    return found


async def test_what_happens_while_scripts_are_off_starts_none(workshop: Workshop) -> None:
    """Not then, and not later: who switches them on again is not flooded with what has passed."""
    script = await workshop.script(SUFFIX)
    await switch(workshop, "alloy", is_enabled=False)
    missed = await workshop.product()
    await workshop.settle()
    await switch(workshop, "alloy", is_enabled=True)
    await workshop.settle()

    assert (await workshop.attempts(script), (await workshop.read_product(missed.id)).vendor) == ([], None)
    seen = await workshop.product()
    await workshop.settle()
    assert (await workshop.read_product(seen.id)).vendor == "seen"


async def test_what_was_late_counts_as_it_happened(workshop: Workshop) -> None:
    """Events are read after the switches: each starts what it would have started in time, however often it is read."""
    script = await workshop.script(SUFFIX)
    before = await workshop.product()
    await switch(workshop, "alloy", is_enabled=False)
    during = await workshop.product()
    await switch(workshop, "alloy", is_enabled=True)
    after = await workshop.product()

    await workshop.settle()
    await workshop.rewind()
    await workshop.settle()

    vendors = [(await workshop.read_product(product.id)).vendor for product in (before, during, after)]
    assert (vendors, len(await workshop.attempts(script))) == (["seen", None, "seen"], 2)


async def test_runs_that_wait_are_not_begun_and_not_lost(workshop: Workshop) -> None:
    """They begin when scripts are on again, without an attempt counted."""
    script = await workshop.script(SUFFIX)
    await workshop.product()
    await workshop.platform.settle()
    [waiting] = await ready(workshop)

    await switch(workshop, "alloy", is_enabled=False)
    store = PostgresJobStore(workshop.platform.system_engine)
    assert (await ready(workshop), await store.still_ready([waiting])) == ([], {waiting: False})
    assert await store.grant([waiting], 6.0) == []

    await switch(workshop, "alloy", is_enabled=True)
    assert await ready(workshop) == [waiting]
    await workshop.settle()
    [attempt] = await workshop.attempts(script)
    assert (attempt.outcome, attempt.attempt) == ("succeeded", 1)


async def test_the_runs_of_others_go_on(workshop: Workshop) -> None:
    """It is off for one tenant alone, whose waiting runs hide nothing."""
    await workshop.script(SUFFIX)
    for _ in range(3):
        await workshop.product()
    await workshop.platform.settle()
    await switch(workshop, "alloy", is_enabled=False)
    other = await workshop.platform.create_tenant("neighbour-of-alloy")
    job = NewJob(kind=RUN, args={"script_id": str(UUID(int=0))})
    async with workshop.platform.platform.units.begin(workshop.platform.context(other)) as uow:
        await enqueue(uow, [job])

    assert await ready(workshop) == [job.id]


async def test_moments_of_schedules_pass(workshop: Workshop) -> None:
    """None becomes a job, then or later; the operator sees that they are off."""
    script = await workshop.script('ctx.log("tick")', on=None)
    await workshop.run("alloy.scripts.update", seen=script.version, script_id=str(script.id), triggers=CRON)
    await switch(workshop, "alloy", is_enabled=False)
    await workshop.strike()
    await switch(workshop, "alloy", is_enabled=True)
    await workshop.settle()
    assert await workshop.attempts(script) == []

    await workshop.strike()
    await workshop.settle()
    assert len(await workshop.attempts(script)) == 1


async def test_a_script_is_told_that_a_module_is_off(workshop: Workshop) -> None:
    """Reading it and writing to it; the script may go on without."""
    script = await workshop.script(
        """
        for read in (ctx.query("commerce.products.list"), ctx.get("commerce.products", event["payload"]["product"])):
            try:
                await read
            except Exception as error:
                ctx.log(str(error))
        ctx.update("commerce.products", event["payload"]["product"], vendor="x")
        """,
        on=None,
    )
    product = await workshop.product()
    await switch(workshop, "commerce", is_enabled=False)
    await workshop.run("alloy.runs.start", script_id=str(script.id), input={"product": str(product.id)})
    await workshop.settle()

    [attempt] = await workshop.attempts(script)
    assert ["switched off" in line["message"] for line in attempt.logs] == [True, True]
    assert attempt.outcome == "effect_refused"
    assert "commerce is switched off" in str(attempt.error)


async def test_what_another_module_refuses_while_it_is_off_does_not_disable_the_script(workshop: Workshop) -> None:
    """However often: it is the tenant's choice, and no fault of the script."""
    await workshop.limits(failures_in_a_row=1)
    script = await workshop.script('ctx.update("commerce.products", event["payload"]["product"], vendor="x")', on=None)
    product = await workshop.product()
    await switch(workshop, "commerce", is_enabled=False)

    for _ in range(2):
        await workshop.run("alloy.runs.start", script_id=str(script.id), input={"product": str(product.id)})
        await workshop.settle()

    assert {attempt.outcome for attempt in await workshop.attempts(script)} == {"effect_refused"}
    assert (await workshop.find(script.id)).status == "active"


async def test_projections_go_on(workshop: Workshop) -> None:
    """The index of a module that is off is as its tables are: it is right at once when the module is on again."""
    product = await workshop.product(status="active")
    await switch(workshop, "commerce", is_enabled=False)
    await workshop.platform.settle()
    await switch(workshop, "commerce", is_enabled=True)

    page = await workshop.query("index.products.search", locale="en", q="Kettle")
    assert [found.product_id for found in page.data] == [product.id]
