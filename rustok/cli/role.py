"""`rustok role`: the roles of a tenant."""

import asyncio
from typing import Annotated, Any

import typer

from rustok.cli.output import print_rows
from rustok.cli.tenancy import TenantOption, TenantSession, Yes, acting_for, confirm
from rustok.cli.tenant import Json
from rustok.modules.access import BuiltInRole

app = typer.Typer(no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="Name of the role.")]
Parents = Annotated[list[str] | None, typer.Option("--parent", help="A role that it has all of; several times.")]
Grants = Annotated[
    list[str] | None, typer.Option("--grant", help="What it allows: `commerce.*`, `*.*.read`; several times.")
]
OwnGrants = Annotated[
    list[str] | None, typer.Option("--grant-own", help="What it allows for what one has made oneself; several times.")
]
Summary = Annotated[str | None, typer.Option(help="What it is for.")]
_COLUMNS = ("name", "version", "summary", "parents", "grants", "own_grants")
_ALL = (*_COLUMNS, "permissions", "own_permissions")


@app.command("list")
def list_(tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """List the roles that a tenant has, also those that are built in."""

    async def find() -> Any:
        async with acting_for(tenant) as acting:
            return await acting.query("access.roles.list")

    _print(asyncio.run(find()).data, _COLUMNS, as_json=as_json)


@app.command()
def show(name: Name, tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """Show a role, and all that it allows."""

    async def find() -> Any:
        async with acting_for(tenant) as acting:
            return await acting.query("access.roles.get", role=name)

    _print([asyncio.run(find())], _ALL, as_json=as_json)


@app.command()
def create(
    name: Name,
    tenant: TenantOption = None,
    *,
    parent: Parents = None,
    grant: Grants = None,
    grant_own: OwnGrants = None,
    summary: Summary = None,
    as_json: Json = False,
) -> None:
    """Create a role of the tenant's own."""
    _save("access.roles.create", name, tenant, (parent, grant, grant_own, summary), as_json=as_json)


@app.command()
def update(
    name: Name,
    tenant: TenantOption = None,
    *,
    parent: Parents = None,
    grant: Grants = None,
    grant_own: OwnGrants = None,
    summary: Summary = None,
    as_json: Json = False,
) -> None:
    """Change a role: what is given takes the place of what was."""
    _save("access.roles.update", name, tenant, (parent, grant, grant_own, summary), as_json=as_json)


@app.command()
def delete(name: Name, tenant: TenantOption = None, *, yes: Yes = False) -> None:
    """Delete a role that nobody has."""

    async def run() -> None:
        async with acting_for(tenant) as acting:
            seen = await _version(acting, name)
            confirm(f"Delete the role {name}?", yes=yes)
            await acting.run("access.roles.delete", seen=seen, role=name)

    asyncio.run(run())


def _save(
    command: str,
    name: str,
    tenant: str | None,
    given: tuple[list[str] | None, list[str] | None, list[str] | None, str | None],
    *,
    as_json: bool,
) -> None:
    named = zip(("parents", "grants", "own_grants", "summary"), given, strict=True)
    fields: dict[str, Any] = {field: value for field, value in named if value is not None}

    async def run() -> Any:
        async with acting_for(tenant) as acting:
            if command == "access.roles.create":
                return await acting.run(command, name=name, **fields)
            return await acting.run(command, seen=await _version(acting, name), role=name, **fields)

    _print([asyncio.run(run())], _ALL, as_json=as_json)


async def _version(acting: TenantSession, name: str) -> int:
    """Return the version of a role of the tenant's own. Raises BuiltInRole and RoleNotFound."""
    version: int | None = (await acting.query("access.roles.get", role=name)).version
    if version is None:
        raise BuiltInRole(name)
    return version


def _print(roles: list[Any], columns: tuple[str, ...], *, as_json: bool) -> None:
    print_rows([role.model_dump(mode="json") for role in roles], columns, as_json=as_json)
