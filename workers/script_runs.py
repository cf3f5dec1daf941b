"""Runs scripts: finds one, lets the cage run it, and commits its effects with the end of the job."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, NamedTuple
from uuid import UUID
from weakref import WeakValueDictionary

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.bootstrap import Platform
from rustok.db.transaction import begin
from rustok.db.unit_of_work import StaleAuthorization
from rustok.jobs import Leased, fail, finish, hand_back, put_off
from rustok.jobs.runner import retry_delay_s
from rustok.kernel.errors import ModuleOff, Unavailable, VersionMismatch
from rustok.kernel.ports import Clock
from rustok.modules.alloy import EffectRefused, Host, record_failure
from rustok.sandbox.cage import Cage
from rustok.sandbox.contract import Fault, Outcome, SandboxUnavailable
from rustok.telemetry.metrics import (
    POLICY_VIOLATIONS,
    SANDBOX_KILLS,
    SANDBOX_PEAK_BYTES,
    SANDBOX_RUN_SECONDS,
    SCRIPT_RUNS,
)
from workers.fair_turns import FairTurns
from workers.script_attempt import RunAttempt
from workers.script_code import CodeMissing, ScriptCode
from workers.script_commits import EndedRun, ScriptCommits
from workers.script_rights import ScriptRights, Scripts, platform_context

log = structlog.get_logger(__name__)

_RERUNS = 3
"""After a conflict, or when rights have changed: at once, and no attempt is counted."""
_UNDER_WAY_A_CHILD, _CAGED_A_CHILD = 4, 2
_CHANGING_S = 1.0
"""How long a run waits whose script, or another one of the tenant, is being changed all the time."""
_PAUSED_S = 30.0
_FINAL = frozenset({"policy_violation", "script_disabled", "code_missing"})
"""Another attempt would end the same."""
_WAITING = frozenset({"paused", "draft"})
_KILLS = frozenset({"cpu_exceeded", "wall_timeout", "memory_exceeded", "policy_violation"})


class _Ended(NamedTuple):
    """What an attempt came to; `overtaken` tells that, and how, it was for nothing.

    `is_counted`: a failure is the script's, which is disabled after so many.
    """

    outcome: Outcome = Outcome()
    host: Host | None = None
    fault: Fault | None = None
    overtaken: Exception | None = None
    is_counted: bool = True


class ScriptRuns:
    """Handles jobs of the kind `alloy.run`. At most four a child of the cage are under way, two of them in the cage
    while the effects of others are gathered and committed; further ones wait with their lease, those of tenants that
    have much under way for longest.
    """

    def __init__(self, engine: AsyncEngine, platform: Platform, cage: Cage, clock: Clock, children: int) -> None:
        self._engine = engine
        self._platform = platform
        self._cage = cage
        self._clock = clock
        self._scripts = Scripts(engine)
        self._rights = ScriptRights(platform.units, platform.registry.permissions.values())
        self._code = ScriptCode(engine, cage)
        self._concurrency = _UNDER_WAY_A_CHILD * children
        self._commits = ScriptCommits(platform, lambda: 2 * self._under_way > self._concurrency)
        self._turns = FairTurns(self._concurrency)
        self._caged_turns = FairTurns(_CAGED_A_CHILD * children)
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
            async with self._turns.turn(job.tenant_id):
                await self._run(job)
        finally:
            self._under_way -= 1

    async def _run(self, job: Leased) -> None:
        try:
            await self._run_to_end(job)
        except SandboxUnavailable as error:
            raise Unavailable(f"the cage is not available: {error}") from error

    async def _run_to_end(self, job: Leased) -> None:
        """Attempt it until effects or fault are committed; what was overtaken meanwhile is attempted again."""
        async with AsyncExitStack() as in_turn:
            ended = _Ended()
            is_in_turn = False
            for _ in range(1 + _RERUNS):
                is_stale = isinstance(ended.overtaken, StaleAuthorization)
                script = await self._scripts.find(job, fresh=is_stale)
                if script is None:
                    await self._end(finish, job, None, "cancelled")  # it was deleted meanwhile
                    return
                if script.status in _WAITING:
                    await self._end(put_off, job, _PAUSED_S)
                    return
                if isinstance(ended.overtaken, VersionMismatch) and not is_in_turn:
                    await in_turn.enter_async_context(self._reruns.setdefault(script.id, asyncio.Lock()))
                    is_in_turn = True
                run = RunAttempt.of(job, script, self._clock.now())
                ended = await self._attempt(run, fresh=is_stale)
                if ended.overtaken is None:
                    return
        if ended.fault is not None:
            await self._fail(run, ended, ended.fault)
            return
        if isinstance(ended.overtaken, StaleAuthorization):
            SCRIPT_RUNS.labels("overtaken").inc()
            await self._end(hand_back, job, _CHANGING_S)  # no fault of the script's
            return
        message = f"{_RERUNS + 1} runs in a row read what somebody then changed: {ended.overtaken!r}"
        fault = Fault(code="conflict", message=message, limit=_RERUNS, used=_RERUNS + 1)
        await self._fail(run, ended, fault)

    async def _attempt(self, run: RunAttempt, *, fresh: bool) -> _Ended:
        ended = await self._outcome(run, fresh=fresh)
        try:
            if ended.fault is not None:
                is_told_anyway = ended.fault.code == "policy_violation"
                await self._fail(run, ended, ended.fault, None if is_told_anyway else run.script.scripts_version)
            elif ended.overtaken is None:
                SCRIPT_RUNS.labels("succeeded").inc()
        except StaleAuthorization as error:
            return ended._replace(overtaken=error)
        return ended

    async def _outcome(self, run: RunAttempt, *, fresh: bool) -> _Ended:
        """Run once and commit the effects, or find out why not."""
        if run.script.status == "disabled":
            return _Ended(fault=Fault(code="script_disabled", message="The script is disabled."))
        try:
            bytecode = await self._code.bytecode(run.version)
        except CodeMissing as error:
            first = error.faults[0] if error.faults else None
            return _Ended(fault=first or Fault(code="code_missing", message=str(error)))
        outcome, host = Outcome(), None
        try:
            context = await self._rights.context(run.job, run.script, fresh=fresh)
            host = run.host(self._platform, context)
            outcome = await self._caged(run, bytecode, host)
            if outcome.fault is None:
                await self._commits.commit(EndedRun(run, outcome, host, context))
        except (StaleAuthorization, VersionMismatch) as error:
            return _Ended(outcome, host, overtaken=error)
        except EffectRefused as error:
            hint = "grant the script what it does, or let it check first"
            fault = Fault(code="effect_refused", message=str(error), hint=hint)
            return _Ended(outcome, host, fault, is_counted=error.code != ModuleOff.code)
        return _Ended(outcome, host, outcome.fault)

    async def _caged(self, run: RunAttempt, bytecode: bytes, host: Host) -> Outcome:
        async with self._caged_turns.turn(run.job.tenant_id):  # the cage lets nobody wait for long
            outcome = await run.caged(self._cage, bytecode, host)
        SANDBOX_RUN_SECONDS.observe(outcome.usage.wall_ms / 1000)
        SANDBOX_PEAK_BYTES.observe(outcome.usage.peak_bytes)
        if outcome.fault and outcome.fault.code in _KILLS:
            SANDBOX_KILLS.labels(outcome.fault.code).inc()
        return outcome

    async def _fail(self, run: RunAttempt, ended: _Ended, fault: Fault, scripts_version: int | None = None) -> None:
        """Keep the attempt and end it: another one follows, or the run is a dead letter.

        Raises:
            StaleAuthorization: the tenant's scripts are not of *scripts_version* any more.

        """
        attempted = run.told(ended.outcome, ended.host, fault)
        is_final = fault.code in _FINAL or run.job.is_last_attempt
        async with self._platform.units.begin(platform_context(run.job, scripts_version)) as uow:
            await record_failure(uow, attempted, fault.code, run.limits.failures_in_a_row if ended.is_counted else None)
            delay_s = None if is_final else retry_delay_s(run.job.attempt)
            await fail(uow, run.job, attempted.error or {}, delay_s)
        SCRIPT_RUNS.labels(fault.code).inc()
        if fault.code == "policy_violation":
            POLICY_VIOLATIONS.inc()
            log.error("script_policy_violated", script=str(run.script.id), version=run.number, run_id=str(run.job.id))

    async def _end(self, how: Any, job: Leased, *arguments: Any) -> None:
        async with begin(self._engine, "BEGIN") as (transaction, _):
            await how(transaction, job, *arguments)
