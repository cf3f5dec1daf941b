"""A worker keeps what it knows of a script: what has changed since is never done by what was known before."""

import asyncpg
import pytest

from rustok.modules.alloy.schemas import Script
from tests.integration.alloy.workshop import Workshop, hook


async def run_while_another_is_changed(workshop: Workshop, body: str) -> Script:
    """Run a script once; as often as that is attempted, another one of the tenant is changed meanwhile."""
    script, other = await workshop.script(body, on=None), await workshop.script("return 1", on=None)

    async def change_another() -> None:
        for change in ("pause", "activate"):
            await workshop.run(f"alloy.scripts.{change}", script_id=str(other.id))

    workshop.before_effects(change_another, times=4)
    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()
    return script


@pytest.mark.under_fire
async def test_the_next_run_takes_the_version_that_was_activated(workshop: Workshop) -> None:
    """Though the worker knows another one."""
    script = await workshop.script("return 1")
    await workshop.product()
    await workshop.settle()

    await workshop.push(script.id, hook("return 2"), activate=True)
    await workshop.product()
    await workshop.settle()

    assert [attempt.result for attempt in await workshop.attempts(script)] == [1, 2]


@pytest.mark.under_fire
async def test_a_run_whose_version_was_replaced_meanwhile_takes_the_new_one(workshop: Workshop) -> None:
    """What the old one wanted is not done."""
    script = await workshop.script('ctx.emit("old")')
    await workshop.push(script.id, hook('ctx.emit("new")'))

    async def replace() -> None:
        await workshop.run("alloy.scripts.activate", script_id=str(script.id), number=2)

    workshop.before_effects(replace, times=1)
    await workshop.product()
    await workshop.settle()

    [emitted] = await workshop.events("alloy.run.emitted")
    [attempt] = await workshop.attempts(script)
    assert (emitted.envelope.payload["name"], attempt.script_version, attempt.attempt) == ("new", 2, 1)


@pytest.mark.under_fire
async def test_a_fault_of_a_version_that_was_replaced_meanwhile_is_not_held_against_its_successor(
    workshop: Workshop,
) -> None:
    """The repair came in time: the run takes it, and no attempt has failed."""
    script = await workshop.script("raise ValueError", on=None)
    await workshop.push(script.id, hook("return 'repaired'"))

    async def repair() -> None:
        await workshop.run("alloy.scripts.activate", script_id=str(script.id), number=2)

    workshop.before_effects(repair, times=1)
    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    [attempt] = await workshop.attempts(script)
    assert (attempt.outcome, attempt.result, (await workshop.find(script.id)).failures) == ("succeeded", "repaired", 0)


@pytest.mark.under_fire
async def test_a_run_whose_script_was_paused_meanwhile_waits(workshop: Workshop) -> None:
    """Nothing that it wanted is done, and it is not lost."""
    script = await workshop.script('ctx.emit("done")')

    async def pause() -> None:
        await workshop.run("alloy.scripts.pause", script_id=str(script.id))

    workshop.before_effects(pause, times=1)
    await workshop.product()
    await workshop.settle()
    emitted_while_paused = await workshop.events("alloy.run.emitted")
    await workshop.run("alloy.scripts.activate", script_id=str(script.id))
    await workshop.hurry()
    await workshop.settle()

    assert emitted_while_paused == []
    assert len(await workshop.events("alloy.run.emitted")) == 1


@pytest.mark.under_fire
async def test_a_run_whose_script_was_deleted_meanwhile_does_nothing(workshop: Workshop) -> None:
    """Its job ends."""
    script = await workshop.script('ctx.emit("done")')

    async def delete() -> None:
        await workshop.run("alloy.scripts.delete", seen=script.version, script_id=str(script.id))

    workshop.before_effects(delete, times=1)
    await workshop.product()
    await workshop.settle()

    assert (await workshop.events("alloy.run.emitted"), await workshop.ready(retries=True)) == ([], [])


@pytest.mark.under_fire
async def test_what_was_granted_anew_holds_from_the_next_run_on(workshop: Workshop) -> None:
    """Also what was taken away."""
    body = 'ctx.update("commerce.products", event["aggregate_id"], vendor="Acme")'
    script = await workshop.script(body)
    first = await workshop.product()
    await workshop.settle()

    await workshop.run("alloy.scripts.update", seen=script.version, script_id=str(script.id), grants=[])
    second = await workshop.product()
    await workshop.settle()

    assert (await workshop.read_product(first.id)).vendor == "Acme"
    assert (await workshop.read_product(second.id)).vendor is None
    assert (await workshop.attempts(script))[-1].outcome == "effect_refused"


@pytest.mark.under_fire
async def test_limits_that_were_set_hold_from_the_next_run_on(workshop: Workshop) -> None:
    """Though the worker knows the old ones."""
    script = await workshop.script("await ctx.kv.get('a')\nawait ctx.kv.get('b')")
    await workshop.product()
    await workshop.settle()

    await workshop.limits(host_calls=1)
    await workshop.product()
    await workshop.settle()

    assert [a.outcome for a in await workshop.attempts(script)] == ["succeeded", "host_calls_exceeded"]


async def test_a_run_is_not_held_responsible_for_scripts_that_are_changed_all_the_time(workshop: Workshop) -> None:
    """It waits, and no attempt has failed."""
    script = await run_while_another_is_changed(workshop, 'ctx.emit("done")')
    in_between = await workshop.attempts(script), (await workshop.find(script.id)).failures
    await workshop.hurry()
    await workshop.work()

    [attempt] = await workshop.attempts(script)
    assert in_between == ([], 0)
    assert (attempt.outcome, attempt.attempt) == ("succeeded", 1)


async def test_a_fault_counts_though_scripts_are_changed_all_the_time(workshop: Workshop) -> None:
    """Else a tenant who changes one all the time would never be stopped."""
    script = await run_while_another_is_changed(workshop, "raise ValueError")

    [attempt] = await workshop.attempts(script)
    assert (attempt.outcome, (await workshop.find(script.id)).failures) == ("exception", 1)


@pytest.mark.under_fire
async def test_a_change_by_an_older_release_is_noticed(workshop: Workshop) -> None:
    """It writes the row and knows of no version: triggers raise it."""
    script = await workshop.script('ctx.emit("done")')

    async def pause() -> None:
        admin = await asyncpg.connect(workshop.platform.database.admin_url)
        await admin.execute("UPDATE scripts SET status = 'paused' WHERE id = $1", script.id)
        await admin.close()

    workshop.before_effects(pause, times=1)
    await workshop.product()
    await workshop.settle()

    assert (await workshop.events("alloy.run.emitted"), await workshop.attempts(script)) == ([], [])
