"""`rustok module`: which modules a tenant has."""

import asyncio
from typing import Annotated, Any

import typer

from rustok.cli.output import print_rows
from rustok.cli.session import open_session
from rustok.cli.tenancy import TenantOption, named_tenant, tenant_session
from rustok.cli.tenant import Json
from rustok.modules.tenants.schemas import TenantModules

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="MODULE")]
_COLUMNS = ("name", "kind", "is_enabled", "may_be_disabled", "depends_on", "summary")


@app.command("list")
def list_(tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """List the modules, and which of them are enabled."""
    _print(asyncio.run(_list(tenant)), as_json=as_json)


@app.command()
def enable(name: Name, tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """Let a module serve the tenant again: what has waited for it begins."""
    _print(asyncio.run(_switch(tenant, name, is_enabled=True)), as_json=as_json)


@app.command()
def disable(name: Name, tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """Let a module rest: it answers nobody, hears nothing and begins nothing. Its data stays."""
    _print(asyncio.run(_switch(tenant, name, is_enabled=False)), as_json=as_json)


async def _list(tenant: str | None) -> TenantModules:
    async with open_session() as session:
        at = await tenant_session(session, await named_tenant(session, tenant))
        found: TenantModules = await at.query("tenants.modules.list")
        return found


async def _switch(tenant: str | None, name: str, *, is_enabled: bool) -> TenantModules:
    async with open_session() as session:
        at = await tenant_session(session, await named_tenant(session, tenant))
        found: TenantModules = await at.run("tenants.modules.switch", module=name, is_enabled=is_enabled)
        return found


def _print(modules: TenantModules, *, as_json: bool) -> None:
    rows: list[dict[str, Any]] = [module.model_dump(mode="json") for module in modules.data]
    print_rows(
        rows if as_json else [{**row, "depends_on": ", ".join(row["depends_on"])} for row in rows],
        _COLUMNS,
        as_json=as_json,
    )
