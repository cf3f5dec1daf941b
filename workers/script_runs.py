"""Runs scripts: loads one, lets the cage run it, and commits its effects with the end of the job."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.bootstrap import Platform
from rustok.db.transaction import begin
from rustok.db.unit_of_work import StaleAuthorization, TenantDisabled
from rustok.jobs import Leased, fail, finish, hand_back
from rustok.jobs.runner import retry_delay_s
from rustok.kernel.context import Context
from rustok.kernel.errors import Unavailable, VersionMismatch
from rustok.kernel.ports import Clock
from rustok.modules.alloy import EffectRefused, Host, load_script, record_failure
from rustok.sandbox.cage import Cage
from rustok.sandbox.contract import Fault, Outcome, SandboxUnavailable
from rustok.telemetry.metrics import (
    POLICY_VIOLATIONS,
    SANDBOX_KILLS,
    SANDBOX_PEAK_BYTES,
    SANDBOX_RUN_SECONDS,
    SCRIPT_RUNS,
)
from workers.script_attempt import RunAttempt
from workers.script_code import CodeMissing, ScriptCode
from workers.script_commits import EndedRun, ScriptCommits
from workers.script_rights import ScriptRights, platform_context

log = structlog.get_logger(__name__)

_RERUNS = 3
"""After a conflict, or when rights have changed: at once, and no attempt is counted."""
_PAUSED_S = 30.0
_SWITCHED_OFF_S = 60.0
_FINAL = frozenset({"policy_violation", "script_disabled", "code_missing"})
"""Another attempt would end the same."""
_KILLS = frozenset({"cpu_exceeded", "wall_timeout", "memory_exceeded", "policy_violation"})


class ScriptRuns:
    """Handles jobs of the kind `alloy.run`. At most *concurrency* are under way; the others wait with their lease."""

    def __init__(self, engine: AsyncEngine, platform: Platform, cage: Cage, clock: Clock, concurrency: int) -> None:
        self._engine = engine
        self._platform = platform
        self._cage = cage
        self._clock = clock
        self._rights = ScriptRights(platform.units, platform.registry.permissions.values())
        self._code = ScriptCode(engine, cage)
        self._commits = ScriptCommits(platform)
        self._turns = asyncio.Semaphore(concurrency)
        self._concurrency = concurrency
        self._reruns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        """By script: runs that have met a conflict go one after the other, or they would meet each other again."""
        self._under_way = 0

    @property
    def free(self) -> int:
        """How many more runs could begin at once."""
        return max(0, self._concurrency - self._under_way)

    async def __call__(self, job: Leased) -> None:
        self._under_way += 1
        try:
            async with self._turns:
                await self._run(job)
        finally:
            self._under_way -= 1

    async def _run(self, job: Leased) -> None:
        script = await load_script(self._engine, job.tenant_id, UUID(job.args["script_id"]))
        if script is None:
            await self._end(finish, job, None, "cancelled")  # it was deleted meanwhile
        elif script.status in ("paused", "draft"):
            await self._end(hand_back, job, _PAUSED_S)
        else:
            await self._attempt(RunAttempt.of(job, script, self._clock.now()))

    async def _attempt(self, run: RunAttempt) -> None:
        try:
            fault, outcome, host = await self._outcome(run)
        except SandboxUnavailable as error:
            raise Unavailable(f"the cage is not available: {error}") from error
        except TenantDisabled:
            await self._end(hand_back, run.job, _SWITCHED_OFF_S)
            return
        SCRIPT_RUNS.labels(fault.code if fault else "succeeded").inc()
        if fault is not None:
            await self._fail(run, fault, outcome, host)

    async def _outcome(self, run: RunAttempt) -> tuple[Fault | None, Outcome, Host | None]:
        """Run until the effects are committed, or a fault is found; reads that were overtaken make it run again."""
        if run.script.status == "disabled":
            return Fault(code="script_disabled", message="The script is disabled."), Outcome(), None
        try:
            bytecode = await self._code.bytecode(run.version)
        except CodeMissing as error:
            first = error.faults[0] if error.faults else None
            return first or Fault(code="code_missing", message=str(error)), Outcome(), None
        async with AsyncExitStack() as in_turn:
            conflict: Exception | None = None
            outcome, host = Outcome(), None
            for rerun in range(1 + _RERUNS):
                if rerun == 1:
                    await in_turn.enter_async_context(self._reruns.setdefault(run.script.id, asyncio.Lock()))
                context = await self._context(run, fresh=isinstance(conflict, StaleAuthorization))
                host = run.host(self._platform, context)
                try:
                    outcome = await self._caged(run, bytecode, host)
                    if outcome.fault is None:
                        await self._commits.commit(EndedRun(run, outcome, host, context))
                except (StaleAuthorization, VersionMismatch) as error:
                    conflict = error
                except EffectRefused as error:
                    hint = "grant the script what it does, or let it check first"
                    return Fault(code="effect_refused", message=str(error), hint=hint), outcome, host
                else:
                    return outcome.fault, outcome, host
        message = f"{_RERUNS + 1} runs in a row read what somebody then changed: {conflict}"
        return Fault(code="conflict", message=message, limit=_RERUNS, used=_RERUNS + 1), outcome, host

    async def _context(self, run: RunAttempt, *, fresh: bool) -> Context:
        return await self._rights.context(run.job, run.script.id, run.script.owner, run.script.grants, fresh=fresh)

    async def _caged(self, run: RunAttempt, bytecode: bytes, host: Host) -> Outcome:
        outcome = await run.caged(self._cage, bytecode, host)
        SANDBOX_RUN_SECONDS.observe(outcome.usage.wall_ms / 1000)
        SANDBOX_PEAK_BYTES.observe(outcome.usage.peak_bytes)
        if outcome.fault and outcome.fault.code in _KILLS:
            SANDBOX_KILLS.labels(outcome.fault.code).inc()
        return outcome

    async def _fail(self, run: RunAttempt, fault: Fault, outcome: Outcome, host: Host | None) -> None:
        """Keep the attempt and end it: another one follows, or the run is a dead letter."""
        attempted = run.told(outcome, host, fault)
        if fault.code == "policy_violation":
            POLICY_VIOLATIONS.inc()
            log.error("script_policy_violated", script=str(run.script.id), version=run.number, run_id=str(run.job.id))
        is_final = fault.code in _FINAL or run.job.is_last_attempt
        async with self._platform.units.begin(platform_context(run.job)) as uow:
            await record_failure(uow, attempted, fault.code, run.limits.failures_in_a_row)
            delay_s = None if is_final else retry_delay_s(run.job.attempt)
            await fail(uow, run.job, attempted.error or {}, delay_s)

    async def _end(self, how: Any, job: Leased, *arguments: Any) -> None:
        async with begin(self._engine, "BEGIN") as (transaction, _):
            await how(transaction, job, *arguments)
