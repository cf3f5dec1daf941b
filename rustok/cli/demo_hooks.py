"""The hooks of the demo tenant: two of the gallery, so that a newcomer sees hooks at work before writing one."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from rustok.cli.tenancy import TenantSession, has_scripts
from rustok.jobs.heartbeat import living_workers

DEMO_TENANT = "demo"
DEMO_HOOKS = ("auto-tags", "missing-price-alert")

_PATIENCE_S = 20.0
_POLL_S = 0.1


async def install_hooks(tenant: TenantSession, gallery: Path, patience_s: float = _PATIENCE_S) -> str | None:
    """Have the hooks created, checked by a worker, and active, unless they are; return why they are not.

    *patience_s* is how long a worker, and each check, is waited for.
    """
    if not has_scripts(tenant.session):
        return "the module alloy is not installed"
    missing = [name for name in DEMO_HOOKS if not await _is_installed(tenant, name)]
    if not missing:
        return None
    if not await _within(patience_s, lambda: living_workers(tenant.session.system_engine)):
        return "no worker was heard of"
    workers = await living_workers(tenant.session.system_engine)
    if all(worker.sandbox["level"] == "none" for worker in workers):
        return "no worker can protect itself from them: `rustok doctor` names what is missing"
    reasons = [await _install(tenant, gallery / name, patience_s) for name in missing]
    return next(filter(None, reasons), None)


async def _is_installed(tenant: TenantSession, name: str) -> bool:
    """Return whether the script has been active once; what its owner did with it since then is not undone."""
    script = await tenant.find_script(name)
    return script is not None and script.active_version is not None


async def _install(tenant: TenantSession, folder: Path, patience_s: float) -> str | None:
    manifest = json.loads((folder / "script.json").read_text(encoding="utf-8"))
    script = await tenant.find_script(folder.name) or await tenant.run("alloy.scripts.create", **manifest)
    code = (folder / "hook.py").read_text(encoding="utf-8")
    pushed = await tenant.run("alloy.versions.push", script_id=str(script.id), code=code, activate=True)
    if not await _within(patience_s, lambda: _has_ended(tenant, str(pushed.operation_id))):
        return f"the check of {folder.name} was not done within {patience_s:.0f} s"
    if not await _is_installed(tenant, folder.name):
        return f"{folder.name} did not pass its check: `rustok scripts check {folder}/hook.py` has the faults"
    return None


async def _has_ended(tenant: TenantSession, operation_id: str) -> bool:
    operation = await tenant.query("jobs.operations.get", operation_id=operation_id)
    return operation.status not in ("queued", "running")


async def _within(patience_s: float, holds: Callable[[], Awaitable[object]]) -> bool:
    """Return whether *holds* answers something true in time."""
    deadline_s = time.monotonic() + patience_s
    while not await holds():
        if time.monotonic() > deadline_s:
            return False
        await asyncio.sleep(_POLL_S)
    return True
