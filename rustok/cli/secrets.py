"""`rustok secrets`: what hooks use and nobody is shown."""

import asyncio
import sys
from collections.abc import Sequence

import typer

from rustok.cli.output import print_rows
from rustok.cli.tenancy import TenantOption, Yes, confirm, open_tenant
from rustok.cli.tenant import Json

app = typer.Typer(no_args_is_help=True)

_COLUMNS = ("name", "version", "updated_at")


@app.command("set")
def set_(name: str, tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """Set a secret, which is read from standard input, or asked for; it is never shown again."""
    asyncio.run(_set(name, _read(name), tenant, as_json=as_json))


@app.command("list")
def list_(tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """List the names of secrets."""
    asyncio.run(_list(tenant, as_json=as_json))


@app.command("rm")
def remove(name: str, tenant: TenantOption = None, *, yes: Yes = False, as_json: Json = False) -> None:
    """Delete a secret for good; scripts that name it fail from then on."""
    asyncio.run(_remove(name, tenant, yes=yes, as_json=as_json))


def _read(name: str) -> str:
    """Return what is typed twice, unseen, or standard input without its last line end."""
    if sys.stdin.isatty():
        typed: str = typer.prompt(name, hide_input=True, confirmation_prompt=True, err=True)
        return typed
    return sys.stdin.read().removesuffix("\n")


async def _set(name: str, value: str, tenant: str | None, *, as_json: bool) -> None:
    async with open_tenant(tenant) as at:
        secret = await at.run("alloy.secrets.set", name=name, value=value)
    print_rows([secret.model_dump(mode="json")], _COLUMNS, as_json=as_json)


async def _list(tenant: str | None, *, as_json: bool) -> None:
    async with open_tenant(tenant) as at:
        found = await at.all("alloy.secrets.list")
    print_rows([secret.model_dump(mode="json") for secret in found], _COLUMNS, as_json=as_json)


async def _remove(name: str, tenant: str | None, *, yes: bool, as_json: bool) -> None:
    async with open_tenant(tenant) as at:
        users = [script.name for script in await at.all("alloy.scripts.list") if name in script.secrets]
        confirm(f"Delete the secret {name}, which {_names(users)}?", yes=yes)
        deleted = await at.run("alloy.secrets.delete", name=name)
    print_rows([deleted.model_dump()], ("name",), as_json=as_json)


def _names(users: Sequence[str]) -> str:
    if not users:
        return "no script names"
    return f"{', '.join(users)} {'name' if users[1:] else 'names'}"
