"""What tenants wrote is shown to operators as text: it moves no cursor, forges no line, and starts no link."""

import json
from pathlib import Path

from sqlalchemy import text

from rustok.cli.output import printable, to_json
from rustok.db.transaction import run_alone
from tests.integration.alloy.workshop import Workshop
from tests.integration.cli.author import a_case, a_folder
from tests.integration.cli.conftest import Cli, Finished

CONTROLS = "\x1b\x07\x9b\x7f\r\u202e"
BAD = "\x1b]8;;https://evil.example\x07\x9b2J\x7f\r\u202e"
HOSTILE = f"x{BAD}\n2026-01-01 00:00:00  forged@1  succeeded"
_RENAME = text("UPDATE tenants SET name = :name WHERE id = :id")


def is_harmless(finished: Finished) -> bool:
    return not set(CONTROLS) & set(finished.out + finished.err)


def test_controls_become_escapes_and_letters_stay() -> None:
    """C0, DEL, C1, separators of lines and turns of direction; all else is somebody's language."""
    shown = printable("ok\x00\t\n\x1b\x7f\x85\x9f\u2028\u202e\u2066 é 水 مرحبا")

    assert shown == r"ok\u0000\t\n\u001b\u007f\u0085\u009f\u2028\u202e\u2066 é 水 مرحبا"


def test_json_for_people_is_the_same_json() -> None:
    """The escapes are JSON's own; an indented text keeps its lines."""
    value = {"é": HOSTILE}

    assert json.loads(to_json(value)) == value
    assert to_json({"a": "\x9b"}, indent=2) == '{\n  "a": "\\u009b"\n}'


async def test_what_a_script_logs_and_raises_is_shown_as_text(workshop: Workshop, cli: Cli) -> None:
    """In its log, its error, its effects, its result, and as JSON."""
    body = f"""
        ctx.log({HOSTILE!r}, field={HOSTILE!r})
        ctx.kv.set("k", {HOSTILE!r})
        if event["payload"]["variants"]:
            raise ValueError({HOSTILE!r})
        return {HOSTILE!r}
    """
    await workshop.script(body, name="hostile")
    await workshop.product()
    await workshop.product(variants=[{"sku": "A"}])
    await workshop.settle()

    for arguments in (
        ("scripts", "logs", "hostile"),
        ("scripts", "logs", "hostile", "--json"),
        ("scripts", "tail", "--no-follow"),
        ("scripts", "tail", "--no-follow", "--json"),
        ("scripts", "replay", "hostile", "--last"),
        ("scripts", "diff", "hostile", "1", "1"),
        ("kv", "get", "hostile", "k"),
        ("kv", "list", "hostile"),
        ("kv", "rm", "hostile", "k"),
    ):
        shown = await cli(*arguments)

        assert is_harmless(shown), arguments
        assert not any(line.startswith("2026-01-01") for line in shown.out.splitlines()), arguments


async def test_the_code_of_a_tenant_is_shown_as_text(workshop: Workshop, cli: Cli) -> None:
    """A diff has the lines of the code; what is in them steers nothing. A tab is seen as one."""
    script = await workshop.script("pass", name="hostile")
    await workshop.push(script.id, "# \x9b\x7f\u202e\nasync def handle(event, ctx):\n\tpass\n")

    shown = await cli("scripts", "diff", "hostile", "1", "2")

    assert is_harmless(shown)
    assert r"+# \u009b\u007f\u202e" in shown.out
    assert r"+\tpass" in shown.out


async def test_a_case_shows_what_came_of_it_as_text(offline: Cli, tmp_path: Path) -> None:
    """A hook from somebody else is tried at one's own desk."""
    folder = a_folder(tmp_path, "hostile", f"ctx.log({HOSTILE!r})")
    a_case(folder, "one", expected={"result": None, "effects": [], "logs": []})

    shown = await offline("scripts", "test", str(folder))

    assert shown.code == 1
    assert is_harmless(shown)


async def test_names_of_tenants_are_text_and_no_markup(workshop: Workshop, cli: Cli) -> None:
    """A table has them as they are."""
    values = {"name": f"[bold]A[/bold] [link=https://evil.example]B[/nothing] {BAD}", "id": workshop.tenant_id}
    await run_alone(workshop.platform.system_engine, _RENAME, values)

    shown = await cli("tenant", "list")

    assert is_harmless(shown)
    assert "[bold]A[/bold] [link=https://evil.example]B[/nothing] " in shown.out
