"""OpenAPI 3.1, generated from what the modules declare."""

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.batches import MOST_ITEMS, Batch, batch_commands, batch_path
from api.consistency import LONGEST_WAIT_S, MOST_TOKENS, TOKEN
from api.entrances import ENTRANCES, Entrance
from api.openapi_answers import BATCH_RESULTS, PROBLEM, Answers
from api.openapi_schemas import Schemas
from api.routes import method_and_path
from rustok.kernel.module import Command, Module, Query
from rustok.kernel.registry import Registry, placeholders
from rustok.modules.access import is_for_visitors

PATH = "/api/openapi.json"

_PARAMETERS: dict[str, dict[str, Any]] = {
    "Tenant": {
        "name": "X-Tenant",
        "description": "Slug or id. With a credential, that names the tenant, and another one here is refused.",
        "schema": {"type": "string"},
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "description": "A retry with the same key and body gets the first answer again, for 24 hours.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    },
    "IfMatch": {
        "name": "If-Match",
        "description": "The ETag that the caller has seen; another version is not changed.",
        "schema": {"type": "string", "pattern": '^"[1-9][0-9]{0,17}"$'},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "description": "The ETag that the caller has; without a change the answer is 304.",
        "schema": {"type": "string"},
    },
    "IfAbsent": {
        "name": "If-None-Match",
        "description": "Write only where there is nothing yet; not together with If-Match.",
        "schema": {"type": "string", "const": "*"},
    },
    "Consistency": {
        "name": TOKEN,
        "description": f"Tokens of writes that the answer should show: {MOST_TOKENS} at most, commas between them.",
        "schema": {"type": "string"},
    },
    "Prefer": {
        "name": "Prefer",
        "description": (
            f"`wait=N`: wait N seconds, {LONGEST_WAIT_S} at most, for the writes that the tokens name. "
            "`handling=strict`: answer 503 rather than without them."
        ),
        "schema": {"type": "string"},
    },
}


def openapi_route(registry: Registry) -> Route:
    """Return the route of the document, which is made when it is first asked for."""
    made: list[bytes] = []

    async def endpoint(_request: Request) -> Response:
        if not made:
            made.append(orjson.dumps(build_document(registry)))
        return Response(made[0], media_type="application/json")

    return Route(PATH, endpoint)


def build_document(registry: Registry) -> dict[str, Any]:
    """Return the document; the same registry gives the same document."""
    commands = [command for command in registry.commands.values() if command.route is not None]
    every: list[Command | Query] = [*commands, *registry.queries.values()]
    operations = sorted(every, key=lambda operation: operation.name)
    has_access = any(module.name == "access" for module in registry.modules)
    entrances = ENTRANCES if has_access else ()
    schemas, answers = Schemas([*operations, *entrances]), Answers(registry)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        method, path = method_and_path(registry, operation)
        described = _operation(registry, operation, schemas, answers)
        paths.setdefault(path, {})[method.lower()] = described
    for entrance in entrances:
        paths[entrance.path] = {"post": _entrance(entrance, schemas, answers)}
    for module in registry.modules:
        if commands_of := batch_commands(registry, module):
            paths[batch_path(module)] = {"post": _batch(module, commands_of, answers)}
    used = {registry.module_of(operation.name).name for operation in operations}
    return {
        "openapi": "3.1.0",
        "info": {"title": "RusToK", "version": "1"},
        "tags": [{"name": m.name, "description": m.summary} for m in registry.modules if m.name in used],
        "security": [{"apiKey": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
            "parameters": {name: {"in": "header", **parameter} for name, parameter in _PARAMETERS.items()},
            **answers.components(),
            "schemas": {**schemas.components(), "Problem": PROBLEM, "BatchResults": BATCH_RESULTS},
        },
    }


def _operation(registry: Registry, operation: Command | Query, schemas: Schemas, answers: Answers) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [registry.module_of(operation.name).name],
        "x-permission": operation.permission,
        "parameters": [*_input_parameters(operation, schemas), *_header_parameters(operation)],
    }
    if operation.deprecation is not None:
        described |= {"deprecated": True, "description": str(operation.deprecation)}
    if isinstance(operation, Command):
        body = schemas.body(operation.input, without=placeholders(operation.route or ""))
        if body is not None:
            described["requestBody"] = _body(operation, body)
    if is_for_visitors(operation.permission):
        described["security"] = [{"apiKey": []}, {}]
    described["responses"] = answers.responses(operation, schemas.result(operation.result))
    return described


def _entrance(entrance: Entrance, schemas: Schemas, answers: Answers) -> dict[str, Any]:
    """Return an operation that asks for no credential."""
    body = {"schema": schemas.body(entrance.input, without=()), "example": dict(entrance.input.example)}
    return {
        "operationId": entrance.name,
        "summary": entrance.summary,
        "tags": ["access"],
        "security": [{}],
        "parameters": [_parameter("Tenant")] if entrance.names_tenant else [],
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": answers.entrance(entrance, schemas.result(entrance.result)),
    }


def _batch(module: Module, commands: Mapping[str, Command], answers: Answers) -> dict[str, Any]:
    """Return the operation that does many commands of *module*; what one takes is told by its own operation."""
    schema = Batch.model_json_schema(ref_template="#/components/schemas/{model}")
    item = schema.pop("$defs")["Item"]
    item["properties"]["command"]["enum"] = list(commands)
    item["properties"]["input"]["additionalProperties"] = {}  # pydantic's reference would be to what is not there
    schema["properties"]["items"]["items"] = item
    first = next(iter(commands.values()))
    example = {"mode": "independent", "items": [{"command": first.name, "input": dict(first.input.example)}]}
    return {
        "operationId": f"{module.name}.batch",
        "summary": f"Do up to {MOST_ITEMS} commands of {module.name}",
        "description": "Permissions, inputs and errors of the items are those of their commands' own operations.",
        "tags": [module.name],
        "parameters": [_parameter("Tenant"), _parameter("IdempotencyKey")],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}},
        "responses": answers.batch(module, commands.values()),
    }


