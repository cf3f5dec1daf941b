"""Compiled versions of scripts: from this process's memory, from PostgreSQL, or compiled now."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.modules.alloy import keep_bytecode, load_code
from rustok.sandbox.cage import Cage
from rustok.sandbox.contract import Compiled, Fault
from workers.recent import Recent

_KEPT = 500


class VersionKey(NamedTuple):
    tenant_id: UUID
    script_id: UUID
    number: int


class CodeMissing(Exception):
    """The version is gone, or may not run; `faults` tell why it cannot be compiled any more, if that is it."""

    def __init__(self, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.faults = faults


class ScriptCode:
    """Nothing is kept of a version that was refused. A version that was disabled meanwhile is caught by its script's
    state, not here.
    """

    def __init__(self, engine: AsyncEngine, cage: Cage) -> None:
        self._engine = engine
        self._cage = cage
        self._kept = Recent[VersionKey, bytes](_KEPT)

    async def bytecode(self, key: VersionKey) -> bytes:
        """Return what a child can run.

        Raises:
            CodeMissing: there is nothing to run.
            SandboxUnavailable: it has to be compiled, and cannot now.

        """
        return self._kept.find(key) or self._kept.keep(key, await self._load(key))

    async def _load(self, key: VersionKey) -> bytes:
        row = await load_code(self._engine, *key, self._cage.fingerprint)
        if row is None or row.state != "ready":
            raise CodeMissing(f"Version {key.number} is {row.state if row else 'gone'}.")
        if row.bytecode is not None:
            return bytes(row.bytecode)
        # Another Python, or another release of the policy, than the one that checked the version.
        compiled = await self._cage.compile(row.code)
        if isinstance(compiled, Compiled):
            await keep_bytecode(self._engine, key.tenant_id, row.sha256, self._cage.fingerprint, compiled.bytecode)
            return compiled.bytecode
        raise CodeMissing(f"Version {key.number} is no hook for this release: push it again.", compiled)
