"""The README's first minute, run as it stands against a real platform."""

import re
import subprocess
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from tests.e2e.conftest import RunningPlatform, plain_environment, running_platform, stop

README = Path(__file__).parents[2] / "README.md"
MARKER = "<!-- tests/e2e/test_readme.py runs this block -->"
LIMIT_S = 40


def first_minute() -> str:
    """Return the shell commands below the marker."""
    _, found, rest = README.read_text(encoding="utf-8").partition(f"{MARKER}\n```sh\n")
    assert found, f"README.md has no block below {MARKER}"
    return rest.partition("```")[0]


def run(script: str, platform: RunningPlatform) -> subprocess.CompletedProcess[str]:
    """Run *script* as somebody who has set what `rustok dev` printed, and stop at the first failure."""
    shown = {name: platform.env[name] for name in ("RUSTOK_URL", "RUSTOK_TOKEN")}
    return subprocess.run(
        ["bash", "-eu"],  # noqa: S607 - a newcomer's bash and curl are those on the path
        input=script,
        env={**plain_environment(), **shown},
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


def test_what_is_printed_can_be_pasted(platform: RunningPlatform) -> None:
    """The product is created, and each of the three searches finds something once it is in the index."""
    create = re.search(r"^curl -si .*?\n\n", platform.said, re.MULTILINE | re.DOTALL)
    searches = re.findall(r"^curl -sG .*$", platform.said, re.MULTILINE)
    waits = [f"until {search} | grep -q '\"handle\"'; do sleep 0.1; done" for search in searches]

    run_ = run("\n".join([create.group() if create else "", *waits]), platform)

    assert run_.returncode == 0, run_.stdout + run_.stderr
    assert statuses(run_.stdout) == [201]
    assert len(searches) == len(("en", "de", "ru"))


def test_ctrl_c_ends_everything_within_15_seconds() -> None:
    """One key stops servers, API, relay and workers: exit status 0, and no process is left."""
    with running_platform() as platform:
        processes = psutil.Process(platform.process.pid).children(recursive=True)

        status = stop(platform.process)

        _, left = psutil.wait_procs(processes, timeout=0)
        assert status == 0
        assert len(processes) >= len(("postgres", "redis", "api", "relay", "worker"))
        assert left == []
