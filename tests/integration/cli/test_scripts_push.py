"""From a folder to a script that runs, and back to an earlier version."""

import json
from pathlib import Path

from tests.integration.alloy.workshop import Workshop, hook
from tests.integration.cli.author import a_folder
from tests.integration.cli.conftest import Cli, served


async def test_a_pushed_folder_becomes_an_active_script(workshop: Workshop, cli: Cli, tmp_path: Path) -> None:
    """The first push creates the script; the next changes what its manifest changed, and adds a version."""
    folder = a_folder(tmp_path, "tagger", "return 1")
    first = await served(workshop, cli("scripts", "push", str(folder), "--json"))
    a_folder(tmp_path, "tagger", "return 2", description="Says two.", grants=["commerce.products.read"])

    second = await served(workshop, cli("scripts", "push", str(folder), "-m", "says two", "--no-activate"))
    listed = await cli("scripts", "list", "--json")
    versions = await cli("scripts", "versions", "tagger", "--json")

    assert first.code == 0, first.err
    [pushed] = json.loads(first.out)
    assert (pushed["status"], pushed["number"], pushed["active_version"]) == ("active", 1, 1)
    assert "created tagger" in first.err
    assert second.code == 0
    assert "changed description, grants of tagger" in second.err
    [script] = json.loads(listed.out)
    assert (script["active_version"], script["latest_version"], script["description"]) == (1, 2, "Says two.")
    assert script["starts_on"] == "commerce.product.created"
    found = [(v["number"], v["state"], v["message"], v["runs"]) for v in json.loads(versions.out)]
    assert found == [(2, "ready", "says two", None), (1, "ready", "", "100 %")]


async def test_faults_of_a_push_are_lines_that_editors_can_follow(workshop: Workshop, cli: Cli, tmp_path: Path) -> None:
    """`file:line:column: ...` and exit code 1; a hook of scripts/ goes by its name."""
    (tmp_path / "scripts").mkdir()
    a_folder(tmp_path / "scripts", "broken", "x = ().__class__")

    finished = await served(workshop, cli("scripts", "push", "broken", cwd=tmp_path))

    [script] = (await workshop.query("alloy.scripts.list")).data
    assert finished.code == 1
    assert finished.out.startswith("scripts/broken/hook.py:3:9: forbidden_syntax: The attribute __class__")
    assert "version 1 of broken is rejected" in finished.err
    assert (script.status, script.active_version) == ("draft", None)


async def test_a_manifest_names_only_what_there_is(workshop: Workshop, cli: Cli, tmp_path: Path) -> None:
    """A pattern that no event matches and an unknown grant are refused, with what reads alike; nothing is made."""
    triggers = [{"kind": "api"}, {"kind": "event", "pattern": "commerce.products.created"}]
    folder = a_folder(tmp_path, "tagger", "pass", triggers=triggers, grants=["commerce.product.read"])
    malformed = a_folder(tmp_path, "other", "pass", colour="red")

    finished = await cli("scripts", "push", str(folder))
    refused = await cli("scripts", "push", str(malformed))

    assert (finished.code, refused.code) == (1, 1)
    assert "/triggers/1/pattern: no event matches; near: commerce.product.created" in finished.err
    assert "/grants/0: no such permission; near: commerce.products.read" in finished.err
    assert "/colour" in refused.err
    assert (await workshop.query("alloy.scripts.list")).data == []


async def test_a_push_without_workers_says_so(workshop: Workshop, cli: Cli, tmp_path: Path) -> None:
    """The version is handed in and will be checked; the command waits no longer than it was told."""
    folder = a_folder(tmp_path, "tagger", "pass")

    finished = await cli("scripts", "push", str(folder), "--timeout-s", "0.2")

    [script] = (await workshop.query("alloy.scripts.list")).data
    assert finished.code == 1
    assert "for the check of version 1; no worker runs: start one with `rustok worker`" in finished.err
    assert script.latest_version == 1


