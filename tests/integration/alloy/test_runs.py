"""From an event to the effects of a script: once, all or nothing, and told."""

import asyncio
from functools import partial
from typing import Any

import pytest

from rustok.modules.alloy.handlers import DEPTH_LIMIT
from tests.integration.alloy.workshop import Workshop
from tests.waiting import eventually_async

pytestmark = pytest.mark.under_fire

ON_CREATED = [{"kind": "event", "pattern": "commerce.product.created"}]


async def test_an_event_runs_a_script_whose_effects_are_committed(workshop: Workshop) -> None:
    """The whole path: event, run, cage, command, and the end of the job."""
    script = await workshop.script("""
        product = await ctx.get("commerce.products", event["aggregate_id"])
        ctx.update("commerce.products", product["id"], tags=["new"])
        ctx.log("tagged", title=product["translations"]["en"]["title"])
        return product["version"]
    """)

    product = await workshop.product()
    await workshop.settle()

    [attempt] = await workshop.attempts(script)
    assert (attempt.outcome, attempt.result, attempt.error) == ("succeeded", 1, None)
    assert attempt.logs == [{"level": "info", "message": "tagged", "fields": {"title": "Kettle"}}]
    assert attempt.usage["host_calls"] == 1
    assert (await workshop.read_product(product.id)).tags == ["new"]


async def test_what_a_script_causes_names_the_script_and_the_run(workshop: Workshop) -> None:
    """Correlation is the root's, the cause is the run, the actor is the script."""
    script = await workshop.script('ctx.update("commerce.products", event["aggregate_id"], vendor="Acme")')

    product = await workshop.product()
    await workshop.settle()

    [created] = [e.envelope for e in await workshop.events("commerce.product.created")]
    [updated] = [e.envelope for e in await workshop.events("commerce.product.updated")]
    [attempt] = await workshop.attempts(script)
    assert updated.aggregate_id == product.id
    assert (updated.actor, updated.causation_id) == (f"script:{script.id}", attempt.run_id)
    assert updated.correlation_id == created.correlation_id == attempt.correlation_id


async def test_an_event_runs_a_script_once_however_often_it_is_read(workshop: Workshop) -> None:
    """The run's id is made of the event and the script: a consumer that begins anew makes no second one."""
    script = await workshop.script('ctx.emit("seen")')
    await workshop.product()
    await workshop.settle()

    await workshop.rewind()
    await workshop.settle()

    assert len(await workshop.attempts(script)) == 1
    assert len(await workshop.events("alloy.run.emitted")) == 1


@pytest.mark.parametrize(
    ("pattern", "chosen", "runs"),
    [
        ("commerce.product.created", {}, 1),
        ("commerce.product.*", {}, 2),
        ("*", {"payload.variants": [0]}, 1),
        ("commerce.product.created", {"payload.variants": [True]}, 0),
        ("commerce.product.created", {"payload.nothing": [None]}, 0),
        ("commerce.price.updated", {}, 0),
    ],
)
async def test_a_trigger_chooses_its_events(
    workshop: Workshop, pattern: str, chosen: dict[str, list[Any]], runs: int
) -> None:
    """By their type and by values in them; a value of another type is another value."""
    trigger = {"kind": "event", "pattern": pattern, "filter": chosen}
    script = await workshop.script("return 1", triggers=[trigger])

    await workshop.product(status="active")
    await workshop.settle()

    assert len(await workshop.attempts(script)) == runs


async def test_a_script_runs_on_nothing_that_was_before_it_was_active(workshop: Workshop) -> None:
    """A consumer that lags must not start it on history."""
    await workshop.product()
    script = await workshop.script("return 1")

    await workshop.settle()

    assert await workshop.attempts(script) == []


async def test_effects_are_all_or_none(workshop: Workshop) -> None:
    """The second effect is refused: the first has not happened, and the author reads which one and why."""
    script = await workshop.script("""
        ctx.update("commerce.products", event["aggregate_id"], vendor="Acme")
        ctx.command("commerce.translations.set", product_id=event["aggregate_id"], locale="en", title="")
    """)

    product = await workshop.product()
    await workshop.platform.settle()
    await workshop.work()

    [attempt] = await workshop.attempts(script)
    assert attempt.outcome == "effect_refused"
    assert attempt.error is not None
    assert attempt.error["message"].startswith("Effect 2, commerce.translations.set: invalid_input")
    assert (await workshop.read_product(product.id)).vendor is None


