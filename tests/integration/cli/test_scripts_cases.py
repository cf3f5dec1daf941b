"""`rustok scripts new` and `test`: an author's desk, without a server."""

import json
from pathlib import Path

from tests.integration.cli.author import a_case, a_folder
from tests.integration.cli.conftest import Cli

ASKED = {"call": "get", "arguments": {"kind": "commerce.products", "id": "1", "arguments": {}}, "value": {"tags": []}}
BODY = """
    product = await ctx.get("commerce.products", "1")
    ctx.update("commerce.products", "1", tags=["new"])
    ctx.log("tagged", by=ctx.now.isoformat())
    return product
"""
FOUND = {
    "result": {"tags": []},
    "effects": [{"effect": "update", "kind": "commerce.products", "id": "1", "changes": {"tags": ["new"]}}],
    "logs": [{"level": "info", "message": "tagged", "fields": {"by": "2026-03-02T09:15:00+00:00"}}],
}


async def test_a_new_hook_passes_its_own_case(offline: Cli, tmp_path: Path) -> None:
    """What `new` writes is a start: it passes check and test, and is not overwritten."""
    made = await offline("scripts", "new", "hello", cwd=tmp_path)
    tested = await offline("scripts", "test", "hello", cwd=tmp_path)
    again = await offline("scripts", "new", "hello", cwd=tmp_path)
    refused = await offline("scripts", "new", "../hello", cwd=tmp_path)

    files = {str(path.relative_to(tmp_path / "hello")) for path in (tmp_path / "hello").rglob("*") if path.is_file()}
    cases = {f"cases/example/{file}.json" for file in ("event", "answers", "expected")}
    assert made.code == tested.code == 0
    assert files == {"hook.py", "script.json", "README.md", "alloy/__init__.pyi", "alloy/py.typed"} | cases
    assert "1 of 1 cases passed" in tested.err
    assert (again.code, refused.code) == (1, 1)
    assert "hello exists" in again.err
    assert "/name" in refused.err


async def test_a_hook_of_the_gallery_is_copied_under_a_new_name(offline: Cli, tmp_path: Path) -> None:
    """The copy has its own name, and the gallery's cases; an unknown one is told."""
    made = await offline("scripts", "new", "my-tags", "--from", "auto-tags", cwd=tmp_path)
    unknown = await offline("scripts", "new", "mine", "--from", "nothing-like-it", cwd=tmp_path)

    assert made.code == 0
    assert json.loads((tmp_path / "my-tags" / "script.json").read_text())["name"] == "my-tags"
    assert list((tmp_path / "my-tags" / "cases").glob("*/expected.json")) != []
    assert unknown.code == 1
    assert "There is no hook.py in nothing-like-it" in unknown.err


async def test_a_case_shows_log_limits_result_and_effects(offline: Cli, tmp_path: Path) -> None:
    """A case without expectations is only shown; `--update` writes them down; then they are compared."""
    folder = a_folder(tmp_path, "tagger", BODY)
    case = a_case(folder, "example", answers=[ASKED])

    shown = await offline("scripts", "test", str(folder))
    updated = await offline("scripts", "test", str(folder), "--update")
    compared = await offline("scripts", "test", str(folder), "--case", "example", "--json")

    assert (shown.code, updated.code, compared.code) == (0, 0, 0)
    assert "tagger/example: nothing expected" in shown.out
    assert 'log      info    tagged by="2026-03-02T09:15:00+00:00"' in shown.out
    assert 'effects  1. update commerce.products 1 {"changes": {"tags": ["new"]}}' in shown.out
    assert 'result   {"tags": []}' in shown.out
    assert "/500 ms, wall" in shown.out
    assert "host calls 1/50" in shown.out
    assert json.loads((case / "expected.json").read_text()) == FOUND
    [row] = json.loads(compared.out)
    assert (row["verdict"], row["differences"], row["usage"]["host_calls"]) == ("passed", [], 1)


async def test_a_case_holds_what_a_hook_could_be_given(offline: Cli, tmp_path: Path) -> None:
    """Nothing that is no JSON, or is none to PostgreSQL, gets to a hook."""
    folder = a_folder(tmp_path, "example", "pass")
    case = a_case(folder, "example", answers=[ASKED])
    complaints = []
    for event in ('{"n": NaN}', '{"n": 100000000000000000000}'):
        (case / "event.json").write_text(event)
        finished = await offline("scripts", "test", str(folder))
        complaints.append((finished.code, "event.json" in finished.err, "Traceback" in finished.err))

    assert complaints == [(1, True, False)] * 2


async def test_what_differs_from_a_case_is_a_diff(offline: Cli, tmp_path: Path) -> None:
    """Other effects, another question or an error fail a case; the exit code is 1."""
    folder = a_folder(tmp_path, "tagger", BODY)
    a_case(folder, "asked", answers=[{**ASKED, "arguments": {}}], expected=FOUND)
    a_case(folder, "done", answers=[ASKED], expected={**FOUND, "effects": []})
    a_case(folder, "unanswered", expected=FOUND)

    finished = await offline("scripts", "test", str(folder), "--json")
    people = await offline("scripts", "test", str(folder), "--case", "unanswered")

    rows = {row["case"]: row for row in json.loads(finished.out)}
    assert finished.code == people.code == 1
    assert {row["verdict"] for row in rows.values()} == {"failed"}
    assert "--- answers.json" in rows["asked"]["differences"]
    assert '+      "effect": "update",' in rows["done"]["differences"]
    assert (rows["unanswered"]["error"]["code"], rows["unanswered"]["error"]["line"]) == ("exception", 3)
    assert "error    exception: RuntimeError: not_recorded" in people.out
    assert "0 of 1 cases passed" in people.err


async def test_what_cannot_be_tested_is_told(offline: Cli, tmp_path: Path) -> None:
    """No folder, no case of this name, a broken file, no hook at all."""
    folder = a_folder(tmp_path, "tagger", BODY)
    a_case(folder, "example", answers={})
    broken = a_folder(tmp_path, "broken", "import os")
    a_case(broken, "example")

    missing = await offline("scripts", "test", str(tmp_path / "missing"))
    unknown = await offline("scripts", "test", str(folder), "--case", "other")
    malformed = await offline("scripts", "test", str(folder))
    refused = await offline("scripts", "test", str(broken))

    assert {missing.code, unknown.code, malformed.code, refused.code} == {1}
    assert "There is no hook.py in" in missing.err
    assert "has no case other: there are example" in unknown.err
    assert "answers.json must hold a JSON list of objects" in malformed.err
    assert refused.out.startswith(f"{broken / 'hook.py'}:3:5: forbidden_syntax: os cannot be imported.")
