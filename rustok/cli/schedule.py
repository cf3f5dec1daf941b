"""`rustok schedule`: what is due again and again."""

import asyncio
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer

from rustok.cli.job_options import Kind, Tenant, operator, scope_of
from rustok.cli.output import err, print_rows
from rustok.cli.session import Session, open_session
from rustok.cli.tenant import Json
from rustok.db.failures import translated_failures
from rustok.jobs.schedule_desk import Choice, ScheduleRow, disable, enable, list_schedules, make_now
from rustok.kernel.errors import NotFound

app = typer.Typer(no_args_is_help=True)
Id = Annotated[UUID | None, typer.Argument(metavar="[ID]", help="One schedule.", show_default=False)]
Owner = Annotated[str | None, typer.Option("--owner", "-o", help="Only of this owner, such as script:ID.")]
_COLUMNS = ("id", "tenant_id", "owner", "kind", "cron", "timezone", "missed", "due_at", "last_due_at", "state")


class ScheduleNotFound(NotFound):
    """No schedule fits what was asked for."""

    code = "schedule_not_found"


@app.command("list")
def list_(
    schedule_id: Id = None,
    tenant: Tenant = None,
    owner: Owner = None,
    kind: Kind = None,
    *,
    as_json: Json = False,
) -> None:
    """List schedules: when they are due next, which moment became a job last, and whether they are on."""
    asyncio.run(_list(schedule_id, tenant, owner, kind, as_json=as_json))


@app.command()
def run(schedule_id: Id = None, tenant: Tenant = None, owner: Owner = None, kind: Kind = None) -> None:
    """Make a job now, of one that is off as well. The schedule stays as it is."""
    asyncio.run(_run(schedule_id, tenant, owner, kind))


@app.command()
def off(
    schedule_id: Id = None,
    tenant: Tenant = None,
    owner: Owner = None,
    kind: Kind = None,
    reason: Annotated[str | None, typer.Option(help="Why, for whoever finds it off.")] = None,
) -> None:
    """Let moments pass without a job, until it is on again. Jobs that were made before go on."""
    asyncio.run(_off(schedule_id, tenant, owner, kind, reason))


@app.command()
def on(schedule_id: Id = None, tenant: Tenant = None, owner: Owner = None, kind: Kind = None) -> None:
    """Make jobs again, from the next moment on; what passed while it was off is not made up."""
    asyncio.run(_on(schedule_id, tenant, owner, kind))


async def _list(
    schedule_id: UUID | None, tenant: str | None, owner: str | None, kind: str | None, *, as_json: bool
) -> None:
    async with open_session() as session:
        choice = await _choice(session, schedule_id, tenant, owner, kind)
        with translated_failures():
            found = await list_schedules(session.system_engine, choice)
    print_rows([asdict(schedule) for schedule in found], _COLUMNS, as_json=as_json)


async def _run(schedule_id: UUID | None, tenant: str | None, owner: str | None, kind: str | None) -> None:
    async with open_session() as session:
        choice, found = await _found(session, schedule_id, tenant, owner, kind)
        with translated_failures():
            made = await make_now(session.system_engine, choice, session.platform.registry.jobs, actor=operator())
    for job_id in made:
        typer.echo(job_id)
    if left_out := len(found) - len(made):
        err.print(f"{left_out} are of a kind that this release does not know: use the one that does")


async def _off(
    schedule_id: UUID | None, tenant: str | None, owner: str | None, kind: str | None, reason: str | None
) -> None:
    async with open_session() as session:
        choice, found = await _found(session, schedule_id, tenant, owner, kind)
        with translated_failures():
            await disable(session.system_engine, choice, disabled_by=operator(), reason=reason)
    err.print(f"{len(found)} schedules are off")


async def _on(schedule_id: UUID | None, tenant: str | None, owner: str | None, kind: str | None) -> None:
    async with open_session() as session:
        choice, found = await _found(session, schedule_id, tenant, owner, kind)
        with translated_failures():
            await enable(session.system_engine, choice)
    err.print(f"{len(found)} schedules are on")


async def _found(
    session: Session, schedule_id: UUID | None, tenant: str | None, owner: str | None, kind: str | None
) -> tuple[Choice, list[ScheduleRow]]:
    """Return what is meant, and the schedules that fit it, of which there is one at least."""
    if (schedule_id, tenant, owner, kind) == (None, None, None, None):
        raise typer.BadParameter("Name a schedule by its id, or a --tenant, an --owner or a --kind.")
    choice = await _choice(session, schedule_id, tenant, owner, kind)
    with translated_failures():
        found = await list_schedules(session.system_engine, choice)
    if not found:
        raise ScheduleNotFound("No schedule fits: `rustok schedule list` shows those there are.")
    return choice, found


async def _choice(
    session: Session, schedule_id: UUID | None, tenant: str | None, owner: str | None, kind: str | None
) -> Choice:
    scope = await scope_of(session, None, kind, tenant)
    return Choice(id=schedule_id, tenant_id=scope.tenant_id, owner=owner, kind=kind)