def _input_parameters(operation: Command | Query, schemas: Schemas) -> list[dict[str, Any]]:
    in_path = placeholders(operation.route or "")
    parameters = schemas.parameters(operation.input, in_path, "path")
    if isinstance(operation, Query):
        others = [name for name in operation.input.model_fields if name not in in_path]
        parameters += schemas.parameters(operation.input, others, "query")
    return parameters


def _header_parameters(operation: Command | Query) -> list[dict[str, Any]]:
    if isinstance(operation, Query):
        names = ["Tenant", *(["IfNoneMatch"] if _has_version(operation) else [])]
        return [_parameter(name) for name in [*names, *(["Consistency", "Prefer"] if operation.reads else [])]]
    # A reference cannot add `required`, so the header is spelled out where it is.
    if_match = (
        {"in": "header", **_PARAMETERS["IfMatch"], "required": True}
        if operation.checks_version
        else _parameter("IfMatch")
    )
    headers = [_parameter("Tenant"), if_match]
    if _may_make(operation):
        headers.append(_parameter("IfAbsent"))
    if (operation.route or "").startswith("POST "):
        headers.append(_parameter("IdempotencyKey"))
    return headers


def _may_make(command: Command) -> bool:
    """Tell whether *command* makes what its path names, or one more of what its path is a list of."""
    route = command.route or ""
    if route.startswith("PUT "):
        return route.endswith("}") and not command.checks_version
    return command.location is not None and not placeholders(route)


def _body(command: Command, schema: dict[str, Any]) -> dict[str, Any]:
    media_types = ["application/json"]
    if (command.route or "").startswith("PATCH "):
        media_types.append("application/merge-patch+json")
    in_path = placeholders(command.route or "")
    example = {name: value for name, value in command.input.example.items() if name not in in_path}
    return {
        "required": True,
        "content": {media_type: {"schema": schema, "example": example} for media_type in media_types},
    }


def _parameter(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/parameters/{name}"}


def _has_version(operation: Query) -> bool:
    return "version" in operation.result.model_fields
