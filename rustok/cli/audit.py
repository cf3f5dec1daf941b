"""`rustok audit`: read the audit log, keep anchors of it, and verify it."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import typer

from rustok.cli.output import print_rows, to_json
from rustok.cli.session import Session, open_session
from rustok.cli.tenancy import TenantOption, named_tenant, tenant_session
from rustok.cli.tenant import Json
from rustok.db.failures import translated_failures
from rustok.modules.access import NO_ROW, Head, head_of_audit, read_anchor, verify_audit
from rustok.modules.tenants import Tenant, find_tenant, list_tenants

app = typer.Typer(no_args_is_help=True)
OneOrAll = Annotated[str | None, typer.Option("--tenant", "-t", help="Slug or id of the tenant; all, if not given.")]
_COLUMNS = ("number", "occurred_at", "type", "actor", "aggregate_id", "payload")


@app.command("list")
def list_(
    tenant: TenantOption = None,
    event_type: Annotated[str, typer.Option("--type", help="An event type, or such as 'access.*'.")] = "*",
    actor: Annotated[str | None, typer.Option(help="Who has done it, such as operator:anna.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100, help="How many of the newest.")] = 50,
    *,
    as_json: Json = False,
) -> None:
    """List what was done about access, the newest first."""
    rows = asyncio.run(_list(tenant, {"type": event_type, "actor": actor, "limit": limit}))
    shown = rows if as_json else [{**row, "payload": to_json(row["payload"])} for row in rows]
    print_rows(shown, _COLUMNS, as_json=as_json)


@app.command()
def head(tenant: OneOrAll = None, *, as_json: Json = False) -> None:
    """Print the newest row of each chain as NUMBER:HASH, an anchor: keep it where whoever has the database is not."""
    print_rows(asyncio.run(_heads(tenant)), ("tenant", "anchor"), as_json=as_json)


@app.command()
def verify(
    tenant: OneOrAll = None,
    anchor: Annotated[
        str | None, typer.Option(metavar="NUMBER:HASH", help="What `head` has once printed for this tenant.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Follow each chain from its first row, and name the first that does not hold; exit code 1 if there is one.

    Without an anchor, rows cut off at the end and a chain that was computed anew are not seen.
    """
    if anchor is not None and tenant is None:
        raise typer.BadParameter("An anchor is of one tenant: name it with --tenant.")
    try:
        known = NO_ROW if anchor is None else read_anchor(anchor)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    verdicts = asyncio.run(_verify(tenant, known))
    print_rows(verdicts, ("tenant", "good_rows", "first_bad_row", "reason"), as_json=as_json)
    raise typer.Exit(1 if any(verdict["first_bad_row"] for verdict in verdicts) else 0)


async def _list(tenant: str | None, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    async with open_session() as session:
        at = await tenant_session(session, await named_tenant(session, tenant))
        page = await at.query("access.audit.list", **arguments)
    return [entry.model_dump(mode="json") for entry in page.data]


async def _heads(tenant: str | None) -> list[dict[str, Any]]:
    async with open_session() as session:
        tenants = await _tenants(session, tenant)
        heads = [await head_of_audit(session.system_engine, found.id) for found in tenants]
    return [
        {"tenant": found.slug, "anchor": None if head == NO_ROW else str(head)}
        for found, head in zip(tenants, heads, strict=True)
    ]


async def _verify(tenant: str | None, anchor: Head) -> list[dict[str, Any]]:
    async with open_session() as session:
        return [
            {"tenant": found.slug, **await _verdict(session, found.id, anchor)}
            for found in await _tenants(session, tenant)
        ]


async def _verdict(session: Session, tenant_id: UUID, anchor: Head) -> dict[str, Any]:
    verdict = await verify_audit(session.system_engine, tenant_id, anchor)
    number, reason = verdict.fault or (None, None)
    return {"good_rows": verdict.good, "first_bad_row": number, "reason": reason}


async def _tenants(session: Session, reference: str | None) -> list[Tenant]:
    """Return the tenant that is named, or all of them."""
    with translated_failures():
        if reference is not None:
            return [await find_tenant(session.system_engine, reference)]
        return await list_tenants(session.system_engine)
