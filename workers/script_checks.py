"""Checks versions of scripts: compiles one in the cage, and keeps what came of it with the end of the job."""

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.bootstrap import Platform
from rustok.db.transaction import begin
from rustok.jobs import Leased, finish
from rustok.kernel.errors import Unavailable
from rustok.modules.alloy import CheckedVersion, accept_version, keep_bytecode, load_code, reject_version
from rustok.sandbox.cage import Cage
from rustok.sandbox.contract import Compiled, Fault, SandboxUnavailable
from workers.script_rights import platform_context


class ScriptChecks:
    """Handles jobs of the kind `alloy.check`; the result is `{"accepted": ..., "faults": [...]}`."""

    def __init__(self, engine: AsyncEngine, platform: Platform, cage: Cage) -> None:
        self._engine = engine
        self._platform = platform
        self._cage = cage

    async def __call__(self, job: Leased) -> None:
        script_id, number = UUID(job.args["script_id"]), int(job.args["number"])
        row = await load_code(self._engine, job.tenant_id, script_id, number, self._cage.fingerprint)
        if row is None:
            async with begin(self._engine, "BEGIN") as (transaction, _):
                await finish(transaction, job, None, "cancelled")  # the script was deleted meanwhile
            return
        try:
            found = await self._cage.compile(row.code)
        except SandboxUnavailable as error:
            raise Unavailable(f"the cage is not available: {error}") from error
        if isinstance(found, Compiled):
            await keep_bytecode(self._engine, job.tenant_id, row.sha256, self._cage.fingerprint, found.bytecode)
        checked = CheckedVersion(script_id=script_id, number=number, activate=bool(job.args["activate"]))
        await self._end(job, checked, found)

    async def _end(self, job: Leased, checked: CheckedVersion, found: Compiled | Sequence[Fault]) -> None:
        async with self._platform.units.begin(platform_context(job)) as uow:
            if isinstance(found, Compiled):
                await accept_version(uow, checked)
                faults = []
            else:
                faults = [asdict(fault) for fault in found]
                await reject_version(uow, checked, faults)
            await finish(uow, job, {"accepted": not faults, "number": checked.number, "faults": faults})
