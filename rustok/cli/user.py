"""`rustok user`: the people of a tenant."""

import asyncio
import sys
from typing import Annotated, Any

import typer

from rustok.cli.output import err, print_rows
from rustok.cli.tenancy import TenantOption, TenantSession, Yes, acting_for, confirm
from rustok.cli.tenant import Json
from rustok.modules.access import PrincipalNotFound

app = typer.Typer(no_args_is_help=True)
Who = Annotated[str, typer.Argument(metavar="USER", help="Address or id of the user.")]
Roles = Annotated[list[str] | None, typer.Option("--role", help="A role of the user; several times.")]
_COLUMNS = ("id", "email", "name", "roles", "is_active", "has_password", "created_at", "version")


@app.command("list")
def list_(tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """List the users of a tenant, newest first."""

    async def find() -> list[Any]:
        async with acting_for(tenant) as acting:
            return await acting.all("access.users.list")

    _print(asyncio.run(find()), as_json=as_json)


@app.command()
def show(user: Who, tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """Show a user."""

    async def find() -> Any:
        async with acting_for(tenant) as acting:
            return await _find(acting, user)

    _print([asyncio.run(find())], as_json=as_json)


@app.command()
def create(
    email: Annotated[str, typer.Argument(help="Address by which the user signs in.")],
    name: Annotated[str, typer.Option(help="What the user is called.")],
    tenant: TenantOption = None,
    role: Roles = None,
    *,
    as_json: Json = False,
) -> None:
    """Create a user."""

    async def run() -> Any:
        async with acting_for(tenant) as acting:
            return await acting.run("access.users.create", email=email, name=name, roles=role or [])

    _print([asyncio.run(run())], as_json=as_json)


@app.command()
def roles(
    user: Who,
    tenant: TenantOption = None,
    role: Roles = None,
    *,
    none: Annotated[bool, typer.Option("--none", help="Take all of them away.")] = False,
    as_json: Json = False,
) -> None:
    """Give a user the roles that are named, and no others."""
    if bool(role) == none:
        raise typer.BadParameter(
            "Say which roles: --role, once or more, or else --none. `rustok user show` shows them."
        )
    _change(tenant, user, "access.users.set_roles", {"roles": role or []}, as_json=as_json)


@app.command()
def password(user: Who, tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """Set the password of a user, from standard input or a prompt; every session is closed."""
    if sys.stdin.isatty():
        given = typer.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        given = sys.stdin.readline().rstrip("\n")
    _change(tenant, user, "access.users.set_password", {"password": given}, as_json=as_json)


@app.command("sign-out")
def sign_out(user: Who, tenant: TenantOption = None) -> None:
    """Close every session of a user, from the next request on."""

    async def run() -> Any:
        async with acting_for(tenant) as acting:
            found = await _find(acting, user)
            return await acting.run("access.users.sign_out", user_id=found.id)

    err.print(f"{asyncio.run(run()).closed} sessions closed")


@app.command()
def disable(user: Who, tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """Keep a user out, from the next request on, with sessions and keys."""
    _change(tenant, user, "access.users.update", {"is_active": False}, as_json=as_json)


@app.command()
def enable(user: Who, tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """Let a user in again."""
    _change(tenant, user, "access.users.update", {"is_active": True}, as_json=as_json)


@app.command()
def delete(user: Who, tenant: TenantOption = None, *, yes: Yes = False) -> None:
    """Delete a user, with sessions and keys, for good."""

    async def run() -> None:
        async with acting_for(tenant) as acting:
            found = await _find(acting, user)
            confirm(f"Delete the user {found.email}?", yes=yes)
            await acting.run("access.users.delete", seen=found.version, user_id=found.id)

    asyncio.run(run())


def _change(tenant: str | None, user: str, command: str, fields: dict[str, Any], *, as_json: bool) -> None:
    async def run() -> Any:
        async with acting_for(tenant) as acting:
            found = await _find(acting, user)
            return await acting.run(command, seen=found.version, user_id=found.id, **fields)

    _print([asyncio.run(run())], as_json=as_json)


async def _find(acting: TenantSession, user: str) -> Any:
    """Return the user with this address or id. Raises PrincipalNotFound."""
    if "@" not in user:
        return await acting.query("access.users.get", user_id=user)
    found = (await acting.query("access.users.list", email=user)).data
    if not found:
        raise PrincipalNotFound(f"There is no user {user!r}: `rustok user list` shows those there are.")
    return found[0]


def _print(users: list[Any], *, as_json: bool) -> None:
    print_rows([user.model_dump(mode="json") for user in users], _COLUMNS, as_json=as_json)
