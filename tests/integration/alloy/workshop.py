"""Scripts, worked by hand: push, let events pass, do the jobs, look at what came of it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from textwrap import dedent
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.bootstrap import Platform
from rustok.catalog import MODULES
from rustok.db.transaction import run_alone
from rustok.dispatch import Call
from rustok.egress import Egress, EgressConfig, parse_networks
from rustok.jobs.runner import JobHandler, JobRunner, RunnerConfig
from rustok.jobs.schedule_store import PostgresScheduleStore
from rustok.jobs.scheduler import Scheduler
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.context import Context, Principal
from rustok.kernel.event import LoggedEvent
from rustok.kernel.ids import uuid7
from rustok.modules.alloy import CALL, CHECK, RUN
from rustok.modules.alloy.schemas import Attempt, Script
from rustok.runtime import SystemClock
from rustok.sandbox.cage import Cage
from rustok.sandbox.contract import Compiled, Fault, HostCall, Job, Outcome, Report
from rustok.sandbox.language.bytecode import pack
from rustok.testing import Database, PlatformUnderTest
from tests.under_fire import PlatformUnderFire, answered
from workers.call_circuits import CallCircuits
from workers.script_calls import ScriptCalls
from workers.script_checks import ScriptChecks
from workers.script_runs import ScriptRuns

_READY = text(
    """
    SELECT id FROM jobs
     WHERE state = 'ready' AND due_at <= now() AND (attempts = 0 OR CAST(:retries AS boolean))
       AND (SELECT is_active FROM tenants WHERE tenants.id = jobs.tenant_id) AND NOT is_kind_off(tenant_id, kind)
     ORDER BY due_at, id
    """
)
# Who hands a job back since a server is away, puts it off by a second.
_INTERRUPTED = text(
    """
    UPDATE jobs SET state = 'ready', attempts = CASE state WHEN 'leased' THEN attempts - 1 ELSE attempts END,
                    lease_token = NULL, lease_expires_at = NULL, due_at = now()
     WHERE state = 'leased' OR state = 'ready' AND due_at < now() + interval '1 second'
    """
)
_DUE_NOW = text("UPDATE jobs SET due_at = now() WHERE state = 'ready'")
_DEAD = text("SELECT id, args, error FROM jobs WHERE kind = :kind AND state = 'dead' ORDER BY id")
_BREAK_IN = text(
    """
    UPDATE script_bytecode AS b SET bytecode = :bytecode
      FROM script_versions AS v
     WHERE v.tenant_id = :tenant_id AND v.script_id = :script_id AND b.tenant_id = v.tenant_id AND b.sha256 = v.sha256
    """
)
_OTHER_POLICY = text("UPDATE script_bytecode SET policy_version = 'another'")
_DUE_IN = text("SELECT extract(epoch FROM due_at - now())::float AS seconds FROM jobs WHERE state = 'ready' ORDER BY 1")
_WAITING = """
    SELECT count(*) > 0 FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'
       AND clock_timestamp() - query_start > interval '0.4 seconds'
