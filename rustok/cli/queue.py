"""`rustok queue`: what waits, and what is kept waiting."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

import typer

from rustok.cli import queue_limits
from rustok.cli.job_options import Kind, QueueName, Tenant, named, one_scope_of, operator
from rustok.cli.output import err, print_rows, printable
from rustok.cli.session import open_session
from rustok.cli.tenant import Json
from rustok.db.failures import translated_failures
from rustok.jobs.desk import count_waiting, purge_waiting
from rustok.jobs.figures import QueueFigures, read_queue_figures
from rustok.jobs.pauses import Pause, Scope, list_pauses, pause, resume

app = typer.Typer(no_args_is_help=True)
app.add_typer(queue_limits.app, name="limits", help="Bound how many jobs run, or begin, and give tenants weights")
Reason = Annotated[str | None, typer.Option(help="Why, for whoever finds it paused.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_COLUMNS = ("queue", "ready", "leased", "dead", "oldest_age_s", "paused")


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """List the queues: what is ready, under way, dead, for how long the oldest is due, and what is paused."""
    asyncio.run(_list(as_json=as_json))


@app.command("pause")
def pause_(queue: QueueName = None, kind: Kind = None, tenant: Tenant = None, reason: Reason = None) -> None:
    """Let no job of a queue, a kind or a tenant begin, or of what is all of these. What is under way goes on."""
    asyncio.run(_pause(queue, kind, tenant, reason))


@app.command("resume")
def resume_(queue: QueueName = None, kind: Kind = None, tenant: Tenant = None) -> None:
    """Take back the pause of exactly this queue, kind and tenant."""
    asyncio.run(_resume(queue, kind, tenant))


@app.command()
def purge(queue: QueueName = None, kind: Kind = None, tenant: Tenant = None, *, yes: Yes = False) -> None:
    """Cancel what waits of a queue, a kind or a tenant, or of what is all of these. What is under way goes on."""
    asyncio.run(_purge(queue, kind, tenant, yes=yes))


async def _list(*, as_json: bool) -> None:
    async with open_session() as session:
        with translated_failures():
            found = {figures.queue: figures for figures in await read_queue_figures(session.system_engine)}
            pauses = await list_pauses(session.system_engine)
        queue_of = {kind.name: kind.queue for kind in session.platform.registry.jobs.values()}
    queues = {*queue_of.values(), *found, *(pause.queue for pause in pauses if pause.queue)}
    rows = []
    for queue in sorted(queues):
        paused = [pause for pause in pauses if _concerns(pause, queue, queue_of)]
        rows.append(_row(found.get(queue) or QueueFigures(queue, 0, 0, 0, 0.0), paused, as_json=as_json))
    print_rows(rows, _COLUMNS, as_json=as_json)


def _concerns(pause: Pause, queue: str, queue_of: Mapping[str, str]) -> bool:
    """Tell whether *pause* keeps jobs of *queue* waiting; one of a kind that this release lacks may."""
    return pause.queue in (None, queue) and (pause.kind is None or queue_of.get(pause.kind, queue) == queue)


def _row(figures: QueueFigures, paused: list[Pause], *, as_json: bool) -> dict[str, object]:
    told = [asdict(pause) for pause in paused] if as_json else "; ".join(map(_told, paused))
    return {**asdict(figures), "oldest_age_s": round(figures.oldest_age_s, 1), "paused": told}


def _told(pause: Pause) -> str:
    what = named(Scope(kind=pause.kind, tenant_id=pause.tenant_id)) or "all of it"
    return f"{what} ({pause.reason})" if pause.reason else what


async def _pause(queue: str | None, kind: str | None, tenant: str | None, reason: str | None) -> None:
    async with open_session() as session:
        scope = await one_scope_of(session, queue, kind, tenant)
        with translated_failures():
            await pause(session.system_engine, scope, paused_by=operator(), reason=reason)
            waiting = await count_waiting(session.system_engine, scope)
    err.print(f"{printable(named(scope))} is paused: {waiting} jobs wait", markup=False)


async def _resume(queue: str | None, kind: str | None, tenant: str | None) -> None:
    async with open_session() as session:
        scope = await one_scope_of(session, queue, kind, tenant, may_be_unknown=True)
        with translated_failures():
            was_paused = await resume(session.system_engine, scope)
    told = printable(named(scope))
    if not was_paused:
        raise typer.BadParameter(f"There is no pause of {told}: `rustok queue list` shows what is paused.")
    err.print(f"{told} goes on", markup=False)


async def _purge(queue: str | None, kind: str | None, tenant: str | None, *, yes: bool) -> None:
    async with open_session() as session:
        scope = await one_scope_of(session, queue, kind, tenant, may_be_unknown=True)
        with translated_failures():
            if not yes:
                waiting = await count_waiting(session.system_engine, scope)
                typer.confirm(f"Cancel {waiting} waiting jobs of {printable(named(scope))}?", abort=True, err=True)
            count = await purge_waiting(session.system_engine, scope)
    err.print(f"{count} jobs are cancelled")
