"""The page that a problem's `type` leads to: every code with what it means."""

from collections.abc import Iterable
from html import escape
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from api.errors import DOCS_PATH, status_of, title_of
from api.operation_errors import WITHOUT_ROUTE, ErrorClass, errors_of
from rustok.kernel.module import Command, Query
from rustok.kernel.registry import Registry


def error_docs_route(registry: Registry) -> Route:
    """Return the route of the page."""

    async def page(_request: Request) -> Response:
        operations: list[Command | Query] = [*registry.commands.values(), *registry.queries.values()]
        kinds = {*WITHOUT_ROUTE, *(kind for operation in operations for kind in errors_of(registry, operation))}
        return HTMLResponse(_page({kind.code: kind for kind in sorted(kinds, key=status_of)}.values()))

    return Route(DOCS_PATH, page)


def _page(kinds: Iterable[ErrorClass]) -> str:
    rows = "\n".join(_row(kind) for kind in sorted(kinds, key=lambda kind: kind.code))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Error codes</title>'
        "<h1>Error codes</h1><table><tr><th>Code<th>Status<th>Retry<th>Meaning</tr>\n"
        f"{rows}\n</table></html>\n"
    )


def _row(kind: ErrorClass) -> str:
    status = HTTPStatus(status_of(kind))
    retry = "later, unchanged" if kind.retryable else "no"
    cells = (f"<code>{kind.code}</code>", f"{status} {status.phrase}", retry, escape(title_of(kind)))
    return f'<tr id="{kind.code}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