"""
_REWIND = text("UPDATE checkpoints SET position = 0 WHERE consumer = 'alloy.start_runs'")
_SCHEDULES_DUE = text("UPDATE schedules SET due_at = now() - interval '1 second'")
_FORGET = [text(f"DELETE FROM {table}") for table in ("jobs", "finished_jobs", "schedules", "scripts")]


class Workshop:
    def __init__(self, platform: PlatformUnderTest, cage: Cage, tenant_id: UUID) -> None:
        self.platform = platform
        self.cage = cage
        self.tenant_id = tenant_id
        self.runs = InterruptedRuns(cage)
        self.runner = self.fresh_runner()
        self.scheduler = Scheduler(platform.registry.jobs, PostgresScheduleStore(platform.system_engine), SystemClock())

    @property
    def workers(self) -> tuple[Platform, AsyncEngine]:
        """What workers work with."""
        return self.platform.platform, self.platform.system_engine

    def fresh_runner(self) -> JobRunner:
        """Return a worker that remembers nothing."""
        platform, engine = self.workers
        egress = Egress(EgressConfig(allowed_networks=parse_networks("127.0.0.0/8")))
        handlers: dict[str, JobHandler] = {
            RUN.name: ScriptRuns(engine, platform, self.runs, SystemClock(), 4),
            CHECK.name: ScriptChecks(engine, platform, self.cage),
            CALL.name: ScriptCalls(engine, platform, CallCircuits(egress, SystemClock()), SystemClock()),
        }
        return JobRunner(RunnerConfig(), PostgresJobStore(engine), handlers, SystemClock())

    async def run(self, command: str, *, seen: int | None = None, **fields: Any) -> Any:
        return await self.platform.run(command, self.tenant_id, seen=seen, **fields)

    async def query(self, name: str, **arguments: Any) -> Any:
        return await self.platform.query(name, self.tenant_id, **arguments)

    async def script(
        self,
        body: str,
        *,
        on: str | None = "commerce.product.created",
        before: str = "",
        name: str | None = None,
        **fields: Any,
    ) -> Script:
        """Create an active script whose `handle` has this body; *on* is the pattern of its one event trigger."""
        triggers = [{"kind": "event", "pattern": on}] if on else [{"kind": "api"}]
        fields = {"triggers": triggers, "grants": sorted(GRANTS), **fields}
        script = await self.run("alloy.scripts.create", name=name or f"script-{uuid7().hex[-12:]}", **fields)
        await self.push(script.id, hook(body, before=before), activate=True)
        return await self.find(script.id)

    async def script_of(self, key: Any, body: str, **fields: Any) -> Script:
        """Create an active script, which somebody may start, as the owner of an API key."""
        principal = Principal("apikey", str(key.id), frozenset(self.platform.registry.permissions))
        values = {"name": f"script-{uuid7().hex[-12:]}", "triggers": [{"kind": "api"}], **fields}
        call = Call(self.platform.registry.commands["alloy.scripts.create"], values)
        context = Context(tenant_id=self.tenant_id, principal=principal)
        created = (await self.platform.platform.dispatcher.run(call, context)).result.model_dump()
        await self.push(created["id"], hook(body), activate=True)
        return await self.find(created["id"])

    async def push(self, script_id: UUID, code: str, *, activate: bool = False) -> Any:
        """Hand in a version and have it checked; return the operation."""
        pushed = await self.run("alloy.versions.push", script_id=str(script_id), code=code, activate=activate)
        await self.work()
        return await self.query("jobs.operations.get", operation_id=str(pushed.operation_id))

    async def find(self, script_id: UUID) -> Script:
        script: Script = await self.query("alloy.scripts.get", script_id=str(script_id))
        return script

    async def work(self, *, retries: bool = False) -> int:
        """Do the jobs that are due, and those that follow from them, until none is left.

        *retries*: also what has failed, again and without delay; else nothing is tried twice.
        """
        done = 0
        while True:
            if retries:
                await self.platform.settle()
                await run_alone(self.platform.system_engine, _DUE_NOW)
            ids = await self.ready(retries=retries)
            if not ids:
                return done
            done += await self.work_on(ids)

    async def work_on(self, ids: Sequence[UUID]) -> int:
        """Do these jobs; return how many it was."""
        return await self.runner.work(ids)

    async def work_through(self, job_id: UUID) -> None:
        """Do this job, and no other, until it has ended or failed."""
        while job_id in await self.ready():
            await self.work_on([job_id])

    async def ready(self, *, retries: bool = False) -> list[UUID]:
        """Return the jobs that are due."""
        return [row.id for row in await run_alone(self.platform.system_engine, _READY, {"retries": retries})]

    async def dead(self, kind: str) -> Sequence[Any]:
        """Return the jobs of a kind that were given up."""
        return (await run_alone(self.platform.system_engine, _DEAD, {"kind": kind})).all()

    async def break_in(self, script: Script, source: str) -> None:
        """Put code in the place of a script's first version that no check would let pass."""
        code = compile(f"{source}\nasync def handle(event, ctx): pass\n", "<hook>", "exec")
        values = {"bytecode": pack(code), "tenant_id": self.tenant_id, "script_id": script.id}
        await run_alone(self.platform.system_engine, _BREAK_IN, values)

    async def forget_compiled(self) -> None:
        """Let everything have been compiled by another release."""
        await run_alone(self.platform.system_engine, _OTHER_POLICY)

    async def settle(self) -> None:
        """Let events and jobs pass until nothing follows from anything any more."""
        await self.platform.settle()
        while await self.work():
            await self.platform.settle()

    async def hurry(self) -> None:
        """Let whatever waits for its time be due now."""
        await run_alone(self.platform.system_engine, _DUE_NOW)

    async def rewind(self) -> None:
        """Have the consumer of events read the log from its beginning."""
        await run_alone(self.platform.system_engine, _REWIND)

    async def limits(self, **limits: Any) -> None:
        await self.run("alloy.limits.set", **limits)

    def before_effects(self, happening: Callable[[], Awaitable[None]], times: int) -> None:
        """Let something happen *times* times between the end of a hook and its effects."""
        self.runs.happenings = [happening] * times

    async def due_in_s(self) -> list[float]:
        """Return in how many seconds each job that is ready is due, in order."""
        return [row.seconds for row in await run_alone(self.platform.system_engine, _DUE_IN)]

    @asynccontextmanager
    async def holding(self, table: str, row_id: UUID) -> AsyncIterator["HeldRow"]:
        """Hold a row until it is let go."""
        connection = await asyncpg.connect(self.platform.database.admin_url)
        await connection.execute(f"BEGIN; SELECT FROM {table} WHERE id = '{row_id}' FOR UPDATE")
        yield HeldRow(connection)
        await connection.close()

    async def strike(self) -> None:
        """Let the moment of every schedule come."""
        await run_alone(self.platform.system_engine, _SCHEDULES_DUE)
        await self.scheduler.run_once()

    async def product(self, **fields: Any) -> Any:
        texts = {"title": "Kettle", "handle": f"kettle-{uuid7().hex}"}
        values = {"translations": {"en": texts}, **fields}
        return await self.run("commerce.products.create", **values)

    async def read_product(self, product_id: UUID) -> Any:
        return await self.query("commerce.products.get", product_id=str(product_id))

    async def attempts(self, script: Script) -> Sequence[Attempt]:
        """Return what the script did, oldest first."""
        page = await self.query("alloy.runs.list", script_id=str(script.id))
        return list(reversed(page.data))

    async def events(self, event_type: str) -> list[LoggedEvent]:
        return [e for e in await self.platform.events() if e.envelope.type == event_type and self._is_ours(e)]

    def _is_ours(self, event: LoggedEvent) -> bool:
        return event.envelope.tenant_id == self.tenant_id


