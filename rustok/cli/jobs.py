"""`rustok jobs`: one by one, what waits, runs or was given up."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer

from rustok.cli.job_options import Kind, Queue, Tenant, scope_of
from rustok.cli.output import err, print_rows, printable, to_json
from rustok.cli.session import Session, open_session
from rustok.cli.tenant import Json
from rustok.db.failures import translated_failures
from rustok.jobs.desk import STATES, State, cancel_job, find_job, list_jobs, retry_job
from rustok.jobs.operations import OperationNotFound
from rustok.jobs.tail import CHANGES, Change, ChangedJob, JobTail
from rustok.kernel.errors import Conflict

app = typer.Typer(no_args_is_help=True)
Id = Annotated[UUID, typer.Argument(help="The id of a job, which is that of its operation.")]
_COLUMNS = ("id", "tenant_id", "kind", "state", "attempts", "max_attempts", "due_at", "error")
_POLL_S = 0.5
_State = TypeVar("_State", bound=str)
_STOPS = "the job runs: its worker is told within two seconds"


class NotDead(Conflict):
    """The job has not been given up, or has ended."""

    code = "job_not_dead"


@app.command("list")
def list_(
    state: Annotated[str | None, typer.Option("--state", "-s", help=f"One of {', '.join(STATES)}.")] = None,
    queue: Queue = None,
    kind: Kind = None,
    tenant: Tenant = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    *,
    as_json: Json = False,
) -> None:
    """List jobs that have not ended, those that have been due for the longest first."""
    asyncio.run(_list(_one_of(STATES, state), queue, kind, tenant, limit, as_json=as_json))


@app.command()
def tail(
    state: Annotated[str | None, typer.Option("--state", "-s", help=f"Only {', '.join(CHANGES)}.")] = None,
    queue: Queue = None,
    kind: Kind = None,
    tenant: Tenant = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Print what runs, and then jobs as they begin and end, until Ctrl-C."""
    asyncio.run(_tail(_one_of(CHANGES, state), queue, kind, tenant, as_json=as_json))


@app.command()
def show(job_id: Id) -> None:
    """Print all that is known of a job, as JSON; also of one that has ended, until it is forgotten."""
    asyncio.run(_show(job_id))


@app.command()
def cancel(job_id: Id) -> None:
    """End a job that waits or was given up, and stop one that runs."""
    asyncio.run(_cancel(job_id))


@app.command()
def retry(job_id: Id) -> None:
    """Let a job that was given up be tried again, with all its attempts before it."""
    asyncio.run(_retry(job_id))


async def _list(
    state: State | None, queue: str | None, kind: str | None, tenant: str | None, limit: int, *, as_json: bool
) -> None:
    async with open_session() as session:
        scope = await scope_of(session, queue, kind, tenant)
        with translated_failures():
            jobs = await list_jobs(session.system_engine, scope, state=state, limit=limit)
    print_rows([asdict(job) for job in jobs], _COLUMNS, as_json=as_json)


async def _tail(
    state: Change | None, queue: str | None, kind: str | None, tenant: str | None, *, as_json: bool
) -> None:
    async with open_session() as session:
        jobs = JobTail(session.system_engine, await scope_of(session, queue, kind, tenant), state)
        while True:
            with translated_failures():
                changed = await jobs.look()
            for job in changed:
                typer.echo(to_json(asdict(job)) if as_json else _line(job))
            sys.stdout.flush()
            await asyncio.sleep(_POLL_S)


def _line(job: ChangedJob) -> str:
    error = f"  {job.error}" if job.error else ""
    return printable(
        f"{job.at:%Y-%m-%d %H:%M:%S}  {job.state:<9}  {job.kind}  {job.id}  tenant {job.tenant_id}"
        f"  attempt {job.attempts}{error}"
    )


async def _show(job_id: UUID) -> None:
    async with open_session() as session:
        print(to_json(await _find(session, job_id), indent=2))  # noqa: T201 - data, unstyled


async def _cancel(job_id: UUID) -> None:
    async with open_session() as session:
        tenant_id = UUID((await _find(session, job_id))["tenant_id"])
        with translated_failures():
            await cancel_job(session.system_engine, tenant_id, job_id)
        state = (await _find(session, job_id))["state"]
    err.print(_STOPS if state == "running" else f"the job is {state}")


async def _retry(job_id: UUID) -> None:
    async with open_session() as session:
        job = await _find(session, job_id)
        if job["kind"] not in session.platform.registry.jobs:
            raise NotDead(f"This release knows no jobs of kind {job['kind']}: use the one that does.")
        with translated_failures():
            is_retried = await retry_job(session.system_engine, UUID(job["tenant_id"]), job_id)
    if not is_retried:
        raise NotDead(f"The job was not given up, it is {job['state']}: there is nothing to try again.")
    err.print("the job is due now")


def _one_of(known: Sequence[_State], state: str | None) -> _State | None:
    if state is None:
        return None
    for name in known:
        if name == state:
            return name
    raise typer.BadParameter(f"There is no state {state!r}: there are {', '.join(known)}.")


async def _find(session: Session, job_id: UUID) -> Mapping[str, Any]:
    with translated_failures():
        found = await find_job(session.system_engine, job_id)
    if found is None:
        raise OperationNotFound(f"There is no job {job_id}, or it ended too long ago.")
    return found
