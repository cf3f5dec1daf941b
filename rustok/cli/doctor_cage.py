"""What `rustok doctor` says of the cage: whether scripts can run on this machine, and why not where they cannot."""

import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from platform import release
from typing import Any

from rustok.cli.finding import Finding
from rustok.jobs.heartbeat import Worker
from rustok.sandbox.cage import Cage, CageConfig
from rustok.sandbox.contract import Compiled, Job, Report, SandboxUnavailable

_UNPROTECTED = frozenset({"none", "unsafe-dev"})
_MEANING = {
    "A": "every layer holds",
    "B": "no namespaces, as in a container of Docker's default",
    "C": "no Landlock",
    "none": "scripts do not run here",
}
_OPTIONAL = frozenset({"namespaces", "landlock"})
_FIRST_WITH_LANDLOCK = (5, 13)
_HOOK = "async def handle(event, ctx):\n    return event['payload']\n"

Read = Callable[[str], str]
"""Returns what a file of the kernel's says; nothing where there is no such file."""


async def examine_cage(setting: str) -> list[Finding]:
    """Start a cage on this machine and let it run a hook; *setting* is RUSTOK_SANDBOX."""
    started_s = time.perf_counter()
    async with Cage(CageConfig(children=1)) as cage:
        boot_ms = (time.perf_counter() - started_s) * 1000
        findings = [_level(cage.report, boot_ms, setting), *layer_findings(cage.report, sys.platform, release(), _read)]
        if cage.report.level != "none":
            findings.append(await _sample(cage))
    return findings


def worker_findings(workers: Sequence[Worker]) -> list[Finding]:
    """Tell of each worker what protects it, as it said itself."""
    if not workers:
        return [Finding("workers", ok=False, detail="none was heard of: start `rustok worker`, or scripts wait")]
    return [_worker(worker) for worker in workers]


def layer_findings(report: Report, system: str, version: str, read: Read) -> list[Finding]:
    """Tell of each layer whether it holds, else why and what to do; *version* is that of the kernel.

    Scripts run without the namespaces and Landlock: those layers lower the level, and are no fault.
    """
    return [
        Finding(
            f"cage: {layer}",
            ok=holds or (layer in _OPTIONAL and report.level != "none"),
            detail="holds" if holds else _why(layer, report, system, version, read),
        )
        for layer, holds in report.layers.items()
    ]


def _level(report: Report, boot_ms: float, setting: str) -> Finding:
    detail = f"level {report.level}: {_MEANING[report.level]}; started and tried out in {boot_ms:.0f} ms"
    if report.level == "none" and setting == "unsafe-dev":
        detail += "; RUSTOK_SANDBOX=unsafe-dev lets workers run them all the same, with the worker's own rights"
    return Finding("cage", report.level not in _UNPROTECTED, detail)


async def _sample(cage: Cage) -> Finding:
    async def refuse(_name: str, _arguments: object) -> Any:
        raise SandboxUnavailable("the hook of the doctor asks for nothing")

    try:
        compiled = await cage.compile(_HOOK)
        assert isinstance(compiled, Compiled)  # noqa: S101 - the hook is a constant
        started_s = time.perf_counter()
        outcome = await cage.run(_job(compiled), refuse)
    except SandboxUnavailable as error:
        return Finding("cage: a run", ok=False, detail=str(error))
    run_ms = (time.perf_counter() - started_s) * 1000
    if outcome.fault:
        return Finding("cage: a run", ok=False, detail=f"{outcome.fault.code}: {outcome.fault.message}")
    return Finding("cage: a run", ok=True, detail=f"{run_ms:.1f} ms, {outcome.usage.cpu_ms:.1f} ms of CPU")


def _job(compiled: Compiled) -> Job:
    return Job(
        bytecode=compiled.bytecode,
        event={"payload": {}},
        now="2026-01-01T00:00:00+00:00",
        seed="doctor",
        run_id="doctor",
        tenant_id="doctor",
        script="doctor",
    )


def _worker(worker: Worker) -> Finding:
    level = worker.sandbox["level"]
    missing = [layer for layer, holds in worker.sandbox["layers"].items() if not holds]
    without = f" without {', '.join(missing)}" if missing else ""
    return Finding(f"worker {worker.host}:{worker.pid}", level not in _UNPROTECTED, f"cage at level {level}{without}")


def _why(layer: str, report: Report, system: str, version: str, read: Read) -> str:
    if report.detail:
        return f"not tried: {report.detail}"
    if system != "linux":
        return (
            "only Linux has it: run the workers there; on a laptop RUSTOK_SANDBOX=unsafe-dev runs hooks of your own "
            "without protection"
        )
    reasons = {
        "namespaces": _no_namespaces,
        "landlock": _no_landlock,
        "seccomp": _no_seccomp,
        "rlimits": _no_rlimits,
        "cpu_timer": _no_cpu_timer,
    }
    return reasons[layer](version, read)


def _no_namespaces(_version: str, read: Read) -> str:
    for setting, off, on in (
        ("user.max_user_namespaces", "0", "10000"),
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ):
        if read(f"/proc/sys/{setting.replace('.', '/')}").strip() == off:
            return f"the host has {setting}={off}: for level A set it to {on} (sysctl)"
    return (
        "unshare or mount is refused, as in most containers: for level A let the seccomp profile allow them, and run "
        "the workers as an ordinary user"
    )


def _no_landlock(version: str, read: Read) -> str:
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < _FIRST_WITH_LANDLOCK:
        return f"Linux {version} has none: 5.13 or newer does"
    modules = read("/sys/kernel/security/lsm").strip()
    if modules and "landlock" not in modules.split(","):
        return f"it is not switched on: start the host's kernel with lsm=landlock,{modules}"
    return "the container or the kernel refuses it: let the seccomp profile allow landlock_*, and add landlock to lsm="


def _no_seccomp(_version: str, read: Read) -> str:
    if not read("/proc/sys/kernel/seccomp/actions_avail"):
        return "the kernel was built without CONFIG_SECCOMP_FILTER, or another one stands in its place"
    return "the container refuses filters: let its seccomp profile allow prctl and seccomp"


def _no_rlimits(_version: str, _read: Read) -> str:
    return "RLIMIT_AS does not bind here: run the workers on a kernel that keeps it"


def _no_cpu_timer(_version: str, _read: Read) -> str:
    return "a timer of CPU time does not kill here: let the container allow timer_create, or use another kernel"


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
