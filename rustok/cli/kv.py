"""`rustok kv`: what scripts keep from one run to the next."""

import asyncio
from typing import Annotated, Any

import typer

from rustok.cli.output import print_rows, to_json, wrong_call
from rustok.cli.tenancy import ScriptArgument, TenantOption, Yes, confirm, open_tenant
from rustok.cli.tenant import Json
from rustok.kernel.errors import RustokError
from rustok.kernel.strict_json import parse

app = typer.Typer(no_args_is_help=True)

_COLUMNS = ("key", "value", "version", "expires_at", "updated_at")


@app.command()
def get(script: ScriptArgument, key: str, tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """Print the value under a key as JSON; with --json also its version and times."""
    asyncio.run(_get(script, key, tenant, as_json=as_json))


@app.command()
def put(
    script: ScriptArgument,
    key: str,
    value: Annotated[str, typer.Argument(metavar="JSON", help="The value; a text with its quotes.")],
    ttl_s: Annotated[int | None, typer.Option("--ttl-s", min=1, help="Seconds until it is gone.")] = None,
    if_version: Annotated[
        int | None, typer.Option("--if-version", min=0, help="Only if it has this version; 0: only if there is none.")
    ] = None,
    *,
    tenant: TenantOption = None,
    as_json: Json = False,
) -> None:
    """Write a value."""
    try:
        parsed = parse(value.encode())
    except RustokError as error:
        raise wrong_call(error) from error
    fields = {"key": key, "value": parsed, "ttl_s": ttl_s, "expected_version": if_version}
    asyncio.run(_put(script, fields, tenant, as_json=as_json))


@app.command("list")
def list_(script: ScriptArgument, tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """List what a script keeps, by key."""
    asyncio.run(_list(script, tenant, as_json=as_json))


@app.command("rm")
def remove(
    script: ScriptArgument, key: str, tenant: TenantOption = None, *, yes: Yes = False, as_json: Json = False
) -> None:
    """Delete the value under a key."""
    asyncio.run(_remove(script, key, tenant, yes=yes, as_json=as_json))


async def _get(reference: str, key: str, tenant: str | None, *, as_json: bool) -> None:
    async with open_tenant(tenant) as at:
        script = await at.script(reference)
        value = await at.query("alloy.kv.get", script_id=script.id, key=key)
    if as_json:
        print_rows([value.model_dump(mode="json")], (), as_json=True)
    else:
        typer.echo(to_json(value.value))


async def _put(reference: str, fields: dict[str, Any], tenant: str | None, *, as_json: bool) -> None:
    async with open_tenant(tenant) as at:
        script = await at.script(reference)
        value = await at.run("alloy.kv.set", script_id=script.id, **fields)
    _print([value], as_json=as_json)


async def _list(reference: str, tenant: str | None, *, as_json: bool) -> None:
    async with open_tenant(tenant) as at:
        script = await at.script(reference)
        found = await at.all("alloy.kv.list", script_id=script.id)
    _print(found, as_json=as_json)


async def _remove(reference: str, key: str, tenant: str | None, *, yes: bool, as_json: bool) -> None:
    async with open_tenant(tenant) as at:
        script = await at.script(reference)
        value = await at.query("alloy.kv.get", script_id=script.id, key=key)
        confirm(f"Delete {key} of {script.name}, which is {to_json(value.value)}?", yes=yes)
        deleted = await at.run("alloy.kv.delete", script_id=script.id, key=key)
    print_rows([deleted.model_dump()], ("key",), as_json=as_json)


def _print(values: list[Any], *, as_json: bool) -> None:
    rows = [value.model_dump(mode="json") for value in values]
    if not as_json:
        rows = [{**row, "value": to_json(row["value"])} for row in rows]
    print_rows(rows, _COLUMNS, as_json=as_json)
