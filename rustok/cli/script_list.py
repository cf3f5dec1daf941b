"""`rustok scripts list`: which scripts a tenant has."""

import asyncio
from typing import Annotated, Any

import typer

from rustok.cli.output import print_rows
from rustok.cli.tenancy import TenantOption, open_tenant
from rustok.cli.tenant import Json
from rustok.modules.alloy.schemas import Script

app = typer.Typer()

_COLUMNS = ("name", "status", "active_version", "latest_version", "canary", "starts_on", "failures", "id")


@app.command("list")
def list_(
    status: Annotated[str | None, typer.Option(help="draft, active, paused or disabled.")] = None,
    tenant: TenantOption = None,
    *,
    as_json: Json = False,
) -> None:
    """List scripts by name."""
    asyncio.run(_list(status, tenant, as_json=as_json))


async def _list(status: str | None, tenant: str | None, *, as_json: bool) -> None:
    async with open_tenant(tenant) as at:
        found: list[Script] = await at.all("alloy.scripts.list", status=status)
    print_rows([_row(script) for script in found], _COLUMNS, as_json=as_json)


def _row(script: Script) -> dict[str, Any]:
    canary = f"{script.canary_version} ({script.canary_percent} %)" if script.canary_version else None
    starts_on = ", ".join(_starts_on(trigger) for trigger in script.triggers)
    return {**script.model_dump(mode="json"), "canary": canary, "starts_on": starts_on}


def _starts_on(trigger: dict[str, Any]) -> str:
    return str(trigger.get("pattern") or trigger.get("expression") or trigger["kind"])
