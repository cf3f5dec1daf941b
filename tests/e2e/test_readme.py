"""The README's first minute, by curl and by Python, and its hook, run as they stand against a real platform."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.e2e.conftest import RunningPlatform, plain_environment, running_platform, rustok_command, stop

pytestmark = pytest.mark.timeout(600)  # the first test waits for the platform of the session

README = Path(__file__).parents[2] / "README.md"
MARKER = "<!-- tests/e2e/test_readme.py runs this block -->"
PYTHON_MARKER = "<!-- tests/e2e/test_readme.py runs this block, too, by Python -->"
HOOK_MARKER = "<!-- tests/e2e/test_readme.py runs this block too -->"
LIMIT_S = 120


def first_minute() -> str:
    return block(MARKER)


def block(marker: str, language: str = "sh") -> str:
    """Return the code below the marker."""
    _, found, rest = README.read_text(encoding="utf-8").partition(f"{marker}\n```{language}\n")
    assert found, f"README.md has no block below {marker}"
    return rest.partition("```")[0]


def run(script: str, platform: RunningPlatform) -> subprocess.CompletedProcess[str]:
    """Run *script* as somebody who has set what `rustok dev` printed, and stop at the first failure."""
    shown = {name: platform.env[name] for name in ("RUSTOK_URL", "RUSTOK_TOKEN", "RUSTOK_STATE_DIR")}
    environment = plain_environment()
    path = f"{rustok_command().parent}:{environment['PATH']}"
    return subprocess.run(
        ["bash", "-eu"],  # noqa: S607 - a newcomer's bash and curl are those on the path
        input=script,
        env={**environment, **shown, "PATH": path},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )


def statuses(text: str) -> list[int]:
    return [int(status) for status in re.findall(r"^HTTP/1\.1 (\d{3})", text, re.MULTILINE)]


def documented_statuses(script: str) -> list[int]:
    """Return what the comments at the ends of the lines promise."""
    return [int(status) for status in re.findall(r"  # (\d{3})\b", script)]


def test_the_first_minute_goes_as_the_readme_says(platform: RunningPlatform) -> None:
    """Create, the same again, a search in two languages, update, a stale update, unpublish, delete, gone."""
    script = first_minute()

    run_ = run(script, platform)

    assert run_.returncode == 0, run_.stdout + run_.stderr
    assert statuses(run_.stdout) == [201, 201, 200, 412, 200, 200, 404]
    assert documented_statuses(script) == statuses(run_.stdout)
    assert len(re.findall(r"^idempotent-replayed: true", run_.stdout, re.MULTILINE)) == 1
    assert "Blue bicycle" in run_.stdout
    assert "Blaues Fahrrad" in run_.stdout


def test_the_first_minute_can_be_lived_twice(platform: RunningPlatform) -> None:
    """It leaves nothing behind that would be in its own way."""
    first, second = run(first_minute(), platform), run(first_minute(), platform)

    assert second.returncode == 0, second.stdout + second.stderr
    assert statuses(second.stdout) == statuses(first.stdout)


def test_the_program_of_the_readme_does_the_same(platform: RunningPlatform) -> None:
    """By the typed client, as often as one likes."""
    program = f"{shlex.quote(sys.executable)} - <<'EOF'\n{block(PYTHON_MARKER, 'python')}EOF\n"

    runs = [run(program, platform) for _ in range(2)]

    assert [run_.returncode for run_ in runs] == [0, 0], runs[0].stderr + runs[1].stderr
    assert [run_.stdout.splitlines() for run_ in runs] == 2 * [
        ["found Green bicycle", "late version_mismatch", "deleted 3", "gone product_not_found"]
    ]


def test_what_is_printed_can_be_pasted(platform: RunningPlatform) -> None:
    """The product is created, and each of the three searches finds something once it is in the index."""
    create = re.search(r"^curl -si .*?\n\n", platform.said, re.MULTILINE | re.DOTALL)
    searches = re.findall(r"^curl -sG .*$", platform.said, re.MULTILINE)
    waits = [f"until {search} | grep -q '\"handle\"'; do sleep 0.1; done" for search in searches]

    run_ = run("\n".join([create.group() if create else "", *waits]), platform)

    assert run_.returncode == 0, run_.stdout + run_.stderr
    assert statuses(run_.stdout) == [201]
    assert len(searches) == len(("en", "de", "ru"))


def test_the_hook_of_the_readme_runs(platform: RunningPlatform) -> None:
    """From nothing to a hook that has tagged a product; a replay of the same event then finds nothing to do."""
    run_ = run(block(HOOK_MARKER), platform)

    assert run_.returncode == 0, run_.stdout + run_.stderr
    assert "1 of 1 within the language" in run_.stderr
    _, tagged, replayed = run_.stdout.partition('tagged title="Anvil"')
    assert tagged
    assert "house-brand" in replayed
    assert "commerce.products" not in replayed


def test_the_hooks_that_come_with_it_can_be_seen_at_work(platform: RunningPlatform) -> None:
    """What is printed about hooks can be pasted: a product without a price, and what each hook said of it."""
    about = platform.said.partition("export RUSTOK_TENANT")
    create = re.search(r"^curl -si .*?\n\n", about[2], re.MULTILINE | re.DOTALL)
    logs = re.findall(r"^\S+ scripts logs \S+$", about[2], re.MULTILINE)
    waits = [
        f"until {line} | grep '{said}'; do sleep 0.1; done"
        for line, said in zip(logs, ("prices are missing", "tags added"), strict=True)
    ]

    run_ = run("\n".join(["export RUSTOK_TENANT=demo", create.group() if create else "", *waits]), platform)

    assert run_.returncode == 0, run_.stdout + run_.stderr
    assert statuses(run_.stdout) == [201]


def test_ctrl_c_ends_everything_within_15_seconds() -> None:
    """One key stops servers, API, relay and workers: exit status 0, and no process is left."""
    with running_platform() as platform:
        processes = psutil.Process(platform.process.pid).children(recursive=True)

        status = stop(platform.process)

        _, left = psutil.wait_procs(processes, timeout=10)
        assert status == 0
        assert len(processes) >= len(("postgres", "redis", "api", "relay", "worker"))
        assert left == []
