"""The answers of an operation in OpenAPI: its result, and a problem for each code it may fail with."""

from collections.abc import Iterable
from http import HTTPStatus
from itertools import groupby
from typing import Any

from api.consistency import FRESHNESS, TOKEN
from api.entrances import Entrance
from api.errors import MEDIA_TYPE, problem_members, status_of, title_of
from api.operation_errors import ErrorClass, errors_of, errors_of_batches, errors_of_entrance
from rustok.kernel.module import Command, Module, Query
from rustok.kernel.registry import Registry

_TEXT = {"type": "string"}

HEADERS: dict[str, Any] = {
    "RequestId": {"description": "The request's id, as sent or made.", "schema": _TEXT},
    "ETag": {"description": 'The version, such as `"3"`.', "schema": _TEXT},
    "Link": {"description": "The pages around this one, `next` and `prev` (RFC 8288).", "schema": _TEXT},
    "Location": {"description": "Path of what was made.", "schema": _TEXT},
    "IdempotentReplayed": {
        "description": "`true` when this is the answer to an earlier request with the same Idempotency-Key.",
        "schema": {"const": "true"},
    },
    "Consistency": {"description": "A token of this write, for readers who want to see it.", "schema": _TEXT},
    "Freshness": {
        "description": "Whether the answer shows the writes whose tokens were sent: `fresh`, or `stale; lag=0.8`, "
        "where the oldest of them is so many seconds old.",
        "schema": _TEXT,
    },
    "PreferenceApplied": {"description": "What of Prefer was heeded.", "schema": _TEXT},
    "RateLimitPolicy": {
        "description": 'The quota of the tenant, at the process that answers: `"tenant";q=1000;w=1` are 1000 in 1 s.',
        "schema": _TEXT,
    },
    "RateLimit": {
        "description": 'How many of them are left, and in how many seconds there will be more: `"tenant";r=999;t=1`.',
        "schema": _TEXT,
    },
    "RetryAfter": {"description": "Seconds to wait before trying again.", "schema": {"type": "integer"}},
    "Deprecation": {"description": "Since when it is deprecated, such as `@1798761600` (RFC 9745).", "schema": _TEXT},
    "Sunset": {"description": "From when on it may be gone, as an HTTP date (RFC 8594).", "schema": _TEXT},
    "DeprecationLink": {"description": 'Where to read about it, `rel="deprecation"`.', "schema": _TEXT},
    "WwwAuthenticate": {"description": "`Bearer`.", "schema": _TEXT},
}
_NULLABLE_TEXT = {"type": ["string", "null"]}
PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457. Decide by `code`, which is stable; `detail` is for people.",
    "type": "object",
    "required": [
        "type",
        "title",
        "status",
        "detail",
        "code",
        "retryable",
        "request_id",
        "trace_id",
        "errors",
    ],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "code": _TEXT,
        "retryable": {"type": "boolean", "description": "The same request may succeed later, unchanged."},
        "request_id": _TEXT,
        "trace_id": _NULLABLE_TEXT,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON Pointer as a fragment: `#/price/amount`."},
                    "code": _TEXT,
                    "detail": _TEXT,
                },
            },
        },
    },
}
BATCH_RESULTS: dict[str, Any] = {
    "title": "BatchResults",
    "description": "A result an item, in their order: `body` is what its own route would answer, or `problem`.",
    "type": "object",
    "required": ["results"],
    "properties": {
        "results": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["status"],
                "properties": {
                    "status": {"type": "integer"},
                    "body": {"type": "object"},
                    "consistency": _NULLABLE_TEXT,
                    "replayed": {"type": "boolean"},
                    "problem": {"type": "object", "description": "As `Problem`, without the ids of the request."},
                },
            },
        }
    },
}
_UNAUTHENTICATED = 401
_COUNTED = {"RateLimit-Policy": "RateLimitPolicy", "RateLimit": "RateLimit"}
_PROBLEM_HEADERS = {
    _UNAUTHENTICATED: {"WWW-Authenticate": "WwwAuthenticate"},
    409: {"Retry-After": "RetryAfter"},
    429: {"Retry-After": "RetryAfter"},
    503: {"Retry-After": "RetryAfter"},
}


