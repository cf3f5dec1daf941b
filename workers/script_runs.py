"""Runs scripts: loads one, lets the cage run it, and commits its effects with the end of the job."""

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

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
from rustok.modules.alloy import (
    Attempted,
    EffectRefused,
    Host,
    ScriptLimits,
    apply_effects,
    cron_event,
    load_script,
    record_failure,
    record_success,
)
from rustok.sandbox.cage import Cage
from rustok.sandbox.contract import Fault, Outcome, SandboxUnavailable
from rustok.scripting import ScriptRun, commands_of
from rustok.telemetry.metrics import (
    POLICY_VIOLATIONS,
    SANDBOX_KILLS,
    SANDBOX_PEAK_BYTES,
    SANDBOX_RUN_SECONDS,
    SCRIPT_RUNS,
)
from workers.script_code import CodeMissing, ScriptCode, VersionKey
from workers.script_rights import ScriptRights, platform_context

log = structlog.get_logger(__name__)

_RERUNS = 3
"""After a conflict, or when rights have changed: at once, and no attempt is counted."""
_PAUSED_S = 30.0
_SWITCHED_OFF_S = 60.0
_FINAL = frozenset({"policy_violation", "script_disabled", "code_missing"})
"""Another attempt would end the same."""
_KILLS = frozenset({"cpu_exceeded", "wall_timeout", "memory_exceeded", "policy_violation"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run(ScriptRun):
    """An attempt at a run that a job asks for, by this version."""

    job: Leased
    number: int
    started_at: datetime

    @property
    def key(self) -> VersionKey:
        return VersionKey(self.job.tenant_id, self.script.id, self.number)


class ScriptRuns:
    """Handles jobs of the kind `alloy.run`. At most *concurrency* are under way; the others wait with their lease."""

    def __init__(self, engine: AsyncEngine, platform: Platform, cage: Cage, clock: Clock, concurrency: int) -> None:
        self._engine = engine
        self._platform = platform
        self._cage = cage
        self._clock = clock
        self._rights = ScriptRights(platform.units, platform.registry.permissions.values())
        self._code = ScriptCode(engine, cage)
        self._turns = asyncio.Semaphore(concurrency)

    async def __call__(self, job: Leased) -> None:
        async with self._turns:
            await self._run(job)

    async def _run(self, job: Leased) -> None:
        script = await load_script(self._engine, job.tenant_id, UUID(job.args["script_id"]))
        if script is None:
            await self._end(finish, job, None, "cancelled")  # it was deleted meanwhile
        elif script.status in ("paused", "draft"):
            await self._end(hand_back, job, _PAUSED_S)
        else:
            await self._attempt(_run_of(job, script, self._clock.now()))

    async def _attempt(self, run: _Run) -> None:
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

    async def _outcome(self, run: _Run) -> tuple[Fault | None, Outcome, Host | None]:
        """Run until the effects are committed, or a fault is found; reads that were overtaken make it run again."""
        if run.script.status == "disabled":
            return Fault(code="script_disabled", message="The script is disabled."), Outcome(), None
        try:
            bytecode = await self._code.bytecode(run.key)
        except CodeMissing as error:
            first = error.faults[0] if error.faults else None
            return first or Fault(code="code_missing", message=str(error)), Outcome(), None
        conflict: Exception | None = None
        outcome, host = Outcome(), None
        for _ in range(1 + _RERUNS):
            fresh = isinstance(conflict, StaleAuthorization)
            context = await self._context(run, fresh=fresh)
            host = run.host(self._platform, context)
            try:
                outcome = await self._caged(run, bytecode, host)
                if outcome.fault is None:
                    await self._commit(run, outcome, host, context)
            except (StaleAuthorization, VersionMismatch) as error:
                conflict = error
            except EffectRefused as error:
                hint = "grant the script what it does, or let it check first"
                return Fault(code="effect_refused", message=str(error), hint=hint), outcome, host
            else:
                return outcome.fault, outcome, host
        message = f"{_RERUNS + 1} runs in a row read what somebody then changed: {conflict}"
        return Fault(code="conflict", message=message, limit=_RERUNS, used=_RERUNS + 1), outcome, host

    async def _context(self, run: _Run, *, fresh: bool) -> Context:
        return await self._rights.context(run.job, run.script.id, run.script.owner, run.script.grants, fresh=fresh)

    async def _caged(self, run: _Run, bytecode: bytes, host: Host) -> Outcome:
        outcome = await run.caged(self._cage, bytecode, host)
        SANDBOX_RUN_SECONDS.observe(outcome.usage.wall_ms / 1000)
        SANDBOX_PEAK_BYTES.observe(outcome.usage.peak_bytes)
        if outcome.fault and outcome.fault.code in _KILLS:
            SANDBOX_KILLS.labels(outcome.fault.code).inc()
        return outcome

    async def _commit(self, run: _Run, outcome: Outcome, host: Host, context: Context) -> None:
        """Apply the effects, keep the run and end the job, all of it or nothing."""
        apply = commands_of(self._platform.dispatcher)
        async with self._platform.units.begin(context) as uow:
            registry = self._platform.registry
            done = await apply_effects(uow, outcome.effects, run.effects(host.seen), registry, apply)
            attempted = self._attempted(run, replace(outcome, effects=done), host, None)
            await record_success(uow, attempted)
            await finish(uow, run.job, attempted.result)

    async def _fail(self, run: _Run, fault: Fault, outcome: Outcome, host: Host | None) -> None:
        """Keep the attempt and end it: another one follows, or the run is a dead letter."""
        attempted = self._attempted(run, outcome, host, fault)
        if fault.code == "policy_violation":
            POLICY_VIOLATIONS.inc()
            log.error("script_policy_violated", script=str(run.script.id), version=run.number, run_id=str(run.job.id))
        is_final = fault.code in _FINAL or run.job.is_last_attempt
        async with self._platform.units.begin(platform_context(run.job)) as uow:
            await record_failure(uow, attempted, fault.code, run.limits.failures_in_a_row)
            delay_s = None if is_final else retry_delay_s(run.job.attempt)
            await fail(uow, run.job, attempted.error or {}, delay_s)

    def _attempted(self, run: _Run, outcome: Outcome, host: Host | None, fault: Fault | None) -> Attempted:
        masked = host.masked if host else lambda document: document
        return Attempted(
            run_id=run.job.id,
            attempt=run.job.attempt,
            script_id=run.script.id,
            script_version=run.number,
            event_type=run.event["type"],
            event_id=UUID(run.event["id"]),
            depth=run.job.args.get("depth", 1),
            started_at=run.started_at,
            usage=asdict(outcome.usage),
            logs=masked(_logs(outcome)),
            effects=masked(outcome.effects),
            result=masked(outcome.result),
            error=masked(asdict(fault)) if fault else None,
        )

    async def _end(self, how: Any, job: Leased, *arguments: Any) -> None:
        async with begin(self._engine, "BEGIN") as (transaction, _):
            await how(transaction, job, *arguments)


def _run_of(job: Leased, script: Any, now: datetime) -> _Run:
    event = job.args.get("event") or cron_event(job.id, job.tenant_id, job.actor, job.args["due_at"])
    return _Run(
        id=job.id,
        tenant_id=job.tenant_id,
        script=script,
        event=event,
        limits=ScriptLimits(**(script.limits or {})),
        created_at=job.created_at,
        job=job,
        number=_number(job, script),
        started_at=now,
    )


def _number(job: Leased, script: Any) -> int:
    """Return the version for this run: the canary's share is chosen by the run's id, so that a retry takes the same."""
    takes_canary = script.canary_version and zlib.crc32(job.id.bytes) % 100 < script.canary_percent
    return int(script.canary_version if takes_canary else script.active_version or 0)


def _logs(outcome: Outcome) -> Sequence[Mapping[str, Any]]:
    if not outcome.log_truncated:
        return outcome.logs
    return [*outcome.logs, {"level": "warning", "message": "log_truncated", "fields": {}}]
