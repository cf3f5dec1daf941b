"""An attempt at a run: what a job asks for, by which version of its script, and what is told of it afterwards."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from rustok.jobs import Leased
from rustok.modules.alloy import Attempted, Host, ScriptLimits, cron_event
from rustok.sandbox.contract import Fault, Outcome, Usage
from rustok.scripting import ScriptRun
from workers.script_code import VersionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAttempt(ScriptRun):
    job: Leased
    number: int
    started_at: datetime

    @classmethod
    def of(cls, job: Leased, script: Any, now: datetime) -> "RunAttempt":
        """Return the attempt that *job* stands for; *script* is a row of `load_script`."""
        return cls(
            id=job.id,
            tenant_id=job.tenant_id,
            script=script,
            event=job.args.get("event") or cron_event(job.id, job.tenant_id, job.actor, job.args["due_at"]),
            limits=ScriptLimits(**(script.limits or {})),
            created_at=job.created_at,
            job=job,
            number=_number(job, script),
            started_at=now,
        )

    @property
    def version(self) -> VersionKey:
        return VersionKey(self.tenant_id, self.script.id, self.number)

    def told(self, outcome: Outcome, host: Host | None, fault: Fault | None = None) -> Attempted:
        """Return what the log of runs keeps, without the secrets that the hook has seen."""
        masked = host.masked if host else lambda document: document
        return Attempted(
            run_id=self.id,
            attempt=self.job.attempt,
            script_id=self.script.id,
            script_version=self.number,
            event_type=self.event["type"],
            event_id=UUID(self.event["id"]),
            depth=self.job.args.get("depth", 1),
            correlation_id=self.job.correlation_id,
            started_at=self.started_at,
            usage={name: getattr(outcome.usage, name) for name in Usage.__slots__},
            logs=masked(_logs(outcome)),
            effects=masked(outcome.effects),
            result=masked(outcome.result),
            error=masked(asdict(fault)) if fault else None,
        )


def _number(job: Leased, script: Any) -> int:
    """Return the version for this run: the canary's share is chosen by the run's id, so that a retry takes the same."""
    takes_canary = script.canary_version and zlib.crc32(job.id.bytes) % 100 < script.canary_percent
    return int(script.canary_version if takes_canary else script.active_version or 0)


def _logs(outcome: Outcome) -> Sequence[Mapping[str, Any]]:
    if not outcome.log_truncated:
        return outcome.logs
    return [*outcome.logs, {"level": "warning", "message": "log_truncated", "fields": {}}]
