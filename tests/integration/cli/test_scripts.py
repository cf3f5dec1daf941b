"""`rustok scripts check`, as an author of hooks runs it."""

import json
from pathlib import Path

from tests.integration.cli.conftest import Cli

HOOK = "async def handle(event, ctx):\n    ctx.log('seen')\n"


async def test_a_sound_hook_passes(program: Cli, tmp_path: Path) -> None:
    """Nothing on standard output, exit code 0."""
    hook = tmp_path / "hook.py"
    hook.write_text(HOOK)

    finished = await program("scripts", "check", str(hook))

    assert (finished.code, finished.out) == (0, "")
    assert "1 of 1 within the language" in finished.err


async def test_each_fault_is_a_line_that_editors_can_follow(offline: Cli, tmp_path: Path) -> None:
    """`file:line:column: code: what and why`; one bad file makes the exit code 1."""
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text(HOOK)
    bad.write_text(HOOK + "import os\n")

    finished = await offline("scripts", "check", str(good), str(bad))
    as_json = await offline("scripts", "check", str(good), str(bad), "--json")

    assert finished.code == as_json.code == 1
    assert finished.out.startswith(f"{bad}:3:1: forbidden_syntax: os cannot be imported. Hooks import from")
    assert "1 of 2 within the language" in finished.err
    assert [(fault["file"], fault["line"]) for fault in json.loads(as_json.out)] == [(str(bad), 3)]


async def test_a_file_that_is_no_text_is_named(offline: Cli, tmp_path: Path) -> None:
    """Missing, a folder, or not UTF-8: one coded line."""
    binary = tmp_path / "hook.bin"
    binary.write_bytes(b"\xff\xfe")

    for path in (binary, tmp_path, tmp_path / "missing.py"):
        finished = await offline("scripts", "check", str(path))

        assert finished.code == 1
        assert f"{path} cannot be read as UTF-8 text" in finished.err
        assert "(invalid_input)" in finished.err


async def test_a_file_that_is_too_long_is_not_read_whole(offline: Cli, tmp_path: Path) -> None:
    """The limit is told like any other fault, even where it cuts a letter in two."""
    huge = tmp_path / "huge.py"
    huge.write_text("#" + "é" * 200_000)

    finished = await offline("scripts", "check", str(huge))

    assert finished.code == 1
    assert "source_too_large" in finished.out
