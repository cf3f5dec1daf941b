"""`rustok tenant`: create and list tenants, and say how many requests they may send."""

import asyncio
from typing import Annotated

import typer

from rustok.cli.output import print_rows
from rustok.cli.session import open_session
from rustok.db.failures import translated_failures
from rustok.dispatch import Call
from rustok.kernel.ids import uuid7
from rustok.modules.tenants import find_tenant, list_tenants

app = typer.Typer(no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_DEFAULT = "default"
_COLUMNS = ("slug", "id", "name", "default_locale", "default_currency", "is_active", "request_quota")


@app.command()
def create(
    slug: str,
    name: Annotated[str | None, typer.Option(help="What people call it; the slug, if not given.")] = None,
    locale: str = "en",
    currency: str = "EUR",
    *,
    as_json: Json = False,
) -> None:
    """Create a tenant."""
    fields = {"slug": slug, "name": name or slug, "default_locale": locale, "default_currency": currency}
    asyncio.run(_create(fields, as_json=as_json))


@app.command("list")
def list_(*, as_json: Json = False) -> None:
    """List the tenants, by slug."""
    asyncio.run(_list(as_json=as_json))


@app.command()
def quota(
    tenant: Annotated[str, typer.Argument(help="Slug or id.")],
    requests: Annotated[
        str | None, typer.Option(metavar="N/s|N/min|N/h|default", help="How many; `default`: what all may send.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Show, or set, how many requests a tenant may send to each API process."""
    asyncio.run(_quota(tenant, requests, as_json=as_json))


async def _create(fields: dict[str, str], *, as_json: bool) -> None:
    async with open_session() as session:
        call = Call(session.platform.registry.commands["tenants.tenants.create"], fields)
        outcome = await session.platform.dispatcher.run(call, await session.operator(uuid7()))
    print_rows([outcome.result.model_dump(mode="json")], _COLUMNS, as_json=as_json)


async def _list(*, as_json: bool) -> None:
    async with open_session() as session:
        with translated_failures():
            tenants = await list_tenants(session.system_engine)
    print_rows([tenant.model_dump(mode="json") for tenant in tenants], _COLUMNS, as_json=as_json)


async def _quota(tenant: str, requests: str | None, *, as_json: bool) -> None:
    async with open_session() as session:
        with translated_failures():
            found = await find_tenant(session.system_engine, tenant)
        if requests is not None:
            fields = {"request_quota": None if requests == _DEFAULT else requests}
            call = Call(session.platform.registry.commands["tenants.quotas.set"], fields)
            await session.platform.dispatcher.run(call, await session.operator(found.id))
            found = await find_tenant(session.system_engine, tenant)
        row = {"slug": found.slug, "default": session.settings.request_quota, "tenant": found.request_quota}
    print_rows([row], ("slug", "default", "tenant"), as_json=as_json)
