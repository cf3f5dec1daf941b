"""The page that a problem's `type` leads to: every code with what it means."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.entrances import ENTRANCES
from api.errors import DOCS_PATH, status_of, title_of
from api.html import Html, answer, element, page, prose, row, table
from api.operation_errors import WITHOUT_ROUTE, ErrorClass, errors_of, errors_of_entrance
from rustok.kernel.module import Command, Query
from rustok.kernel.registry import Registry


def error_docs_route(registry: Registry) -> Route:
    """Return the route of the page."""

    async def show(_request: Request) -> Response:
        operations: list[Command | Query] = [*registry.commands.values(), *registry.queries.values()]
        of_entrances = (kind for entrance in ENTRANCES for kind in errors_of_entrance(entrance))
        kinds = {
            *WITHOUT_ROUTE,
            *of_entrances,
            *(kind for operation in operations for kind in errors_of(registry, operation)),
        }
        by_code = {kind.code: kind for kind in sorted(kinds, key=status_of)}
        rows = [_row(kind) for _, kind in sorted(by_code.items())]
        return answer(page("Error codes", table(("Code", "Status", "Retry", "Meaning"), rows)))

    return Route(DOCS_PATH, show)


def _row(kind: ErrorClass) -> Html:
    status = HTTPStatus(status_of(kind))
    retry = "later, unchanged" if kind.retryable else "no"
    return row(element("code", kind.code), f"{status} {status.phrase}", retry, prose(title_of(kind)), id=kind.code)