async def test_a_conflict_is_told_of_the_effect_that_met_it(workshop: Workshop) -> None:
    """A handle that is taken: the create is named, not what came after it."""
    await workshop.product(translations={"en": {"title": "Kettle", "handle": "kettle"}})
    script = await workshop.script(
        """
        ctx.create("commerce.products", translations={"en": {"title": "Kettle", "handle": "kettle"}})
        ctx.kv.set("made", True)
        """,
        on=None,
    )

    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    [attempt] = await workshop.attempts(script)
    assert attempt.error is not None
    assert attempt.error["message"].startswith("Effect 1, commerce.products: duplicate_handle")


async def test_a_question_that_cannot_be_asked_is_refused(workshop: Workshop) -> None:
    """The hook reads why, and may go on."""
    body = """
        told = []
        for key in ("a/b", 5, ""):
            try:
                await ctx.kv.get(key)
            except RuntimeError as error:
                told.append(str(error).split(":")[0])
        return told
    """
    script = await workshop.script(body, on=None)

    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    assert [a.result for a in await workshop.attempts(script)] == [["invalid_input"] * 3]


async def test_a_run_waits_for_a_row_that_somebody_holds(workshop: Workshop) -> None:
    """However long: it is not run again for that."""
    body = 'ctx.update("commerce.products", event["aggregate_id"], vendor="Acme")'
    script = await workshop.script(body)
    product = await workshop.product()
    await workshop.platform.settle()

    async with workshop.holding("products", product.id) as row:
        working = asyncio.create_task(workshop.work())
        await eventually_async(row.is_waited_for)
        await row.let_go()
        await working

    assert [(a.outcome, a.attempt) for a in await workshop.attempts(script)] == [("succeeded", 1)]


async def test_a_script_can_do_no_more_than_it_was_granted(workshop: Workshop) -> None:
    """Neither read nor write."""
    script = await workshop.script(
        """
        try:
            await ctx.get("commerce.products", event["aggregate_id"])
        except RuntimeError as error:
            ctx.log(str(error))
        ctx.update("commerce.products", event["aggregate_id"], vendor="Acme")
        """,
        grants=[],
    )

    await workshop.product()
    await workshop.platform.settle()
    await workshop.work()

    [attempt] = await workshop.attempts(script)
    assert attempt.logs[0]["message"] == "permission_denied: This needs the permission commerce.products.read."
    assert attempt.error is not None
    assert "permission_denied" in attempt.error["message"]


async def test_reads_that_were_overtaken_make_the_script_run_again(workshop: Workshop) -> None:
    """What it decides rests on what it has read: somebody wrote meanwhile, so it decides anew, in the same attempt."""
    script = await workshop.script("""
        product = await ctx.get("commerce.products", event["aggregate_id"])
        ctx.update("commerce.products", product["id"], tags=[product["vendor"] or "none"])
    """)
    product = await workshop.product()
    await workshop.platform.settle()

    async def overtake() -> None:
        version = (await workshop.read_product(product.id)).version
        await workshop.run("commerce.products.update", seen=version, product_id=str(product.id), vendor="Acme")

    workshop.before_effects(overtake, times=1)
    await workshop.work()

    [attempt] = await workshop.attempts(script)
    assert (attempt.outcome, attempt.attempt) == ("succeeded", 1)
    assert (await workshop.read_product(product.id)).tags == ["Acme"]


async def test_a_run_whose_tenant_is_switched_off_has_no_effects_until_it_is_on_again(workshop: Workshop) -> None:
    """It runs again then, once, and no attempt was counted."""
    script = await workshop.script("""
        ctx.update("commerce.products", event["aggregate_id"], tags=["done"])
    """)
    product = await workshop.product()
    await workshop.platform.settle()

    workshop.before_effects(partial(workshop.run, "tenants.tenants.disable"), times=1)
    await workshop.work()
    await workshop.run("tenants.tenants.enable")
    tags_while_off = (await workshop.read_product(product.id)).tags
    await workshop.hurry()
    await workshop.settle()

    [attempt] = await workshop.attempts(script)
    assert (tags_while_off, attempt.outcome, attempt.attempt) == ([], "succeeded", 1)
    assert (await workshop.read_product(product.id)).tags == ["done"]


async def test_a_script_that_is_always_overtaken_gives_up(workshop: Workshop) -> None:
    """After three reruns the attempt has failed; another one follows later."""
    script = await workshop.script("""
        product = await ctx.get("commerce.products", event["aggregate_id"])
        ctx.update("commerce.products", product["id"], tags=["late"])
    """)
    product = await workshop.product()
    await workshop.platform.settle()

    async def overtake() -> None:
        found = await workshop.read_product(product.id)
        vendor = f"{found.version}"
        await workshop.run("commerce.products.update", seen=found.version, product_id=str(product.id), vendor=vendor)

    workshop.before_effects(overtake, times=100)
    await workshop.work()

    [attempt] = await workshop.attempts(script)
    assert (attempt.outcome, attempt.error and attempt.error["used"]) == ("conflict", 4)


