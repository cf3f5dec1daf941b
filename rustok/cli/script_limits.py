"""`rustok scripts limits`: what the scripts of a tenant may use."""

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from rustok.cli.output import print_rows
from rustok.cli.tenancy import TenantOption, open_tenant
from rustok.cli.tenant import Json
from rustok.modules.alloy import ScriptLimits
from rustok.modules.alloy.limits import SetLimits

app = typer.Typer()

_DEFAULTS = ScriptLimits().model_dump()


@app.command()
def limits(
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Such as cpu_ms=800; null: no limit.")
    ] = None,
    tenant: TenantOption = None,
    *,
    as_json: Json = False,
) -> None:
    """Show each limit of a tenant's scripts beside the default; set some, as the operator."""
    changes = dict(_setting(text) for text in settings or ())
    asyncio.run(_limits(changes, tenant, as_json=as_json))


def _setting(text: str) -> tuple[str, int | None]:
    name, _, value = text.partition("=")
    if name not in SetLimits.model_fields:
        raise typer.BadParameter(f"There is no limit {name!r}: there are {', '.join(SetLimits.model_fields)}.")
    try:
        number: int | None = json.loads(value)
    except ValueError:
        raise typer.BadParameter(f"{text!r} does not read NAME=NUMBER.") from None
    return name, number


async def _limits(changes: dict[str, int | None], tenant: str | None, *, as_json: bool) -> None:
    async with open_tenant(tenant) as at:
        held = (await at.query("alloy.limits.get")).model_dump()
        if changes:
            own = {name: value for name, value in {**held, **changes}.items() if value != _DEFAULTS[name]}
            held = (await at.run("alloy.limits.set", **own)).model_dump()
    print_rows(_rows(held), ("limit", "default", "tenant"), as_json=as_json)


def _rows(held: dict[str, Any]) -> Sequence[dict[str, Any]]:
    return [{"limit": name, "default": value, "tenant": held[name]} for name, value in _DEFAULTS.items()]
