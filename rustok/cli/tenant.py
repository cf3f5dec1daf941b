"""`rustok tenant`: create, list and show tenants, switch them off and on, say where they are and what they may send."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from rustok.cli.output import print_rows
from rustok.cli.session import Session, open_session
from rustok.cli.tenant_erasure import COLUMNS as COLUMNS_OF_ERASURES
from rustok.cli.tenant_erasure import erase_tenant, erasures
from rustok.cli.tenant_export import COLUMNS as COLUMNS_OF_EXPORTS
from rustok.cli.tenant_export import export_tenant
from rustok.db.failures import translated_failures
from rustok.dispatch import Call
from rustok.kernel.errors import InvalidInput
from rustok.kernel.ids import uuid7
from rustok.modules.tenants import Tenant, find_tenant, list_tenants

app = typer.Typer(no_args_is_help=True)
domain = typer.Typer(no_args_is_help=True)
storefront = typer.Typer(no_args_is_help=True)
app.add_typer(domain, name="domain", help="Give a tenant domains, and take them")
app.add_typer(storefront, name="storefront", help="Let visitors read what a tenant has published")
TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="Slug or id of the tenant.")]
DomainArgument = Annotated[str, typer.Argument(metavar="DOMAIN", help="Such as shop.example.com; in any script.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_COLUMNS = (
    "slug",
    "id",
    "name",
    "default_locale",
    "default_currency",
    "is_active",
    "has_storefront",
    "domains",
    "request_quota",
    "is_being_erased",
)
_DEFAULT = "default"


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
def show(tenant: TenantArgument, *, as_json: Json = False) -> None:
    """Show a tenant."""
    asyncio.run(_show(tenant, as_json=as_json))


@app.command()
def disable(tenant: TenantArgument, *, as_json: Json = False) -> None:
    """Switch a tenant off: requests are answered 403 from the next one on, its jobs and schedules wait.

    Nothing is deleted, and what it has written is delivered and indexed.
    """
    asyncio.run(_run("tenants.tenants.disable", tenant, as_json=as_json))


@app.command()
def enable(tenant: TenantArgument, *, as_json: Json = False) -> None:
    """Switch a tenant on again: what has waited goes on."""
    asyncio.run(_run("tenants.tenants.enable", tenant, as_json=as_json))


@app.command()
def quota(
    tenant: TenantArgument,
    requests: Annotated[
        str | None, typer.Option(metavar="N/s|N/min|N/h|default", help="How many; `default`: what all may send.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Show, or set, how many requests a tenant may send to each API process."""
    asyncio.run(_quota(tenant, requests, as_json=as_json))


@app.command()
def export(
    tenant: TenantArgument,
    to: Annotated[Path, typer.Option(metavar="FILE", dir_okay=False, help="A ZIP file that is not there yet.")],
    *,
    as_json: Json = False,
) -> None:
    """Write what a tenant has, as of one moment, as JSON Lines a table, with a manifest; without secrets."""
    print_rows(asyncio.run(export_tenant(tenant, to)), COLUMNS_OF_EXPORTS, as_json=as_json)


@app.command()
def erase(
    tenant: TenantArgument,
    slug: Annotated[str | None, typer.Option("--yes-erase", metavar="SLUG", help="The slug, as confirmation.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Delete all that a tenant has, for good, and the tenant itself. It has to be switched off.

    Interrupted, it goes on when it is called again; the tenant cannot be switched on any more.
    """
    erased = asyncio.run(erase_tenant(tenant, slug))
    print_rows([erased.model_dump(mode="json")], COLUMNS_OF_ERASURES, as_json=as_json)


@app.command("erasures")
def list_erasures(*, as_json: Json = False) -> None:
    """List the tenants that were erased, and those that are being erased, with how many rows."""
    rows = [erased.model_dump(mode="json") for erased in asyncio.run(erasures())]
    print_rows(rows, COLUMNS_OF_ERASURES, as_json=as_json)


@domain.command("add")
def add_domain(tenant: TenantArgument, name: DomainArgument, *, as_json: Json = False) -> None:
    """Give a tenant a domain: requests to it are about this tenant, within a minute. Its DNS is yours to set."""
    asyncio.run(_add_domain(tenant, name, as_json=as_json))


@domain.command("remove")
def remove_domain(tenant: TenantArgument, name: DomainArgument, *, as_json: Json = False) -> None:
    """Take a domain from a tenant, from the next request on."""
    asyncio.run(_run("tenants.domains.remove", tenant, as_json=as_json, domain=name))


@domain.command("list")
def list_domains(tenant: TenantArgument, *, as_json: Json = False) -> None:
    """List the domains of a tenant."""
    asyncio.run(_list_domains(tenant, as_json=as_json))


@storefront.command("open")
def open_storefront(tenant: TenantArgument, *, as_json: Json = False) -> None:
    """Let anybody search and read what the tenant has published, without a credential, within a minute."""
    asyncio.run(_run("tenants.storefronts.open", tenant, as_json=as_json))


@storefront.command("close")
def close_storefront(tenant: TenantArgument, *, as_json: Json = False) -> None:
    """Let nobody read it without a credential, from the next request on."""
    asyncio.run(_run("tenants.storefronts.close", tenant, as_json=as_json))


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


async def _show(reference: str, *, as_json: bool) -> None:
    print_rows([(await _found(reference)).model_dump(mode="json")], _COLUMNS, as_json=as_json)


async def _list_domains(reference: str, *, as_json: bool) -> None:
    rows = [{"domain": name} for name in (await _found(reference)).domains]
    print_rows(rows, ("domain",), as_json=as_json)


async def _quota(reference: str, requests: str | None, *, as_json: bool) -> None:
    async with open_session() as session:
        tenant_id = await session.tenant_id(reference)
        if requests is not None:
            fields = {"request_quota": None if requests == _DEFAULT else requests}
            call = Call(session.platform.registry.commands["tenants.quotas.set"], fields)
            await session.platform.dispatcher.run(call, await session.operator(tenant_id))
        with translated_failures():
            found = await find_tenant(session.system_engine, reference)
        row = {"slug": found.slug, "default": session.settings.request_quota, "tenant": found.request_quota}
    print_rows([row], ("slug", "default", "tenant"), as_json=as_json)


async def _found(reference: str) -> Tenant:
    async with open_session() as session:
        with translated_failures():
            return await find_tenant(session.system_engine, reference)


async def _add_domain(reference: str, name: str, *, as_json: bool) -> None:
    async with open_session() as session:
        base = session.settings.tenant_base_domain
        if base is not None and name.lower().endswith(f".{base}"):
            raise InvalidInput(f"Below {base}, RUSTOK_TENANT_BASE_DOMAIN, tenants have their slugs' hosts only.")
        await _run_in(session, "tenants.domains.add", reference, as_json=as_json, domain=name)


async def _run(command: str, reference: str, *, as_json: bool, **fields: str) -> None:
    async with open_session() as session:
        await _run_in(session, command, reference, as_json=as_json, **fields)


async def _run_in(session: Session, command: str, reference: str, *, as_json: bool, **fields: str) -> None:
    """Run a command of the platform about one tenant, and print what it has become."""
    call = Call(session.platform.registry.commands[command], fields)
    outcome = await session.platform.dispatcher.run(call, await session.operator(await session.tenant_id(reference)))
    print_rows([outcome.result.model_dump(mode="json")], _COLUMNS, as_json=as_json)
