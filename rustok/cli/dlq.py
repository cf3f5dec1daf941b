"""`rustok dlq`: the dead letters, which are aggregates that a consumer has parked."""

import asyncio
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer

from rustok.cli.output import err, print_rows
from rustok.cli.session import Session, open_session
from rustok.cli.tenant import Json
from rustok.db.failures import translated_failures
from rustok.events import dead_letters

app = typer.Typer(no_args_is_help=True)
Consumer = Annotated[str | None, typer.Option(help="Only of this consumer.")]
Tenant = Annotated[str | None, typer.Option("--tenant", "-t", help="Only of this tenant.")]
_COLUMNS = ("consumer", "tenant_id", "aggregate_type", "aggregate_id", "state", "attempts", "waiting_events", "error")


@app.command("list")
def list_(
    consumer: Consumer = None,
    tenant: Tenant = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    *,
    as_json: Json = False,
) -> None:
    """List what is parked, oldest first; `retrying` will be tried again, `dead` waits for a redrive."""
    asyncio.run(_list(consumer, tenant, limit, as_json=as_json))


@app.command()
def redrive(
    consumer: Consumer = None,
    tenant: Tenant = None,
    aggregate: Annotated[UUID | None, typer.Option(help="Only this aggregate.")] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Try what is parked again, each aggregate with all its waiting events, in their order."""
    asyncio.run(_redrive(consumer, tenant, aggregate, yes=yes))


async def _list(consumer: str | None, tenant: str | None, limit: int, *, as_json: bool) -> None:
    async with open_session() as session:
        with translated_failures():
            letters = await dead_letters.list_dead_letters(
                session.system_engine, consumer=consumer, tenant_id=await _tenant_id(session, tenant), limit=limit
            )
    print_rows([asdict(letter) for letter in letters], _COLUMNS, as_json=as_json)


async def _redrive(consumer: str | None, tenant: str | None, aggregate: UUID | None, *, yes: bool) -> None:
    async with open_session() as session:
        chosen: dead_letters.Chosen = {
            "consumer": consumer,
            "tenant_id": await _tenant_id(session, tenant),
            "aggregate_id": aggregate,
        }
        with translated_failures():
            if not yes:
                count = await dead_letters.count_dead_letters(session.system_engine, **chosen)
                typer.confirm(f"Try {count} parked aggregates again?", abort=True, err=True)
            count = await dead_letters.redrive(session.system_engine, **chosen)
    err.print(f"{count} parked aggregates are due now")


async def _tenant_id(session: Session, reference: str | None) -> UUID | None:
    return None if reference is None else await session.tenant_id(reference)
