"""Erases a tenant at the command line: asks for its name, shows how far it is, and tells what is left of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rustok.cli.output import err
from rustok.cli.session import open_session
from rustok.db.failures import translated_failures
from rustok.modules.tenants import Erasure, find_tenant, list_erasures
from rustok.modules.tenants.erasure import ErasedTenant
from rustok.runtime import SystemClock

COLUMNS = ("id", "requested_by", "begun_at", "ended_at", "rows")


async def erase_tenant(reference: str, confirmed: str | None) -> ErasedTenant:
    """Erase a tenant whose slug is *confirmed*, and return the record of it."""
    async with open_session() as session:
        with translated_failures():
            tenant = await find_tenant(session.system_engine, reference)
        if confirmed != tenant.slug:
            raise typer.BadParameter(f"All that {tenant.slug} has is deleted for good: say --yes-erase {tenant.slug}.")
        with _progress() as told:
            erasure = Erasure(session.system_engine, SystemClock(), told)
            await erasure.erase(tenant.id, (await session.operator(tenant.id)).principal.actor)
        return next(each for each in await list_erasures(session.system_engine) if each.id == tenant.id)


async def erasures() -> list[ErasedTenant]:
    async with open_session() as session:
        return await list_erasures(session.system_engine)


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """Show what is told: the table, and how many rows are deleted by now."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:.0f} rows deleted, now {task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda step, deleted: bar.update(task, description=step, advance=deleted)
