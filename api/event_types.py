"""`/api/v1/events/types`: which events there are, in which versions, and the JSON Schema of each.

Like the OpenAPI document it asks for no credential: it is the same for everybody, and tells nothing of a tenant.
"""

import inspect
from functools import cache
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.faults import EventTypeNotFound
from api.routes import PREFIX
from rustok.kernel.cloud_event import cloud_event_type
from rustok.kernel.event import Event, schema_name, schema_uri
from rustok.kernel.registry import Registry

PATH = f"{PREFIX}/events/types"
SCHEMA_PATH = f"{PATH}/{{schema}}/schema"


def event_types_routes(registry: Registry) -> list[Route]:
    """Return the routes of the catalogue and of its schemas, which are made when they are first asked for."""

    @cache
    def catalogue() -> bytes:
        return orjson.dumps({"data": event_types(registry)})

    @cache
    def schemas() -> dict[str, bytes]:
        return {name: orjson.dumps(schema) for name, schema in registry.event_schemas().items()}

    async def list_types(_request: Request) -> Response:
        return Response(catalogue(), media_type="application/json")

    async def get_schema(request: Request) -> Response:
        schema = schemas().get(request.path_params["schema"])
        if schema is None:
            raise EventTypeNotFound(f"There is no such event in this version: {PATH} lists them.")
        return Response(schema, media_type="application/schema+json")

    return [Route(PATH, list_types), Route(SCHEMA_PATH, get_schema)]


def event_types(registry: Registry) -> list[dict[str, Any]]:
    """Return every type in each of its versions, by name.

    `cloudevents_type` and `dataschema` are the `type` and the `dataschema` of such events, `schema` is a path. Events
    are shown in the newest version, whichever they were written in.
    """
    return [_described(registry, event) for _, event in sorted(registry.events.items(), key=lambda item: item[0])]


def _described(registry: Registry, event: type[Event]) -> dict[str, Any]:
    name = schema_name(event.type, event.version)
    return {
        "type": event.type,
        "version": event.version,
        "is_newest": registry.newest(event.type) is event,
        "cloudevents_type": cloud_event_type(name),
        "aggregate": event.aggregate,
        "summary": inspect.getdoc(event),
        "example": event.example,
        "dataschema": schema_uri(name),
        "schema": SCHEMA_PATH.format(schema=name),
    }
