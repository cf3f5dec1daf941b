"""`rustok apikey`: create, list, rotate and revoke API keys."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from rustok.cli.output import err, print_rows
from rustok.cli.session import Session
from rustok.cli.tenancy import TenantOption, acting_for, tenant_session
from rustok.cli.tenant import Json

app = typer.Typer(no_args_is_help=True)
_COLUMNS = ("key_id", "name", "principal_id", "scopes", "expires_at", "revoked_at", "successor", "created_at")
_SECONDS_AN_HOUR = 3600
_MOST_DAYS = 365 * 100


@app.command()
def create(
    tenant: TenantOption = None,
    *,
    role: Annotated[
        str | None, typer.Option(help="Make a service principal for the key, and give it this role.")
    ] = None,
    principal: Annotated[str | None, typer.Option(help="Id of the user or service principal whose key it is.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="What the key may do at most: `commerce.products.*`; several times.")
    ] = None,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "key",
    expires_in_days: Annotated[int | None, typer.Option(min=1, max=_MOST_DAYS)] = None,
    as_json: Json = False,
) -> None:
    """Create a key and print its token, this once."""
    expires_at = datetime.now(UTC) + timedelta(days=expires_in_days) if expires_in_days else None
    fields: dict[str, Any] = {
        "name": name,
        "role": role,
        "principal_id": principal,
        "scopes": scope,
        "expires_at": expires_at.isoformat() if expires_at else None,
    }
    _print_token(asyncio.run(_run(tenant, "access.api_keys.create", fields)), as_json=as_json)


@app.command("list")
def list_(
    tenant: TenantOption = None,
    principal: Annotated[str | None, typer.Option(help="Id of the user or service principal whose they are.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """List a tenant's keys, newest first, also the revoked ones; never their secrets."""
    keys = asyncio.run(_list(tenant, principal))
    print_rows([key.model_dump(mode="json") for key in keys], _COLUMNS, as_json=as_json)


@app.command()
def rotate(
    key_id: str,
    tenant: TenantOption = None,
    overlap_h: Annotated[
        float, typer.Option(min=0, max=720, help="Hours for which the old key works on beside the new one.")
    ] = 24,
    *,
    as_json: Json = False,
) -> None:
    """Create the successor of a key and print its token, this once."""
    fields = {"key_id": key_id, "overlap_s": round(overlap_h * _SECONDS_AN_HOUR)}
    _print_token(asyncio.run(_run(tenant, "access.api_keys.rotate", fields)), as_json=as_json)


@app.command()
def revoke(key_id: str, tenant: TenantOption = None, *, as_json: Json = False) -> None:
    """Revoke a key, for good: the next request with it is refused."""
    key = asyncio.run(_revoke(tenant, key_id))
    print_rows([key.model_dump(mode="json")], _COLUMNS, as_json=as_json)


async def create_key(session: Session, tenant: str, role: str, name: str, expires_at: datetime | None = None) -> str:
    """Create a key of a service principal that has *role*, and return its token."""
    acting = await tenant_session(session, await session.tenant_id(tenant))
    fields: dict[str, Any] = {
        "name": name,
        "role": role,
        "environment": session.settings.environment,
        "expires_at": expires_at.isoformat() if expires_at else None,
    }
    return str((await acting.run("access.api_keys.create", **fields)).token)


async def _run(tenant: str | None, command: str, fields: dict[str, Any]) -> Any:
    async with acting_for(tenant) as acting:
        return await acting.run(command, environment=acting.session.settings.environment, **fields)


async def _list(tenant: str | None, principal: str | None) -> list[Any]:
    async with acting_for(tenant) as acting:
        return await acting.all("access.api_keys.list", principal_id=principal)


async def _revoke(tenant: str | None, key_id: str) -> Any:
    async with acting_for(tenant) as acting:
        return await acting.run("access.api_keys.revoke", key_id=key_id)


def _print_token(created: Any, *, as_json: bool) -> None:
    if as_json:
        print_rows([{"token": created.token, "key_id": created.key_id}], ("token", "key_id"), as_json=True)
        return
    err.print("This token is shown once; keep it safe:")
    typer.echo(created.token)
