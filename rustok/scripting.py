"""One run of a script, the same whoever has it run: a worker for good, or its author as a trial."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from rustok.bootstrap import Platform
from rustok.db.unit_of_work import UnitOfWork
from rustok.dispatch import Call, Dispatcher
from rustok.kernel.context import Context, Principal
from rustok.kernel.module import Command
from rustok.modules.access import Rights
from rustok.modules.alloy import USE_SECRETS, EffectsOf, Host, Refused, RunLimits, ScriptLimits, Seen
from rustok.modules.alloy.effects import Apply
from rustok.sandbox.cage import Cage
from rustok.sandbox.contract import HostCallRefused, Job, Limits, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRun:
    """What is run, on which event, within what; `script` is a row of `load_script`.

    The hook's time is `created_at`, and its chance comes from `id`: so the same run again gives the same.
    """

    id: UUID
    tenant_id: UUID
    script: Any
    event: Mapping[str, Any]
    limits: ScriptLimits
    created_at: datetime

    def host(self, platform: Platform, context: Context) -> Host:
        """Return what answers the hook."""
        return Host(
            platform.dispatcher,
            platform.units,
            platform.registry,
            context,
            script_id=self.script.id,
            names_of_secrets=frozenset(self.script.secrets),
        )

    async def caged(self, cage: Cage, bytecode: bytes, host: Host) -> Outcome:
        """Run the hook; nothing it wanted is done yet. Raises as `Cage.run` and `Host.answer` do."""

        async def answer(name: str, arguments: Mapping[str, Any]) -> Any:
            try:
                return await host.answer(name, arguments)
            except Refused as error:
                raise HostCallRefused(error.code, str(error)) from error

        return await cage.run(self._job(bytecode), answer)

    def effects(self, seen: Seen) -> EffectsOf:
        """Return whose effects they are, for `apply_effects`."""
        return EffectsOf(
            run_id=self.id,
            script_id=self.script.id,
            seen=seen,
            secrets=frozenset(self.script.secrets),
            limits=self.limits,
            is_requested=self.event["id"] == str(self.id) and self.event["aggregate_version"] == 1,
        )

    def _job(self, bytecode: bytes) -> Job:
        return Job(
            bytecode=bytecode,
            event=self.event,
            now=self.created_at.isoformat(),
            seed=str(self.id),
            run_id=str(self.id),
            tenant_id=str(self.tenant_id),
            script=self.script.name,
            limits=Limits(**{name: getattr(self.limits, name) for name in RunLimits.model_fields}),
        )


def script_principal(
    script_id: UUID, grants: Collection[str], rights: Rights, scripts_version: int | None = None
) -> Principal:
    """Return the script as somebody who acts: with its grants, as far as its owner has these *rights* now.

    With *scripts_version* it acts only while that is the tenant's.
    """
    allowed = rights.permissions & {*grants, USE_SECRETS}
    return Principal("script", str(script_id), allowed, rights.authz_version, scripts_version, rights.modules_off)


def commands_of(dispatcher: Dispatcher) -> Apply:
    """Return what runs the commands among the effects of a script, in the transaction of its unit of work."""

    async def apply(uow: UnitOfWork, command: Command, fields: Mapping[str, Any], expected: int | None) -> object:
        return await dispatcher.run_within(uow, Call(command, fields, expected))

    return apply
