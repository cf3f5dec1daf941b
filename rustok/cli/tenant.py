"""`rustok tenant`: create and list tenants."""

import asyncio
from typing import Annotated

import typer

from rustok.cli.output import print_rows
from rustok.cli.session import open_session
from rustok.db.failures import translated_failures
from rustok.dispatch import Call
from rustok.kernel.ids import uuid7
from rustok.modules.tenants import list_tenants

app = typer.Typer(no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_COLUMNS = ("slug", "id", "name", "default_locale", "default_currency", "is_active")


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
