"""`rustok dlq`: what was given up, aggregates and jobs, by cause; tried again or discarded by operations."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer

from rustok.cli.job_options import Tenant
from rustok.cli.operations import follow
from rustok.cli.output import err, print_rows, wrong_call
from rustok.cli.session import Session, open_session
from rustok.cli.tenancy import DryRun, Yes, confirm
from rustok.cli.tenant import Json
from rustok.db.failures import translated_failures
from rustok.dispatch import validate
from rustok.events.dead_letters import Choice
from rustok.jobs.dead_letters import (
    REDRIVEN,
    DiscardChoice,
    count_dead_letters,
    each_dead_letter,
    group_dead_letters,
)
from rustok.kernel.errors import InvalidInput

app = typer.Typer(no_args_is_help=True)
What = Annotated[str | None, typer.Option("--consumer", "--kind", "-k", help="Only of this consumer or kind of job.")]
Fingerprint = Annotated[str | None, typer.Option("--fingerprint", "-f", help="Only of this cause, as `list` names it.")]
Id = Annotated[UUID | None, typer.Option("--id", "--aggregate", help="Only this aggregate or job.")]
_MOST_H = 24 * 365 * 100
OlderThan = Annotated[
    float | None,
    typer.Option("--older-than-h", min=0, max=_MOST_H, help="Only what was given up hours ago."),
]
NeedsVersion = Annotated[
    bool, typer.Option("--needs-version", help="Instead of what was given up, what waits for another release.")
]
_GROUPS = ("fingerprint", "what", "state", "count", "tenants", "oldest", "newest", "example")
_EACH = ("what", "tenant_id", "id", "state", "attempts", "waiting_events", "fingerprint", "error")


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked for, with the command that does it to the dead letters of one tenant."""

    command: str
    states: tuple[str, ...]
    question: str
    choice: Choice
    tenant: str | None


@app.command("list")
def list_(
    what: What = None,
    tenant: Tenant = None,
    fingerprint: Fingerprint = None,
    aggregate_or_job: Id = None,
    older_than_h: OlderThan = None,
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    each: Annotated[bool, typer.Option("--each", help="One by one, the oldest first.")] = False,
    as_json: Json = False,
) -> None:
    """List what consumers and workers have given up, grouped by cause, the largest group first.

    `dead` waits for a redrive, `retrying` will be tried again. What `needs_version` has not failed: it waits for a
    worker of a release that knows it.
    """
    choice = _choice(what, fingerprint, aggregate_or_job, older_than_h)
    asyncio.run(_list(choice, tenant, limit, each=each, as_json=as_json))


@app.command()
def redrive(
    what: What = None,
    tenant: Tenant = None,
    fingerprint: Fingerprint = None,
    aggregate_or_job: Id = None,
    older_than_h: OlderThan = None,
    *,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Try what was given up again: jobs with all their attempts, aggregates with their waiting events, in order.

    Workers do it, a tenant at a time, and the progress is shown; it goes on when this command is interrupted.
    """
    choice = _choice(what, fingerprint, aggregate_or_job, older_than_h)
    request = _Request("jobs.dead_letters.redrive", REDRIVEN, "Try {what} again?", choice, tenant)
    asyncio.run(_have_done(request, yes=yes, dry_run=dry_run, as_json=as_json))


@app.command()
def discard(
    what: What = None,
    tenant: Tenant = None,
    fingerprint: Fingerprint = None,
    aggregate_or_job: Id = None,
    older_than_h: OlderThan = None,
    *,
    needs_version: NeedsVersion = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Give up for good. There is no way back: prefer a redrive.

    A job becomes history, with the outcome `discarded`. Of an aggregate the events that wait never take effect in that
    consumer: a projection shows the aggregate as it was before them, until its next event; what a subscription would
    have made of them, such as runs of scripts, is not made. Events that come later are handled.
    """
    fields = _choice(what, fingerprint, aggregate_or_job, older_than_h).model_dump()
    choice = DiscardChoice(**fields, needs_version=needs_version)
    request = _Request("jobs.dead_letters.discard", (choice.state,), "Discard {what} for good?", choice, tenant)
    asyncio.run(_have_done(request, yes=yes, dry_run=dry_run, as_json=as_json))


def _choice(what: str | None, fingerprint: str | None, wanted: UUID | None, older_than_h: float | None) -> Choice:
    until = None if older_than_h is None else datetime.now(UTC) - timedelta(hours=older_than_h)
    fields = {"what": what, "fingerprint": fingerprint, "id": wanted, "until": until}
    try:
        return validate(Choice, fields)
    except InvalidInput as error:
        raise wrong_call(error) from error


async def _list(choice: Choice, tenant: str | None, limit: int, *, each: bool, as_json: bool) -> None:
    async with open_session() as session:
        await _check_name(session, choice.what)
        tenant_id = await _tenant_id(session, tenant)
        with translated_failures():
            find = each_dead_letter if each else group_dead_letters
            found = await find(session.system_engine, choice, tenant_id, limit)
    rows = [row.model_dump(mode="json") for row in found]
    columns = _EACH if each else _GROUPS
    if as_json:
        print_rows(rows, columns, as_json=True)
        return
    print_rows([row for row in rows if row["state"] != "needs_version"], columns, as_json=False)
    if waiting := [row for row in rows if row["state"] == "needs_version"]:
        err.print("No failures, but waiting for a worker of a release that knows them:")
        print_rows(waiting, columns, as_json=False)


async def _have_done(request: _Request, *, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Make one operation for each tenant concerned and follow them to their end."""
    async with open_session() as session:
        await _check_name(session, request.choice.what)
        tenant_id = await _tenant_id(session, request.tenant)
        with translated_failures():
            counts = await count_dead_letters(session.system_engine, request.choice, tenant_id, request.states)
        if dry_run:
            rows = [{"tenant_id": tenant, "count": count} for tenant, count in counts.items()]
            print_rows(rows, ("tenant_id", "count"), as_json=as_json)
            return
        if not counts:
            err.print("There are no such dead letters.")
        else:
            what = f"{sum(counts.values())} dead letters of {len(counts)} tenants"
            confirm(request.question.format(what=what), yes=yes)
        fields = request.choice.model_dump(mode="json", exclude_none=True)
        await follow(session, request.command, fields, counts, as_json=as_json)


async def _tenant_id(session: Session, reference: str | None) -> UUID | None:
    return None if reference is None else await session.tenant_id(reference)


async def _check_name(session: Session, what: str | None) -> None:
    """Refuse a name that nobody has: neither a module of this release nor, of another one, something given up."""
    registry = session.platform.registry
    known = {*registry.consumed(), *registry.jobs}
    if what is None or what in known:
        return
    with translated_failures():
        is_found = await group_dead_letters(session.system_engine, Choice(what=what), None, 1)
    if not is_found:
        raise typer.BadParameter(f"There is no consumer or kind {what!r}: there are {', '.join(sorted(known))}.")
