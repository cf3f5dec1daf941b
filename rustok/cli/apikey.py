"""`rustok apikey`: create, list and revoke API keys."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from rustok.cli.output import err, print_rows
from rustok.cli.session import Session, open_session
from rustok.cli.tenant import Json
from rustok.dispatch import Call
from rustok.modules.access import list_api_keys

app = typer.Typer(no_args_is_help=True)
Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Slug or id of the tenant.")]
_COLUMNS = ("key_id", "name", "role", "expires_at", "revoked_at", "created_at")


@app.command()
def create(
    tenant: Tenant,
    role: Annotated[str, typer.Option(help="owner, admin, manager, editor or customer.")],
    name: Annotated[str, typer.Option(help="What the key is for.")] = "key",
    expires_in_days: Annotated[int | None, typer.Option(min=1)] = None,
    *,
    as_json: Json = False,
) -> None:
    """Create a key and print its token, this once."""
    asyncio.run(_create(tenant, role, name, expires_in_days, as_json=as_json))


@app.command("list")
def list_(tenant: Tenant, *, as_json: Json = False) -> None:
    """List a tenant's keys, also the revoked ones; never their secrets."""
    asyncio.run(_list(tenant, as_json=as_json))


@app.command()
def revoke(key_id: str, tenant: Tenant, *, as_json: Json = False) -> None:
    """Revoke a key, for good: the next request with it is refused."""
    asyncio.run(_revoke(key_id, tenant, as_json=as_json))


async def create_key(session: Session, tenant: str, role: str, name: str, expires_at: datetime | None = None) -> str:
    """Create a key and return its token."""
    fields = {
        "name": name,
        "role": role,
        "environment": session.settings.environment,
        "expires_at": expires_at.isoformat() if expires_at else None,
    }
    call = Call(session.platform.registry.commands["access.api_keys.create"], fields)
    context = await session.operator(await session.tenant_id(tenant))
    result = (await session.platform.dispatcher.run(call, context)).result
    return str(result.model_dump()["token"])


async def _create(tenant: str, role: str, name: str, expires_in_days: int | None, *, as_json: bool) -> None:
    expires_at = datetime.now(UTC) + timedelta(days=expires_in_days) if expires_in_days else None
    async with open_session() as session:
        token = await create_key(session, tenant, role, name, expires_at)
    if as_json:
        print_rows([{"token": token}], ("token",), as_json=True)
        return
    err.print("This token is shown once; keep it safe:")
    typer.echo(token)


async def _list(tenant: str, *, as_json: bool) -> None:
    async with open_session() as session:
        context = await session.operator(await session.tenant_id(tenant))
        async with session.platform.units.begin(context, read_only=True) as uow:
            keys = await list_api_keys(uow)
    print_rows([key.model_dump(mode="json") for key in keys], _COLUMNS, as_json=as_json)


async def _revoke(key_id: str, tenant: str, *, as_json: bool) -> None:
    async with open_session() as session:
        call = Call(session.platform.registry.commands["access.api_keys.revoke"], {"key_id": key_id})
        context = await session.operator(await session.tenant_id(tenant))
        key = (await session.platform.dispatcher.run(call, context)).result
    print_rows([key.model_dump(mode="json")], _COLUMNS, as_json=as_json)