class HeldRow:
    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def is_waited_for(self) -> bool:
        """Tell whether somebody has waited for it for longer than a group of runs would."""
        return bool(await self._connection.fetchval(_WAITING))

    async def let_go(self) -> None:
        await self._connection.execute("COMMIT")


class InterruptedRuns(Cage):
    """A cage, but between the end of a hook and its effects something may happen."""

    def __init__(self, cage: Cage) -> None:
        self._cage = cage
        self.happenings: list[Callable[[], Awaitable[None]]] = []

    @property
    def report(self) -> Report:
        return self._cage.report

    async def run(self, job: Job, host_call: HostCall) -> Outcome:
        outcome = await self._cage.run(job, host_call)
        if self.happenings:
            await self.happenings.pop()()
        return outcome

    async def compile(self, source: str) -> Compiled | tuple[Fault, ...]:
        return await self._cage.compile(source)


GRANTS = {"commerce.products.read", "commerce.products.write", "commerce.products.publish"}


def hook(body: str, *, before: str = "") -> str:
    """Return a source whose `handle` has this body."""
    indented = "\n".join(f"    {line}" for line in dedent(body).strip().splitlines())
    return f"{dedent(before)}\nasync def handle(event, ctx):\n{indented}\n"


class WorkshopUnderFire(Workshop):
    """Connections of its workers fail now and then; what they leave behind is taken up as the rescuer would."""

    platform: PlatformUnderFire

    @property
    def workers(self) -> tuple[Platform, AsyncEngine]:
        return self.platform.failing, self.platform.failing_system_engine

    async def work_on(self, ids: Sequence[UUID]) -> int:
        """Do these jobs, and make ready, uncounted, what a fault has interrupted: nobody works then."""
        await answered(partial(self.runner.work, ids))
        await run_alone(self.platform.system_engine, _INTERRUPTED)
        return len(ids)


@asynccontextmanager
async def open_workshop(
    database: Database, cage: Cage, platform_class: type[PlatformUnderTest] = PlatformUnderTest
) -> AsyncIterator[Workshop]:
    """Open *database* with a new tenant and without the scripts and jobs of others."""
    async with platform_class.open(MODULES, database) as platform:
        for statement in _FORGET:
            await run_alone(platform.system_engine, statement)
        tenant_id = await platform.create_tenant(f"tenant-{uuid7().hex[-12:]}")
        workshop = WorkshopUnderFire if isinstance(platform, PlatformUnderFire) else Workshop
        yield workshop(platform, cage, tenant_id)