async def test_versions_are_compared_with_each_other_and_with_files(
    workshop: Workshop, cli: Cli, tmp_path: Path
) -> None:
    """A unified diff: of the last two, of the active one and a file, of any two."""
    script = await workshop.script("return 1", name="tagger")
    await workshop.push(script.id, hook("return 2"))
    file = tmp_path / "hook.py"
    file.write_text(hook("return 3"))

    last_two = await cli("scripts", "diff", "tagger")
    with_file = await cli("scripts", "diff", "tagger", str(file), "--json")
    same = await cli("scripts", "diff", "tagger", "2", "2")
    unknown = await cli("scripts", "diff", "tagger", "1", "9")

    assert last_two.out.splitlines()[:2] == ["--- tagger@1", "+++ tagger@2"]
    assert "-    return 1\n+    return 2" in last_two.out
    [row] = json.loads(with_file.out)
    assert (row["before"], row["after"]) == ("tagger@1", str(file))
    assert "+    return 3" in row["diff"]
    assert (same.code, same.out) == (0, "")
    assert "tagger@2 and tagger@2 are the same" in same.err
    assert unknown.code == 1
    assert "(script_version_not_found)" in unknown.err


async def test_a_rollback_shows_what_it_does_and_asks(workshop: Workshop, cli: Cli) -> None:
    """Without an answer nothing is done; rejected versions are passed over; data stays as it is."""
    script = await workshop.script("return 1", name="tagger")
    await workshop.push(script.id, "import os")
    await workshop.push(script.id, hook("return 3"), activate=True)

    rehearsed = await cli("scripts", "rollback", "tagger", "--dry-run", "--json")
    unanswered = await cli("scripts", "rollback", "tagger")
    before = await workshop.find(script.id)
    done = await cli("scripts", "rollback", "tagger", "--yes", "--json")
    exhausted = await cli("scripts", "rollback", "tagger", "--yes")

    assert json.loads(rehearsed.out)[0]["active_version"] == 1
    assert unanswered.code == 1
    assert before.active_version == 3
    assert "tagger: version 3 -> 1; data is not rolled back" in done.err
    assert json.loads(done.out)[0]["active_version"] == 1
    assert (await workshop.find(script.id)).active_version == 1
    assert exhausted.code == 1
    assert "No version of tagger before 1 can run" in exhausted.err


async def test_a_script_is_disabled_enabled_and_shared_with_a_canary(workshop: Workshop, cli: Cli) -> None:
    """Each answers with the script as it then is."""
    script = await workshop.script("return 1", name="tagger")
    await workshop.push(script.id, hook("return 2"))

    disabled = await cli("scripts", "disable", "tagger", "--json")
    enabled = await cli("scripts", "enable", str(script.id), "--json")
    canary = await cli("scripts", "canary", "tagger", "2", "10", "--json")
    wrong = await cli("scripts", "canary", "tagger", "2", "101")

    assert json.loads(disabled.out)[0]["status"] == "paused"
    assert json.loads(enabled.out)[0]["status"] == "active"
    found = json.loads(canary.out)[0]
    assert (found["active_version"], found["canary_version"], found["canary_percent"]) == (1, 2, 10)
    assert wrong.code == 2


async def test_script_and_tenant_are_found_or_named(workshop: Workshop, cli: Cli) -> None:
    """A script that reads alike is suggested; of two tenants one must be named, by option or environment."""
    await workshop.script("return 1", name="tagger")

    misspelt = await cli("scripts", "versions", "taggr")
    await workshop.platform.create_tenant("second")
    ambiguous = await cli("scripts", "list")
    named = await cli("scripts", "list", "--json", RUSTOK_TENANT=str(workshop.tenant_id))
    other = await cli("scripts", "list", "-t", "second", "--json")

    assert misspelt.code == 1
    assert "There is no script 'taggr': tagger. (script_not_found)" in misspelt.err
    assert ambiguous.code == 1
    assert "Name the tenant with --tenant or RUSTOK_TENANT: there are 2" in ambiguous.err
    assert [script["name"] for script in json.loads(named.out)] == ["tagger"]
    assert json.loads(other.out) == []
