"""`rustok queue limits`: how many jobs run at a time, how many begin in a while, and whose share is larger."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from rustok.cli.job_options import Kind, QueueName, Tenant, named, one_scope_of, operator
from rustok.cli.output import err, print_rows, printable
from rustok.cli.session import open_session
from rustok.cli.tenant import Json
from rustok.db.failures import translated_failures
from rustok.jobs.limits import Limit, Rate, clear_limit, list_limits, set_limit
from rustok.kernel.quota import Quota, read_quota

app = typer.Typer(no_args_is_help=True)
_COLUMNS = ("queue", "kind", "tenant_id", "max_running", "rate", "burst", "weight", "room", "running", "waiting")
_MOST = 1_000_000


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """List what is limited, with how many more may begin now, how many run, and how many wait."""
    asyncio.run(_list(as_json=as_json))


@app.command("set")
def set_(
    queue: QueueName = None,
    kind: Kind = None,
    tenant: Tenant = None,
    *,
    running: Annotated[int | None, typer.Option(min=1, max=_MOST, help="How many jobs run at a time.")] = None,
    rate: Annotated[str | None, typer.Option(metavar="N/s|N/min|N/h", help="How many begin, such as 600/min.")] = None,
    burst: Annotated[
        int | None,
        typer.Option(min=1, max=_MOST, help="How many begin at once after a quiet while; those of a second."),
    ] = None,
    weight: Annotated[
        float | None, typer.Option(min=0.01, max=100, help="The share of a tenant beside those of weight 1.")
    ] = None,
) -> None:
    """Limit the jobs of a queue, a kind or a tenant, or of what is all of these; what is not named stays as it is."""
    if (running, rate, weight) == (None, None, None):
        raise typer.BadParameter("Say what to set: --running, --rate or --weight.")
    if weight is not None and (tenant is None or (queue, kind) != (None, None)):
        raise typer.BadParameter("A --weight is that of a --tenant, over all queues and kinds.")
    if burst is not None and rate is None:
        raise typer.BadParameter("A --burst belongs to a --rate.")
    read = None if rate is None else _rate(rate, burst)
    asyncio.run(_set(queue, kind, tenant, running=running, rate=read, weight=weight))


@app.command("clear")
def clear_(queue: QueueName = None, kind: Kind = None, tenant: Tenant = None) -> None:
    """Lift the limits of exactly this queue, kind and tenant, a weight too."""
    asyncio.run(_clear(queue, kind, tenant))


def _rate(told: str, burst: int | None) -> Rate:
    try:
        starts, per_s = read_quota(told)
    except ValueError as error:
        raise typer.BadParameter(f"{told!r} {error}.") from None
    return Rate(starts, per_s, burst or -(-starts // per_s))


async def _list(*, as_json: bool) -> None:
    async with open_session() as session:
        with translated_failures():
            limits = await list_limits(session.system_engine)
    print_rows([_row(limit) for limit in limits], _COLUMNS, as_json=as_json)


def _row(limit: Limit) -> dict[str, object]:
    row = asdict(limit)
    row |= row.pop("scope") | {"rate": None, "burst": None}
    if limit.rate is not None:
        row |= {"rate": str(Quota(limit.rate.starts, limit.rate.per_s)), "burst": limit.rate.burst}
    return row


async def _set(
    queue: str | None,
    kind: str | None,
    tenant: str | None,
    *,
    running: int | None,
    rate: Rate | None,
    weight: float | None,
) -> None:
    async with open_session() as session:
        scope = await one_scope_of(session, queue, kind, tenant)
        with translated_failures():
            await set_limit(
                session.system_engine, scope, set_by=operator(), max_running=running, rate=rate, weight=weight
            )
    err.print(f"{printable(named(scope))} is limited", markup=False)


async def _clear(queue: str | None, kind: str | None, tenant: str | None) -> None:
    async with open_session() as session:
        scope = await one_scope_of(session, queue, kind, tenant, may_be_unknown=True)
        with translated_failures():
            was_limited = await clear_limit(session.system_engine, scope)
    if not was_limited:
        told = printable(named(scope))
        raise typer.BadParameter(f"There is no limit of {told}: `rustok queue limits list` shows what is limited.")
    err.print(f"{printable(named(scope))} is not limited any more", markup=False)