async def test_a_failing_run_is_tried_again_and_in_the_end_given_up(workshop: Workshop) -> None:
    """Each attempt is told; the dead run can be driven again, by the version that is active then."""
    script = await workshop.script('raise ValueError("no")')
    await workshop.product()
    await workshop.platform.settle()
    await workshop.work(retries=True)
    failed = await workshop.attempts(script)
    run = await workshop.query("alloy.runs.get", run_id=str(failed[0].run_id))

    await workshop.push(script.id, "async def handle(event, ctx):\n    return 'fixed'\n", activate=True)
    redriven = await workshop.run("alloy.runs.redrive", run_id=str(run.id))
    await workshop.work()

    assert [(a.attempt, a.outcome) for a in failed] == [(n, "exception") for n in range(1, 6)]
    assert failed[0].error is not None
    assert (failed[0].error["message"], failed[0].error["line"]) == ("ValueError: no", 3)
    assert (run.status, len(run.attempts), redriven.count) == ("failed", 5, 1)
    last = (await workshop.attempts(script))[-1]
    assert (last.outcome, last.result, last.script_version) == ("succeeded", "fixed", 2)


async def test_a_script_that_fails_too_often_in_a_row_is_disabled(workshop: Workshop) -> None:
    """It says so with an event, and what waits for it is given up until somebody has looked."""
    await workshop.limits(failures_in_a_row=3)
    script = await workshop.script("raise ValueError('no')")

    await workshop.product()
    await workshop.platform.settle()
    await workshop.work(retries=True)

    found = await workshop.find(script.id)
    assert (found.status, found.status_reason) == ("disabled", "consecutive_failures")
    assert [a.outcome for a in await workshop.attempts(script)] == ["exception"] * 3 + ["script_disabled"]
    assert len(await workshop.events("alloy.script.disabled")) == 1


async def test_a_success_ends_a_row_of_failures(workshop: Workshop) -> None:
    """Only failures in a row tell that a script is broken."""
    script = await workshop.script("if event['payload']['bad']: raise ValueError('no')", on=None)

    started = await workshop.run("alloy.runs.start", script_id=str(script.id), input={"bad": True})
    await workshop.work()
    await workshop.run("jobs.operations.cancel", operation_id=str(started.operation_id))
    failed = await workshop.find(script.id)
    await workshop.run("alloy.runs.start", script_id=str(script.id), input={"bad": False})
    await workshop.work()

    assert (failed.failures, (await workshop.find(script.id)).failures) == (1, 0)


async def test_scripts_that_start_each_other_are_stopped(workshop: Workshop) -> None:
    """A hook that answers its own effect: the ninth of the chain is not begun, and is found in its log."""
    script = await workshop.script(
        "ctx.emit('again')", triggers=[{"kind": "event", "pattern": p} for p in ("commerce.*", "alloy.run.emitted")]
    )

    await workshop.product()
    await workshop.settle()

    attempts = await workshop.attempts(script)
    assert [a.depth for a in attempts] == list(range(1, DEPTH_LIMIT + 2))
    assert [a.outcome for a in attempts] == ["succeeded"] * DEPTH_LIMIT + ["loop_detected"]


async def test_somebody_starts_a_script_and_finds_its_result(workshop: Workshop) -> None:
    """The operation is the run."""
    script = await workshop.script("return event['payload']['n'] + 1", on=None)

    started = await workshop.run("alloy.runs.start", script_id=str(script.id), input={"n": 41})
    await workshop.work()

    operation = await workshop.query("jobs.operations.get", operation_id=str(started.operation_id))
    assert (operation.status, operation.result) == ("done", 42)


async def test_what_an_api_run_emits_follows_its_request(workshop: Workshop) -> None:
    """Both are events of the run: its versions rise by one."""
    script = await workshop.script("ctx.emit('a')\nctx.emit('b', n=1)", on=None)

    started = await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.settle()

    events = [e.envelope for e in await workshop.platform.events() if e.envelope.aggregate_id == started.operation_id]
    assert [(e.type, e.aggregate_version) for e in events] == [
        ("alloy.run.requested", 1),
        ("alloy.run.emitted", 2),
        ("alloy.run.emitted", 3),
    ]


