"""One endpoint for every command and one for every query, made from what the modules declare."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from api.admission import Admission
from api.body import BodyLimits, read_fields
from api.caller import Callers
from api.consistency import TOKEN, ReadYourWrites
from api.deprecation import announce
from api.faults import ProjectionLagging
from api.headers import entity_tag, expected_version, idempotency_key, is_unchanged, page_links
from api.parameters import list_fields, read_parameters
from rustok.bootstrap import Platform
from rustok.db.idempotency import IdempotencyKey
from rustok.dispatch import Call, admit_query
from rustok.kernel.context import Context
from rustok.kernel.errors import InvalidInput, Violation
from rustok.kernel.module import Command, PageLinks, Query, Result
from rustok.kernel.registry import Registry, placeholders

PREFIX = "/api/v1"
ACCEPTED = 202

Endpoint = Callable[[Request], Awaitable[Response]]


def api_routes(
    platform: Platform,
    callers: Callers,
    admission: Admission,
    read_your_writes: ReadYourWrites,
    limits: BodyLimits,
) -> list[Route]:
    """Return a route for each path; it answers the methods of all operations with that path.

    Those without a placeholder come first: what they say might stand for the placeholder of another.
    """
    methods: dict[str, dict[str, Endpoint]] = defaultdict(dict)
    for command in platform.registry.commands.values():
        if command.route is not None:
            method, path = method_and_path(platform.registry, command)
            methods[path][method] = _command_endpoint(platform, callers, command, admission, limits)
    for query in platform.registry.queries.values():
        method, path = method_and_path(platform.registry, query)
        methods[path][method] = _query_endpoint(platform, callers, query, read_your_writes)
    paths = sorted(methods, key=lambda path: "{" in path)
    return [_OnlyPath(path, _by_method(methods[path]), methods=list(methods[path])) for path in paths]


def method_and_path(registry: Registry, operation: Command | Query) -> tuple[str, str]:
    """Return the method of an operation and its path under the prefix of this API."""
    method, _, path = (operation.route or "").partition(" ")
    return method, f"{PREFIX}/{registry.module_of(operation.name).routes_path}{path}"


class _OnlyPath(Route):
    """A path that answers every method, if only by 405: what it says is no placeholder's value in another path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, matched = super().matches(scope)
        return (Match.NONE if match is Match.NONE else Match.FULL), matched


def _by_method(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await endpoints["GET" if request.method == "HEAD" else request.method](request)

    return endpoint


def _command_endpoint(
    platform: Platform, callers: Callers, command: Command, admission: Admission, limits: BodyLimits
) -> Endpoint:
    in_path = placeholders(command.route or "")
    has_body = not command.input.model_fields.keys() <= set(in_path)
    method, path = method_and_path(platform.registry, command)
    location = _location(platform.registry, command)
    module = platform.registry.needed_module(command)

    async def endpoint(request: Request) -> Response:
        announce(request, [command])
        async with callers.identified(request, module) as caller:
            admission.admit(command, caller.tenant_id)
            key = idempotency_key(request)
            seen = expected_version(request)
            fields = await read_fields(request, limits, optional=not has_body)
            _refuse_path_fields(fields, in_path)
            fields |= request.path_params
            call = Call(command, fields, seen)

            scope = scoped(key, caller.actor, f"{method} {path}", fields, [command])
            outcome = await caller.run(lambda context: platform.dispatcher.run(call, context, scope))
            headers = {**_entity_headers(outcome.result), **location(outcome.result)}
            if outcome.token is not None:
                headers[TOKEN] = outcome.token
            if outcome.replayed:
                headers["Idempotent-Replayed"] = "true"
            return Response(outcome.body, command.status, headers, "application/json")

    return endpoint


def _query_endpoint(platform: Platform, callers: Callers, query: Query, read_your_writes: ReadYourWrites) -> Endpoint:
    in_path = placeholders(query.route)
    parameters = query.input.model_fields.keys() - set(in_path)
    lists = list_fields(query.input)
    tables = [query.reads] if query.reads else []
    module = platform.registry.needed_module(query)

    async def endpoint(request: Request) -> Response:
        announce(request, [query])
        async with callers.identified(request, module, query.permission) as caller:
            arguments = read_parameters(request.scope["query_string"], parameters, lists) | request.path_params
            freshness: dict[str, str] | None = None
            lagging: ProjectionLagging | None = None

            async def work(context: Context) -> Result:
                nonlocal freshness, lagging
                data = admit_query(query, arguments, context)
                if lagging is not None:  # nobody waits twice
                    raise lagging
                if freshness is None:
                    try:
                        freshness = await read_your_writes.look(request, context.tenant_id, tables)
                    except ProjectionLagging as error:
                        lagging = error
                        raise
                return await platform.dispatcher.query(query, data, context)

            result = await caller.run(work)
            headers = {**_entity_headers(result), **(freshness or {})}
            if isinstance(page := getattr(result, "page", None), PageLinks):
                headers |= page_links(request, page)
            if "ETag" in headers and is_unchanged(request, headers["ETag"]):
                return Response(status_code=304, headers=headers)
            return Response(result.model_dump_json().encode(), 200, headers, "application/json")

    return endpoint


def _refuse_path_fields(fields: Mapping[str, Any], in_path: tuple[str, ...]) -> None:
    """Refuse a body that repeats what the path says: one of the two would have to be ignored."""
    faults = [
        Violation(f"/{name}", "extra_forbidden", "is part of the path, not of the body")
        for name in in_path
        if name in fields
    ]
    if faults:
        raise InvalidInput("The input does not fit.", faults)


def scoped(
    key: str | None, actor: str, route: str, fields: Mapping[str, Any], commands: Iterable[Command]
) -> IdempotencyKey | None:
    """Return the client's key for this actor and route. Path fields count as part of the request:
    the same key for another product is another request, not a repeated one.
    """
    if key is None:
        return None
    request = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    is_secret = any(command.is_secret for command in commands)
    return IdempotencyKey(key, scope=f"{actor} {route}", request=request, is_secret=is_secret)


def _entity_headers(result: Result) -> dict[str, str]:
    version = getattr(result, "version", None)
    return {} if version is None else {"ETag": entity_tag(version)}


def _location(registry: Registry, command: Command) -> Callable[[Result], dict[str, str]]:
    if command.status == ACCEPTED:
        return lambda result: {"Location": f"{PREFIX}/operations/{vars(result)['operation_id']}"}
    if command.location is None:
        return lambda _result: {}
    template = f"{PREFIX}/{registry.module_of(command.name).routes_path}{command.location}"
    return lambda result: {"Location": template.format_map(vars(result))}
