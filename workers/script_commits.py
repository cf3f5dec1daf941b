"""Commits what runs of scripts came to: effects, log and the end of the job, with the runs that end meanwhile.

A commit waits for the disk, whoever shares it. Runs of one tenant that end while a commit is under way share the next
one, and while many are under way, the next one waits a little for those that end soon: what a run costs is what counts
then. If it fails, for any of them, each is committed alone.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from rustok.bootstrap import Platform
from rustok.db.coalescer import Coalescer, RunApart
from rustok.db.unit_of_work import StaleAuthorization, TenantDisabled
from rustok.jobs import finish_all
from rustok.kernel.context import Context
from rustok.kernel.errors import Unavailable
from rustok.modules.alloy import Host, apply_effects, record_successes
from rustok.sandbox.contract import Outcome
from rustok.scripting import commands_of
from workers.script_attempt import RunAttempt

_GROUP_SIZE = 16
_GATHER_S = 0.02
_LOCK_TIMEOUT_MS = 200
"""A group that waits for somebody's row for longer falls apart."""
_PATIENCE_S = 10.0


class EndedRun(NamedTuple):
    """A run that its hook has ended well; `context` is what it acts in."""

    run: RunAttempt
    outcome: Outcome
    host: Host
    context: Context


class ScriptCommits:
    """*is_crowded* tells whether many runs are under way."""

    def __init__(self, platform: Platform, is_crowded: Callable[[], bool]) -> None:
        self._platform = platform
        self._is_crowded = is_crowded
        self._gathering: asyncio.Task[None] | None = None
        self._apply = commands_of(platform.dispatcher)
        self._coalescer = Coalescer(self._commit_group, self._commit_alone, most=_GROUP_SIZE, patience_s=_PATIENCE_S)

    async def commit(self, ended: EndedRun) -> None:
        """Do what the run wanted, keep it in the log and end its job: all of it or nothing.

        Raises:
            VersionMismatch: what the run has read was changed meanwhile.
            StaleAuthorization: the tenant's access rules or scripts were.
            EffectRefused: the script may not do what it wanted.
            LeaseLost: the job is somebody else's by now.
            Unavailable: a server failed.

        """
        if self._is_crowded():
            await self._gathered()
        context = ended.context
        seen = context.principal.authz_version, context.principal.scripts_version
        await self._coalescer.submit((context.tenant_id, *seen), ended)

    async def _gathered(self) -> None:
        """Wait until all go on that have begun to wait since the last ones did."""
        if self._gathering is None or self._gathering.done():
            self._gathering = asyncio.create_task(asyncio.sleep(_GATHER_S))
        await asyncio.shield(self._gathering)

    async def _commit_group(self, group: Sequence[EndedRun]) -> Sequence[Exception | None]:
        try:
            await self._commit_together(group, _LOCK_TIMEOUT_MS)
        except (StaleAuthorization, TenantDisabled):
            raise  # every run of the tenant meets the same
        except Exception as error:
            gave_up_waiting = isinstance(error, Unavailable) and error.is_rolled_back
            if len(group) == 1 and not gave_up_waiting:
                return [error]
            # Also where the fate of the commit is not known: the jobs that it ended are held no more.
            raise RunApart from error
        return [None] * len(group)

    async def _commit_alone(self, ended: EndedRun) -> None:
        await self._commit_together([ended])

    async def _commit_together(self, group: Sequence[EndedRun], lock_timeout_ms: int = 0) -> None:
        registry = self._platform.registry
        async with self._platform.units.begin(group[0].context, lock_timeout_ms=lock_timeout_ms) as uow:
            told = []
            for run, outcome, host, context in group:
                effects = run.effects(host.seen)
                done = await apply_effects(uow.alongside(context), outcome.effects, effects, registry, self._apply)
                told.append(run.told(replace(outcome, effects=done), host))
            await record_successes(uow, told)
            await finish_all(uow, [(e.run.job, kept.result) for e, kept in zip(group, told, strict=True)])