async def test_a_cron_trigger_starts_a_script_at_its_moments(workshop: Workshop) -> None:
    """As long as it is active."""
    cron = {"kind": "cron", "expression": "0 7 * * *", "timezone": "Europe/Berlin"}
    script = await workshop.script("return event['type']", triggers=[cron])

    await workshop.strike()
    await workshop.work()
    await workshop.run("alloy.scripts.pause", script_id=str(script.id))
    await workshop.strike()
    await workshop.work()

    assert [a.result for a in await workshop.attempts(script)] == ["alloy.cron"]


async def test_a_paused_script_runs_on_nothing_and_waits_with_what_it_has(workshop: Workshop) -> None:
    """Events pass; a run that was made before waits until the script is active again."""
    script = await workshop.script("return 1")
    await workshop.product()
    await workshop.platform.settle()
    await workshop.run("alloy.scripts.pause", script_id=str(script.id))
    await workshop.work()
    await workshop.product()
    await workshop.settle()
    waiting = await workshop.attempts(script)

    await workshop.run("alloy.scripts.activate", script_id=str(script.id))
    await workshop.hurry()
    await workshop.work()

    assert (waiting, len(await workshop.attempts(script))) == ([], 1)


async def test_runs_of_a_deleted_script_are_cancelled(workshop: Workshop) -> None:
    """What waited for it has nobody to run."""
    script = await workshop.script("return 1", on=None)
    started = await workshop.run("alloy.runs.start", script_id=str(script.id))

    await workshop.run("alloy.scripts.delete", seen=script.version, script_id=str(script.id))
    await workshop.work()

    operation = await workshop.query("jobs.operations.get", operation_id=str(started.operation_id))
    assert operation.status == "cancelled"


async def test_a_share_of_the_runs_takes_the_canary(workshop: Workshop) -> None:
    """Chosen by the run's id, so that a retry takes the same."""
    script = await workshop.script("return 'stable'")
    await workshop.push(script.id, "async def handle(event, ctx):\n    return 'canary'\n")
    await workshop.run("alloy.canaries.set", script_id=str(script.id), number=2, percent=50)

    for _ in range(24):
        await workshop.product()
    await workshop.settle()

    results = {a.result: a.script_version for a in await workshop.attempts(script)}
    assert results == {"stable": 1, "canary": 2}


async def test_a_tenant_with_a_quota_has_its_runs_later_not_fewer(workshop: Workshop) -> None:
    """What is beyond a minute's worth waits for its time."""
    await workshop.limits(runs_a_minute=2)
    script = await workshop.script("return 1")

    for _ in range(5):
        await workshop.product()
        await workshop.settle()
    at_once = len(await workshop.attempts(script))
    await workshop.hurry()
    await workshop.settle()

    assert (at_once, len(await workshop.attempts(script))) == (2, 5)


async def test_a_quota_spreads_the_runs_of_a_batch_over_time(workshop: Workshop) -> None:
    """Each has its own moment; those that somebody starts count as those of events do."""
    await workshop.limits(runs_a_minute=2)
    script = await workshop.script("return 1", triggers=[*ON_CREATED, {"kind": "api"}])
    for _ in range(4):
        await workshop.product()
    await workshop.platform.settle()
    await workshop.run("alloy.runs.start", script_id=str(script.id))

    due_in_s = await workshop.due_in_s()

    assert [round(seconds / 30) for seconds in due_in_s] == [0, 0, 1, 2, 3]


async def test_limits_of_the_tenant_hold_for_its_runs(workshop: Workshop) -> None:
    """An operator gives less than the default, or more."""
    await workshop.limits(host_calls=1)
    script = await workshop.script("await ctx.kv.get('a')\nawait ctx.kv.get('b')", on=None)

    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    [attempt] = await workshop.attempts(script)
    assert attempt.error is not None
    assert (attempt.error["code"], attempt.error["limit"]) == ("host_calls_exceeded", 1)


async def test_many_runs_at_once_do_not_disturb_each_other(workshop: Workshop) -> None:
    """Each counts in a value that all of them read and write: a conflict makes one run again, none is lost."""
    script = await workshop.script("n = await ctx.kv.get('n', 0)\nctx.kv.set('n', n + 1)", on=None)

    async def start() -> None:
        await workshop.run("alloy.runs.start", script_id=str(script.id))

    await asyncio.gather(*(start() for _ in range(12)))
    await workshop.work(retries=True)

    value = await workshop.query("alloy.kv.get", script_id=str(script.id), key="n")
    assert value.value == 12
