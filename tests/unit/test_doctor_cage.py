"""What `rustok doctor` makes of the report of a cage, and of those that workers sent."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import pytest

from rustok.cli.doctor_cage import layer_findings, worker_findings
from rustok.cli.finding import Finding
from rustok.jobs.heartbeat import Worker
from rustok.sandbox.contract import Level, Report
from rustok.sandbox.layers import LAYERS


def a_report(level: Level, *missing: str, detail: str = "") -> Report:
    return Report(level=level, layers={layer: layer not in missing for layer in LAYERS}, detail=detail)


def a_worker(level: str, *missing: str) -> Worker:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    sandbox = {"level": level, "layers": {layer: layer not in missing for layer in LAYERS}}
    return Worker(
        id=UUID(int=1),
        host="shop-1",
        pid=42,
        release="0.1.0",
        rss_bytes=1,
        cpu_s=1.0,
        cpu_share=0.0,
        jobs_in_hand=0,
        is_quiet=False,
        wish=None,
        sandbox=sandbox,
        started_at=moment,
        seen_at=moment,
        silent_s=0.0,
    )


def findings(
    report: Report, files: Mapping[str, str] | None = None, system: str = "linux", version: str = "6.18.5-generic"
) -> dict[str, Finding]:
    """Return what is said of each layer on a host whose kernel has these *files*."""
    found = layer_findings(report, system, version, lambda path: (files or {}).get(path, ""))
    return {finding.check.removeprefix("cage: "): finding for finding in found}


def test_a_whole_cage_is_well() -> None:
    """A line a layer, each of which holds."""
    found = findings(a_report("A"))

    assert found == {layer: Finding(f"cage: {layer}", ok=True, detail="holds") for layer in LAYERS}


@pytest.mark.parametrize(
    ("report", "faults"),
    [
        (a_report("B", "namespaces"), []),
        (a_report("C", "namespaces", "landlock"), []),
        (a_report("none", "seccomp"), ["seccomp"]),
        (a_report("none", "rlimits", "cpu_timer"), ["rlimits", "cpu_timer"]),
    ],
)
def test_only_a_layer_that_scripts_cannot_do_without_is_a_fault(report: Report, faults: list[str]) -> None:
    """Without namespaces or Landlock the level is lower, and scripts run."""
    found = findings(report)

    assert [layer for layer, finding in found.items() if not finding.ok] == faults


@pytest.mark.parametrize(
    ("layer", "files", "said"),
    [
        ("namespaces", {"/proc/sys/user/max_user_namespaces": "0\n"}, "user.max_user_namespaces=0: for level A set it"),
        ("namespaces", {"/proc/sys/kernel/unprivileged_userns_clone": "0\n"}, "unprivileged_userns_clone=0"),
        (
            "namespaces",
            {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n"},
            "kernel.apparmor_restrict_unprivileged_userns=1: for level A set it to 0",
        ),
        ("namespaces", {"/proc/sys/user/max_user_namespaces": "127000\n"}, "unshare or mount is refused"),
        ("landlock", {"/sys/kernel/security/lsm": "capability,yama"}, "lsm=landlock,capability,yama"),
        ("landlock", {"/sys/kernel/security/lsm": "capability,landlock"}, "let the seccomp profile allow landlock_*"),
        ("landlock", {}, "let the seccomp profile allow landlock_*"),
        ("seccomp", {}, "CONFIG_SECCOMP_FILTER"),
        ("seccomp", {"/proc/sys/kernel/seccomp/actions_avail": "kill_process"}, "allow prctl and seccomp"),
        ("rlimits", {}, "RLIMIT_AS does not bind here"),
        ("cpu_timer", {}, "let the container allow timer_create"),
    ],
)
def test_a_missing_layer_tells_why_and_what_to_do(layer: str, files: Mapping[str, str], said: str) -> None:
    """As far as the kernel's own files tell it."""
    found = findings(a_report("none", layer), files)

    assert said in found[layer].detail


def test_an_old_kernel_has_no_landlock() -> None:
    """It came with Linux 5.13."""
    old = findings(a_report("C", "landlock"), version="5.12.19-rc1")
    newer = findings(a_report("C", "landlock"), version="5.13-rc1")

    assert old["landlock"].detail == "Linux 5.12.19-rc1 has none: 5.13 or newer does"
    assert "seccomp profile" in newer["landlock"].detail


def test_another_system_than_linux_has_no_layers() -> None:
    """The way out for a laptop is named."""
    found = findings(a_report("none", *LAYERS), system="darwin")

    assert all("RUSTOK_SANDBOX=unsafe-dev" in finding.detail and not finding.ok for finding in found.values())


def test_a_cage_that_did_not_start_says_so_of_each_layer() -> None:
    """None was tried, so nothing is known of them."""
    found = findings(a_report("none", *LAYERS, detail="no answer within 5 s"))

    assert {finding.detail for finding in found.values()} == {"not tried: no answer within 5 s"}


def test_each_worker_is_told_of() -> None:
    """By host and process, with its level and what is missing there; an unprotected one is a fault."""
    found = worker_findings(
        [a_worker("A"), a_worker("C", "namespaces", "landlock"), a_worker("none", *LAYERS), a_worker("unsafe-dev")]
    )

    assert [(finding.ok, finding.detail) for finding in found] == [
        (True, "cage at level A"),
        (True, "cage at level C without namespaces, landlock"),
        (False, "cage at level none without namespaces, landlock, seccomp, rlimits, cpu_timer"),
        (False, "cage at level unsafe-dev"),
    ]
    assert {finding.check for finding in found} == {"worker shop-1:42"}


def test_no_worker_is_a_fault() -> None:
    """Nobody runs scripts, and the index stands still."""
    [found] = worker_findings([])

    assert not found.ok
    assert "rustok worker" in found.detail
