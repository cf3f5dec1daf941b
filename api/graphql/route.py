"""`POST /api/graphql`: the commands and queries of the modules, for front ends (GraphQL over HTTP)."""

from typing import Any

import orjson
from graphql import ExecutionResult, GraphQLSchema, execute
from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.admission import Admission
from api.body import BodyLimits, read_fields
from api.caller import Caller, Callers
from api.consistency import TOKEN, ReadYourWrites
from api.deprecation import announce
from api.errors import status_of
from api.faults import InvalidHeader
from api.graphql.documents import Asked, Documents
from api.graphql.errors import DocumentRefused, told
from api.graphql.plain import PlainExecutor
from api.graphql.schema import build_schema
from api.graphql.session import Session
from api.record import record_of
from rustok.bootstrap import Platform
from rustok.dispatch import validate
from rustok.kernel.module import Command, Input, Query

PATH = "/api/graphql"
_JSON = "application/json"
_GRAPHQL_JSON = "application/graphql-response+json"
_MOST_ERRORS = 10
_BAD_REQUEST = status_of(DocumentRefused)


class Parameters(Input):
    """What GraphQL over HTTP has in a body; `extensions` are somebody else's."""

    query: str
    variables: dict[str, JsonValue] | None = None
    operationName: str | None = None  # noqa: N815 - as the specification has it
    extensions: dict[str, JsonValue] | None = None


def graphql_route(
    platform: Platform,
    callers: Callers,
    admission: Admission,
    read_your_writes: ReadYourWrites,
    limits: BodyLimits,
    *,
    allows_introspection: bool,
) -> Route:
    """Return the route. Raises Misconfigured as `build_schema` does."""
    schema = build_schema(platform.registry)
    documents = Documents(schema, allows_introspection=allows_introspection)

    async def endpoint(request: Request) -> Response:
        async with callers.identified_anybody(request) as caller:
            _refuse_key(request)
            parameters = validate(Parameters, await read_fields(request, limits, optional=False))
            variables = parameters.variables or {}
            try:
                asked = await documents.read(parameters.query, parameters.operationName, variables)
            except DocumentRefused as refusal:
                return _refused(request, refusal)
            announce(request, asked.operations)
            _admit(admission, caller, asked)
            headers = await read_your_writes.look(request, caller.tenant_id, _tables(asked))
            session = Session(caller, platform.dispatcher)
            result = await _execute(schema, asked, variables, parameters.operationName, session)
            session.raise_refusal()
            if session.tokens:
                headers[TOKEN] = ", ".join(session.tokens)
            return _answer(request, result, headers)

    return Route(PATH, endpoint, methods=["POST"])


def _refuse_key(request: Request) -> None:
    if "idempotency-key" in request.headers:
        raise InvalidHeader(
            "A document may have several mutations: give each the argument idempotencyKey, not a header."
        )


def _admit(admission: Admission, caller: Caller, asked: Asked) -> None:
    """Take what is asked for from the tenant's quota, and its writes from what is admitted, all of them or none."""
    caller.owe(asked.width - 1)
    counted = [each for each in asked.operations if isinstance(each, Command) and not each.is_critical]
    if counted:
        admission.admit(counted[0], caller.tenant_id, asked.width)


def _tables(asked: Asked) -> set[str]:
    return {each.reads for each in asked.operations if isinstance(each, Query) and each.reads is not None}


async def _execute(
    schema: GraphQLSchema, asked: Asked, variables: dict[str, Any], name: str | None, session: Session
) -> ExecutionResult:
    result = execute(
        schema,
        asked.document,
        context_value=session,
        variable_values=variables,
        operation_name=name,
        max_coercion_errors=_MOST_ERRORS,
        executor_class=PlainExecutor,
        hide_suggestions=True,
    )
    return result if isinstance(result, ExecutionResult) else await result


def _answer(request: Request, result: ExecutionResult, headers: dict[str, str]) -> Response:
    """Return what came of an operation; without data, nothing of it was run."""
    record = record_of(request.scope)
    body: dict[str, Any] = {"data": result.data} if result.data is not None else {}
    if result.errors:
        body["errors"] = told(result.errors, record)
    return _json(request, body, 200 if "data" in body else _BAD_REQUEST, headers)


def _refused(request: Request, refusal: DocumentRefused) -> Response:
    record = record_of(request.scope)
    body = {"errors": told(refusal.found, record, type(refusal))}
    return _json(request, body, _BAD_REQUEST, {})


def _json(request: Request, body: dict[str, Any], status: int, headers: dict[str, str]) -> Response:
    accepted = ",".join(request.headers.getlist("accept"))
    media_type = _GRAPHQL_JSON if _GRAPHQL_JSON in accepted else _JSON
    return Response(orjson.dumps(body), status, headers, media_type)
