"""`rustok scripts replay`: what a script would do on a real event, with nothing done."""

import json
from pathlib import Path

from tests.integration.alloy.workshop import Workshop, hook
from tests.integration.cli.conftest import Cli

TAGGER = """
    product = await ctx.get("commerce.products", event["aggregate_id"])
    count = await ctx.kv.get("count", 0)
    ctx.update("commerce.products", product["id"], tags=[*product["tags"], "new"])
    ctx.create("commerce.products", translations={"en": {"title": "Lid"}})
    ctx.kv.set("count", count + 1)
    ctx.emit("tagged", product=product["id"])
    ctx.http.post("https://hooks.example.com/", json={"tagged": 1})
"""


async def test_a_replay_shows_what_would_change_and_changes_nothing(
    workshop: Workshop, cli: Cli, tmp_path: Path
) -> None:
    """Before and after of each thing that the effects touch, requests and events as such; then all is rolled back."""
    script = await workshop.script('ctx.kv.set("count", 1)', name="tagger", hosts=["hooks.example.com"])
    product = await workshop.product()
    await workshop.settle()
    events = len(await workshop.platform.events())
    file = tmp_path / "hook.py"
    file.write_text(hook(TAGGER))

    people = await cli("scripts", "replay", "tagger", "--file", str(file))
    as_json = await cli("scripts", "replay", "tagger", "--file", str(file), "--json")

    [row] = json.loads(as_json.out)
    updated, value, created = sorted(row["changes"], key=lambda change: (change["before"] is None, change["what"]))
    assert people.code == as_json.code == 0
    assert updated["what"] == f"commerce.products {product.id}"
    assert (updated["before"]["tags"], updated["after"]["tags"]) == ([], ["new"])
    assert (value["what"], value["before"]["value"], value["after"]["value"]) == ("kv count", 1, 2)
    assert created["after"]["translations"]["en"]["title"] == "Lid"
    types = {"commerce.product.updated", "commerce.product.created", "alloy.run.emitted"}
    assert {event["type"] for event in row["events"]} == types
    assert f"  --- commerce.products {product.id} before" in people.out
    assert "effects  1. update commerce.products" in people.out
    assert '5. http POST https://hooks.example.com/ {"json": {"tagged": 1}}' in people.out
    assert "host calls 2/50" in people.out
    assert "nothing was applied" in people.err
    assert (await workshop.read_product(product.id)).tags == []
    assert (await workshop.query("alloy.kv.get", script_id=str(script.id), key="count")).value == 1
    assert len(await workshop.platform.events()) == events
    assert len(await workshop.attempts(script)) == 1


async def test_a_replay_of_a_run_has_the_same_event_time_and_chance(workshop: Workshop, cli: Cli) -> None:
    """So the same code does the same again; the active version is what runs."""
    body = 'ctx.log("seen", at=ctx.now.isoformat(), id=ctx.new_id())\nreturn event'
    script = await workshop.script(body, name="seer")
    await workshop.product()
    await workshop.settle()
    [attempt] = await workshop.attempts(script)

    of_run = await cli("scripts", "replay", "seer", "--run", str(attempt.run_id), "--json")
    latest = await cli("scripts", "replay", "seer", "--last", "--json")

    for finished in (of_run, latest):
        [row] = json.loads(finished.out)
        assert (row["hook"], row["logs"], row["result"]) == ("seer@1", attempt.logs, attempt.result)


async def test_a_run_of_a_cron_trigger_is_replayed_with_its_moment(workshop: Workshop, cli: Cli) -> None:
    """The moment is kept with the run, and is what the hook sees."""
    triggers = [{"kind": "cron", "expression": "0 7 * * *"}]
    script = await workshop.script('return event["payload"]["due_at"]', name="digest", triggers=triggers)
    await workshop.strike()
    await workshop.work()
    [attempt] = await workshop.attempts(script)

    finished = await cli("scripts", "replay", "digest", "--last", "--json")

    [row] = json.loads(finished.out)
    assert row["result"] == attempt.result
    assert row["event"]["type"] == "alloy.cron"


async def test_an_event_of_the_log_is_replayed_before_there_is_any_run(
    workshop: Workshop, cli: Cli, tmp_path: Path
) -> None:
    """By its id; or without one the latest event that the triggers mean. A draft needs a file."""
    await workshop.product()
    await workshop.product(status="active")
    await workshop.settle()
    first, second = await workshop.events("commerce.product.created")
    triggers = [{"kind": "event", "pattern": "commerce.product.created"}]
    await workshop.run("alloy.scripts.create", name="seer", triggers=triggers)
    file = tmp_path / "hook.py"
    file.write_text(hook('return event["id"]'))

    chosen = await cli(
        *("scripts", "replay", "seer", "--file", str(file), "--json", "--event", str(first.envelope.event_id))
    )
    latest = await cli("scripts", "replay", "seer", "--file", str(file), "--json")
    without = await cli("scripts", "replay", "seer")
    both = await cli("scripts", "replay", "seer", "--last", "--event", str(first.envelope.event_id))

    assert json.loads(chosen.out)[0]["result"] == str(first.envelope.event_id)
    assert json.loads(latest.out)[0]["result"] == str(second.envelope.event_id)
    assert without.code == 1
    assert "seer has no active version" in without.err
    assert both.code == 2


async def test_what_a_script_may_not_do_is_refused_in_a_replay_too(workshop: Workshop, cli: Cli) -> None:
    """It runs with the script's own rights, and says which effect is refused and why."""
    await workshop.script(
        'ctx.update("commerce.products", event["aggregate_id"], tags=["new"])', name="tagger", grants=[]
    )
    await workshop.product()
    await workshop.settle()

    finished = await cli("scripts", "replay", "tagger", "--json")

    [row] = json.loads(finished.out)
    assert finished.code == 1
    assert row["refused"].startswith("Effect 1, commerce.products: permission_denied: ")
    assert row["changes"] == []


async def test_a_hook_that_fails_in_a_replay_says_where(workshop: Workshop, cli: Cli, tmp_path: Path) -> None:
    """An error with its line, or the faults of a file that is no hook; the secrets it has seen are masked."""
    await workshop.run("alloy.secrets.set", name="chat-token", value="s3cret-value")
    await workshop.script('raise ValueError(await ctx.secret("chat-token"))', name="failing", secrets=["chat-token"])
    await workshop.product()
    await workshop.platform.settle()
    broken = tmp_path / "broken.py"
    broken.write_text("import os\n")

    failed = await cli("scripts", "replay", "failing")
    refused = await cli("scripts", "replay", "failing", "--file", str(broken))

    assert (failed.code, refused.code) == (1, 1)
    assert "error    exception: ValueError: *** (line 3)" in failed.out
    assert "s3cret-value" not in failed.out + failed.err
    assert refused.out.startswith(f"{broken}:1:1: forbidden_syntax: os cannot be imported.")
