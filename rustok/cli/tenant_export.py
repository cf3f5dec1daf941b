"""Exports a tenant at the command line, into a file that is whole or not there."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import typer

from rustok.cli.output import err
from rustok.cli.session import open_session
from rustok.modules.tenants.export import TenantExport

COLUMNS = ("table", "rows", "sha256")


async def export_tenant(reference: str, target: Path) -> list[Mapping[str, Any]]:
    """Write an export to *target* and return what is in it, table by table."""
    async with open_session() as session:
        tenant_id = await session.tenant_id(reference)
        with _whole(target) as file, err.status("") as status:
            export = TenantExport(session.system_engine, lambda table, rows: status.update(f"{table}: {rows} rows"))
            manifest = await export.write(tenant_id, file)
    return [{"table": name, **table} for name, table in manifest["tables"].items()]


@contextmanager
def _whole(target: Path) -> Iterator[IO[bytes]]:
    """Open a file for its owner alone, which becomes *target* when all is written."""
    if target.exists():
        raise typer.BadParameter(f"{target} exists: name another file.")
    part = target.with_name(f"{target.name}.part")
    try:
        file = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except OSError as error:
        raise typer.BadParameter(f"{part} cannot be made: {error.strerror}.") from error
    try:
        with file:
            yield file
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
