"""A text at any place where an operation takes one, sent in a request that is good otherwise."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import httpx2

from rustok.kernel.registry import placeholders
from tests.integration.api.possessions import Operation, Owner, Possessions, request_of
from tests.integration.api.text_fields import Place, TextFields

UNIQUE = ("title", "name", "slug", "handle")
"""Fields of which a tenant has each value once."""


async def send_text(
    owner: Owner, operation: Operation, about: Possessions, put: tuple[str, Place, str], number: int
) -> httpx2.Response:
    """Send *operation* with a text at a place, and with other names than before where names are unique."""
    where, place, text = put
    if where == "path":
        about = replace(about, names={**about.names, str(place[0]): quote(text, safe="") or "%20"})
    request = request_of(operation, about)
    if request["json"] is not None:
        request["json"] = renamed(request["json"], number)
    if where != "path":
        request[where] = TextFields.of(operation.input).put(request[where] or {}, place, text)
    return await owner.api.client.request(**request | {"headers": request["headers"] | owner.headers})


def places(operation: Operation) -> Iterator[tuple[str, Place]]:
    """Yield each place of a text in the path, the query and the body of *operation*."""
    in_path = placeholders(operation.path)
    yield from (("path", (name,)) for name in in_path)
    for place in TextFields.of(operation.input).places():
        if place[0] not in in_path:
            yield "params" if operation.method == "GET" else "json", place


def renamed(value: Any, number: int) -> Any:
    """Return *value* with *number* in each text that must be the only one of its kind."""
    if isinstance(value, list):
        return [renamed(each, number) for each in value]
    if not isinstance(value, dict):
        return value
    texts = {name: f"{text}-{number}" for name, text in value.items() if name in UNIQUE and isinstance(text, str)}
    return {name: renamed(below, number) for name, below in value.items()} | texts
