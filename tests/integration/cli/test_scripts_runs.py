"""What scripts do, as their authors see it: start, follow, look back, drive again, limit."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from rustok.db.transaction import run_alone
from rustok.kernel.ids import uuid7
from tests.integration.alloy.workshop import Workshop
from tests.integration.cli.conftest import Cli, served

_COPY = text(
    """
    INSERT INTO script_attempts
    SELECT (jsonb_populate_record(a, jsonb_build_object('id', n.id))).*
      FROM script_attempts AS a, unnest(CAST(:ids AS uuid[])) AS n (id)
     WHERE a.id = :id
    """
)
TOTAL = """
    ctx.log("adding", numbers=event["payload"]["numbers"])
    return sum(event["payload"]["numbers"])
"""


async def test_a_run_is_started_by_hand_and_shown(workshop: Workshop, cli: Cli) -> None:
    """It waits for the first attempt; one that failed is shown with its line, and exit code 1."""
    await workshop.script(TOTAL, name="adder", on=None)

    done = await served(workshop, cli("scripts", "run", "adder", "--input", '{"numbers": [1, 2]}', "--json"))
    failed = await served(workshop, cli("scripts", "run", "adder", "--input", "-", stdin='{"numbers": ["a"]}'))

    [attempt] = json.loads(done.out)
    assert (done.code, attempt["outcome"], attempt["result"]) == (0, "succeeded", 3)
    assert failed.code == 1
    assert 'log      info    adding numbers=["a"]' in failed.out
    assert "error    exception: TypeError" in failed.out
    assert "(line 4)" in failed.out
    assert "it may be tried again: rustok scripts logs adder --run" in failed.err


async def test_a_run_that_cannot_start_is_told(workshop: Workshop, cli: Cli) -> None:
    """A payload that is no object is a wrong call; a script that nobody may start, and missing workers, are errors."""
    await workshop.script("pass", name="adder", on=None)
    await workshop.script("pass", name="listener")

    wrong = await cli("scripts", "run", "adder", "--input", "[1]")
    refused = await cli("scripts", "run", "listener")
    alone = await cli("scripts", "run", "adder", "--timeout-s", "0.2")
    not_waited = await cli("scripts", "run", "adder", "--no-wait", "--json")

    assert wrong.code == 2
    assert "(script_not_startable)" in refused.err
    assert "no worker runs" in alone.err
    assert not_waited.code == 0
    assert json.loads(not_waited.out)[0]["script"] == "adder"


async def test_logs_are_those_of_a_run_or_an_outcome(workshop: Workshop, cli: Cli) -> None:
    """Oldest first, with what was logged, done and why it failed."""
    script = await workshop.script("""
        ctx.log("seen")
        ctx.kv.set("last", event["aggregate_id"])
        if event["payload"]["variants"]:
            raise ValueError("too many")
    """)
    await workshop.product()
    await workshop.settle()
    await workshop.product(variants=[{"sku": "A"}])
    await workshop.settle()
    good, bad = await workshop.attempts(script)

    everything = await cli("scripts", "logs", script.name)
    of_run = await cli("scripts", "logs", script.name, "--run", str(good.run_id), "--json")
    of_outcome = await cli("scripts", "logs", script.name, "--outcome", "exception", "--limit", "1", "--json")
    unknown = await cli("scripts", "logs", script.name, "--run", str(uuid7()))

    assert everything.out.index(str(good.run_id)) < everything.out.index(str(bad.run_id))
    assert 'effects  1. kv.set last {"value": ' in everything.out
    assert "error    exception: ValueError: too many (line 6)" in everything.out
    assert [attempt["id"] for attempt in json.loads(of_run.out)] == [str(good.id)]
    assert [attempt["id"] for attempt in json.loads(of_outcome.out)] == [str(bad.id)]
    assert "(run_not_found)" in unknown.err


async def test_attempts_are_followed_until_ctrl_c(workshop: Workshop, environment: dict[str, str]) -> None:
    """What ended before is shown first, as far as wanted; then each attempt as it ends, of all scripts."""
    first = await workshop.script('ctx.log("one")', name="first")
    second = await workshop.script('ctx.log("two")', name="second", on="commerce.product.published")
    await workshop.product()
    await workshop.settle()
    process = await follow(environment)
    assert process.stdout is not None

    past = json.loads(await process.stdout.readline())
    await workshop.product(status="active")
    await workshop.settle()
    come = [json.loads(await process.stdout.readline()) for _ in range(2)]
    process.send_signal(signal.SIGINT)

    assert (past["script"], past["script_id"]) == ("first", str(first.id))
    assert {attempt["script"] for attempt in come} == {"first", second.name}
    assert await process.wait() == 130


@pytest.mark.parametrize("of_one", [True, False])
async def test_a_burst_between_two_looks_is_printed_whole(
    workshop: Workshop, environment: dict[str, str], *, of_one: bool
) -> None:
    """As many attempts as there are: a look goes back to what it has shown."""
    script = await workshop.script("pass", name="busy")
    await workshop.product()
    await workshop.settle()
    [attempt] = await workshop.attempts(script)
    chosen = ["busy"] if of_one else []
    process = await follow(environment, *chosen)
    assert process.stdout is not None

    past = json.loads(await process.stdout.readline())
    more = [str(uuid7()) for _ in range(450)]
    await run_alone(workshop.platform.system_engine, _COPY, {"id": attempt.id, "ids": more})
    come = [json.loads(await process.stdout.readline())["id"] for _ in more]
    process.send_signal(signal.SIGINT)

    assert past["id"] == str(attempt.id)
    assert come == more
    assert await process.wait() == 130


async def follow(environment: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    """Start following from the latest attempt on, as JSON."""
    return await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("rustok")),
        *("scripts", "tail", "--json", "-n", "1", *arguments),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )


async def test_the_past_of_one_script_is_printed_without_following(workshop: Workshop, cli: Cli) -> None:
    """A line for people, with the log below."""
    await workshop.script('ctx.log("one")', name="first")
    await workshop.script('ctx.log("two")', name="second")
    await workshop.product()
    await workshop.settle()

    finished = await cli("scripts", "tail", "second", "--no-follow")
    nothing = await cli("scripts", "tail", "second", "--no-follow", "-n", "0")

    headline, log = finished.out.splitlines()
    assert nothing.out == ""
    assert "second@1  succeeded" in headline
    assert log == "  log      info    two"


async def test_dead_runs_are_counted_and_driven_again(workshop: Workshop, cli: Cli) -> None:
    """It says how many, and asks; one run can be chosen."""
    script = await workshop.script('raise ValueError("no")', name="broken")
    await workshop.product()
    await workshop.product()
    await workshop.settle()
    await workshop.work(retries=True)
    run_id = str((await workshop.attempts(script))[0].run_id)

    rehearsed = await cli("scripts", "redrive", "broken", "--dry-run", "--json")
    unanswered = await cli("scripts", "redrive", "broken")
    one = await cli("scripts", "redrive", "broken", "--run", run_id, "--yes", "--json")
    rest = await cli("scripts", "redrive", "broken", "--yes", "--json")
    again = await cli("scripts", "redrive", "broken", "--run", run_id, "--yes")

    assert json.loads(rehearsed.out) == [{"script": "broken", "count": 2}]
    assert unanswered.code == 1
    assert "Try 2 runs and requests of broken again?" in unanswered.err
    assert [json.loads(finished.out)[0]["count"] for finished in (one, rest)] == [1, 1]
    assert "(run_not_dead)" in again.err


async def test_limits_are_shown_and_set(workshop: Workshop, cli: Cli) -> None:
    """What is not named keeps its value; an unknown name is a wrong call, a value out of range an error."""
    await cli("scripts", "limits", "--set", "cpu_ms=800")

    changed = await cli("scripts", "limits", "--set", "host_calls=100", "--set", "runs_a_minute=60", "--json")
    unknown = await cli("scripts", "limits", "--set", "cpu=1")
    out_of_range = await cli("scripts", "limits", "--set", "cpu_ms=1")
    malformed = await cli("scripts", "limits", "--set", "cpu_ms=much")

    rows = {row["limit"]: (row["default"], row["tenant"]) for row in json.loads(changed.out)}
    assert rows["cpu_ms"] == (500, 800)
    assert rows["host_calls"] == (50, 100)
    assert rows["runs_a_minute"] == (None, 60)
    assert rows["wall_ms"] == (2000, 2000)
    assert (unknown.code, out_of_range.code, malformed.code) == (2, 1, 2)
    assert "/cpu_ms" in out_of_range.err
    assert (await workshop.query("alloy.limits.get")).cpu_ms == 800


async def test_a_script_is_started_on_an_event_of_the_log_or_a_sample(workshop: Workshop, cli: Cli) -> None:
    """For good: its effects are applied. A script that is not active is not started."""
    script = await workshop.script(
        """
        ctx.kv.set("seen", event["type"])
        ctx.emit("seen")
        return event["id"]
        """,
        name="seer",
        on="commerce.product.deleted",
    )
    await workshop.product()
    await workshop.settle()
    [created] = await workshop.events("commerce.product.created")
    event_id = str(created.envelope.event_id)

    real = await served(workshop, cli("events", "trigger", "seer", "--event", event_id, "--json"))
    made_up = await served(workshop, cli("events", "trigger", "seer", "--sample", "commerce.product.deleted"))
    unknown = await cli("events", "trigger", "seer", "--event", str(uuid7()))
    await workshop.run("alloy.scripts.pause", script_id=str(script.id))
    paused = await cli("events", "trigger", "seer", "--sample", "alloy.cron")
    neither = await cli("events", "trigger", "seer")

    assert json.loads(real.out)[0]["result"] == event_id
    assert made_up.code == 0
    kept = await workshop.query("alloy.kv.get", script_id=str(script.id), key="seen")
    assert kept.value == "commerce.product.deleted"
    assert len(await workshop.events("alloy.run.emitted")) == 2
    assert "(not_found)" in unknown.err
    assert "(script_not_startable)" in paused.err
    assert neither.code == 2


async def test_samples_are_events_as_hooks_see_them(workshop: Workshop, cli: Cli) -> None:
    """The types with their meaning; one made of an example; the latest real one of the log."""
    product = await workshop.product()
    await workshop.settle()

    types = await cli("events", "samples", "--json")
    made_up = await cli("events", "samples", "commerce.product.created")
    real = await cli("events", "samples", "commerce.product.created", "--last")
    unknown = await cli("events", "samples", "commerce.product.eaten")
    none = await cli("events", "samples", "commerce.product.deleted", "--last")

    rows = {row["type"]: row["meaning"] for row in json.loads(types.out)}
    assert rows["alloy.cron"] == "A moment of a cron trigger."
    assert {"commerce.product.created", "alloy.run.emitted"} < set(rows)
    assert json.loads(made_up.out)["payload"] == {"locales": ["de", "en"], "variants": 1}
    assert json.loads(real.out)["aggregate_id"] == str(product.id)
    assert json.loads(real.out)["tenant_id"] == str(workshop.tenant_id)
    assert (unknown.code, none.code) == (1, 1)