class Answers:
    """Makes the answers of operations, and collects the examples that they share."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._examples: dict[str, Any] = {}
        self._problems: dict[str, Any] = {}

    def components(self) -> dict[str, Any]:
        """Return what the answers made so far refer to."""
        return {
            "responses": dict(sorted(self._problems.items())),
            "examples": dict(sorted(self._examples.items())),
            "headers": HEADERS,
        }

    def responses(self, operation: Command | Query, result: dict[str, Any]) -> dict[str, Any]:
        """Return the answers of *operation* by status."""
        status = operation.status if isinstance(operation, Command) else 200
        responses: dict[str, Any] = {
            str(status): {
                "description": HTTPStatus(status).phrase,
                "headers": _headers({**_COUNTED, **_success_headers(operation)}),
                "content": {"application/json": {"schema": result}},
            }
        }
        if isinstance(operation, Query) and "version" in operation.result.model_fields:
            responses["304"] = {"description": "Not Modified", "headers": _headers({**_COUNTED, "ETag": "ETag"})}
        kinds = sorted(errors_of(self._registry, operation), key=status_of)
        for error_status, group in groupby(kinds, key=status_of):
            responses[str(error_status)] = self._problem(error_status, list(group))
        return responses

    def entrance(self, entrance: Entrance, result: dict[str, Any]) -> dict[str, Any]:
        """Return the answers of an entrance by status."""
        content = {"application/json": {"schema": result}}
        phrase = HTTPStatus(entrance.status).phrase
        responses: dict[str, Any] = {
            str(entrance.status): {"description": phrase, "headers": _headers({}), "content": content}
        }
        for error_status, group in groupby(sorted(errors_of_entrance(entrance), key=status_of), key=status_of):
            responses[str(error_status)] = self._problem(error_status, list(group))
        return responses

    def batch(self, module: Module, commands: Iterable[Command]) -> dict[str, Any]:
        """Return the answers of a batch of *module* by status; an atomic one is refused as its item would be."""
        results = {"schema": {"$ref": "#/components/schemas/BatchResults"}}
        headers = _headers({**_COUNTED, **_deprecation_headers(commands)})
        responses: dict[str, Any] = {
            "200": {"description": "OK", "headers": headers, "content": {"application/json": results}}
        }
        for error_status, group in groupby(sorted(errors_of_batches(module), key=status_of), key=status_of):
            responses[str(error_status)] = self._problem(error_status, list(group))
        return responses

    def _problem(self, status: int, kinds: list[ErrorClass]) -> dict[str, str]:
        name = ".".join([str(status), *sorted(kind.code for kind in kinds)])
        self._problems[name] = {
            "description": HTTPStatus(status).phrase,
            "headers": _headers(
                {**(_COUNTED if status != _UNAUTHENTICATED else {}), **_PROBLEM_HEADERS.get(status, {})}
            ),
            "content": {
                MEDIA_TYPE: {
                    "schema": {"$ref": "#/components/schemas/Problem"},
                    "examples": {kind.code: self._example(kind) for kind in kinds},
                }
            },
        }
        return {"$ref": f"#/components/responses/{name}"}

    def _example(self, kind: ErrorClass) -> dict[str, str]:
        name = f"{kind.code}.{status_of(kind)}"
        value = problem_members(kind, title_of(kind))
        self._examples[name] = {
            "value": {**value, "request_id": "019a7c00-0000-7000-8000-000000000000", "trace_id": None, "errors": []}
        }
        return {"$ref": f"#/components/examples/{name}"}


def _success_headers(operation: Command | Query) -> dict[str, str]:
    headers = {"ETag": "ETag"} if "version" in operation.result.model_fields else {}
    headers |= _deprecation_headers([operation])
    if isinstance(operation, Query):
        if "page" in operation.result.model_fields:
            headers["Link"] = "Link"
        if operation.reads is not None:
            headers |= {FRESHNESS: "Freshness", "Preference-Applied": "PreferenceApplied"}
    else:
        headers[TOKEN] = "Consistency"
        if operation.location is not None:
            headers["Location"] = "Location"
        if (operation.route or "").startswith("POST "):
            headers["Idempotent-Replayed"] = "IdempotentReplayed"
    return headers


def _deprecation_headers(operations: Iterable[Command | Query]) -> dict[str, str]:
    deprecations = [each.deprecation for each in operations if each.deprecation is not None]
    headers = {"Deprecation": "Deprecation", "Link": "DeprecationLink"} if deprecations else {}
    return headers | ({"Sunset": "Sunset"} if any(each.sunset for each in deprecations) else {})


def _headers(names: dict[str, str]) -> dict[str, Any]:
    return {
        name: {"$ref": f"#/components/headers/{component}"}
        for name, component in {"X-Request-Id": "RequestId", **names}.items()
    }
