"""`rustok import`: data from files, through the write path, resumable."""

import asyncio
import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from uuid import UUID

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from rustok.cli.debian import Converter
from rustok.cli.output import err, print_rows, printable
from rustok.cli.session import Session, open_session
from rustok.cli.tenant import Json
from rustok.dispatch import Call, validate
from rustok.kernel.errors import Conflict, InvalidInput, RustokError
from rustok.kernel.strict_json import parse_object
from rustok.modules.commerce import CreateProduct, ImportOutOfStep, ImportProducts, ImportProgress

app = typer.Typer(no_args_is_help=True)

_BATCH_LINES = 200
_LINE_LIMIT_BYTES = 1_048_576


class Shape(StrEnum):
    PRODUCT = "product"
    """Each line is the body of `POST /api/v1/commerce/products`."""
    DEBIAN = "debian"
    """Each line is a record of a Debian package index, as in the demo's sample."""


class _Line(NamedTuple):
    number: int
    product: CreateProduct | None


@app.callback()
def imports() -> None:
    """Import data through the write path."""


@app.command()
def products(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON Lines, plain or .gz.")],
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="Slug or id of the tenant.")],
    shape: Annotated[Shape, typer.Option(help="What a line is.")] = Shape.PRODUCT,
    *,
    as_json: Json = False,
) -> None:
    """Import products, one a line.

    A bad line is reported with its number and skipped. An interrupted import goes on where it stopped when
    it is started again: how far it has come is kept with the products, under shape and hash of the file.
    """
    progress = asyncio.run(import_file(file, tenant, shape))
    print_rows([progress.model_dump()], ("imported", "rejected", "next_line"), as_json=as_json)


async def import_file(file: Path, tenant: str, shape: Shape) -> ImportProgress:
    """Import *file* and return how far that came: to its end, unless a server failed."""
    async with open_session() as session:
        tenant_id = await session.tenant_id(tenant)
        with file.open("rb") as raw, _progress_bar() as bar:  # nothing else runs in this process
            task = bar.add_task(file.name, total=os.fstat(raw.fileno()).st_size, imported=0)
            importer = _Importer(session, tenant_id, f"{shape} {hashlib.file_digest(raw, 'sha256').hexdigest()}")
            await importer.begin()
            raw.seek(0)
            for batch in _batches(_lines(raw, shape, importer.next_line)):
                await importer.advance(batch)
                bar.update(task, completed=raw.tell(), imported=importer.progress.imported)
            bar.update(task, completed=raw.tell())
        return importer.progress


class _Importer:
    def __init__(self, session: Session, tenant_id: UUID, source: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._source = source
        self.progress = ImportProgress(source=source, next_line=1, imported=0, rejected=0)

    @property
    def next_line(self) -> int:
        return self.progress.next_line

    async def begin(self) -> None:
        await self._run("commerce.imports.begin", {"source": self._source})
        if self.next_line > 1:
            err.print(f"going on at line {self.next_line}")

    async def advance(self, batch: list[_Line]) -> None:
        """Import a batch in one transaction; when the stored data refuses it, line by line."""
        try:
            await self._advance(batch)
        except ImportOutOfStep:
            raise
        except (Conflict, InvalidInput) as error:
            if len(batch) == 1:
                _report(batch[0].number, error)
                await self._advance([_Line(batch[0].number, None)])
                return
            for line in batch:
                await self.advance([line])

    async def _advance(self, batch: list[_Line]) -> None:
        products = [line.product for line in batch if line.product is not None]
        lines = ImportProducts(
            source=self._source,
            first_line=self.next_line,
            last_line=batch[-1].number,
            products=products,
            rejected=len(batch) - len(products),
        )
        await self._run("commerce.imports.advance", lines)

    async def _run(self, command: str, data: Any) -> None:
        call = Call(self._session.platform.registry.commands[command], data)
        context = await self._session.operator(self._tenant_id)  # anew: an import may take hours
        outcome = await self._session.platform.dispatcher.run(call, context)
        self.progress = ImportProgress.model_validate(outcome.result.model_dump())


def _lines(raw: io.BufferedReader, shape: Shape, first_line: int) -> Iterator[_Line]:
    """Yield the lines from *first_line* on. Those before are read too: what they hold takes handles."""
    convert = Converter() if shape is Shape.DEBIAN else None
    for number, text in enumerate(_texts(raw), 1):
        try:
            value = _parse(text)
            if convert is not None:
                value = convert(value)
            if number >= first_line:
                yield _Line(number, validate(CreateProduct, value))
        except RustokError as error:
            if number >= first_line:
                _report(number, error)
                yield _Line(number, None)


def _texts(raw: io.BufferedReader) -> Iterator[bytes]:
    """Yield the file's lines; of one that is too long only the beginning, which is then refused.

    Raises:
        InvalidInput: the file is compressed and damaged; the lines before the damage have been yielded.
    """
    content = gzip.GzipFile(fileobj=raw) if raw.peek(2).startswith(b"\x1f\x8b") else raw
    try:
        while text := content.readline(_LINE_LIMIT_BYTES + 1):
            rest = text
            while len(rest) > _LINE_LIMIT_BYTES and not rest.endswith(b"\n"):
                rest = content.readline(_LINE_LIMIT_BYTES + 1)
            yield text
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InvalidInput(f"The compressed file is damaged ({error}): what came before is imported.") from error


def _parse(text: bytes) -> dict[str, Any]:
    if len(text) > _LINE_LIMIT_BYTES:
        raise InvalidInput(f"The line is longer than {_LINE_LIMIT_BYTES} bytes.")
    return parse_object(text)


def _batches(lines: Iterator[_Line]) -> Iterator[list[_Line]]:
    batch: list[_Line] = []
    try:
        for line in lines:
            batch.append(line)
            if len(batch) == _BATCH_LINES:
                yield batch
                batch = []
    except InvalidInput:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _report(number: int, error: RustokError) -> None:
    violations = getattr(error, "violations", ())
    details = "; ".join(f"{v.pointer or '(line)'}: {v.detail}" for v in violations) or str(error)
    err.print(f"line {number} skipped: {escape(printable(details))} [dim]({error.code})[/]", highlight=False)


def _progress_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[imported]} products"),
        TimeElapsedColumn(),
        console=err,
        transient=not os.environ.get("CI"),
    )
