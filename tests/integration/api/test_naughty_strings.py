"""The Big List of Naughty Strings, at every place where an operation takes a text."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import count
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from rustok.catalog import MODULES
from rustok.kernel.registry import placeholders
from rustok.testing import DatabaseServer, PlatformUnderTest
from tests.corpora.read import naughty_strings
from tests.integration.api.possessions import OPERATIONS, Operation, Owner, Possessions, request_of
from tests.integration.api.support import ApiUnderTest
from tests.integration.api.text_fields import Place, TextFields

STRINGS = naughty_strings()
EFFORTS = (
    pytest.param(80, id="some"),
    pytest.param(6, marks=[pytest.mark.deep, pytest.mark.timeout(900)], id="many"),
)
"""Of how many strings one is tried at a place, which is another one at the next."""
QUOTAS = {"scripts": 10_000, "versions_a_script": 10_000, "values_a_script": 100_000}
UNIQUE = ("title", "name", "slug", "handle")
"""Fields of which a tenant has each value once."""


@pytest.fixture(scope="module")
async def owner(database_server: DatabaseServer) -> AsyncIterator[Owner]:
    async with (
        database_server.throw_away() as database,
        PlatformUnderTest.open(MODULES, database) as rustok,
        ApiUnderTest.open(rustok) as api,
    ):
        owner = await Owner.create(api)
        await owner.run("alloy.limits.set", **QUOTAS)
        yield owner


@pytest.mark.parametrize("stride", EFFORTS)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_a_text_is_kept_as_it_is_or_refused(owner: Owner, operation: Operation, stride: int) -> None:
    """By an answer that says why; no text makes the server fail."""
    about = await owner.possess()
    numbers = count()
    for first, (where, place) in enumerate(places(operation)):
        for text in STRINGS[first % stride :: stride]:
            answer = await send(owner, operation, about, (where, place, text), next(numbers))

            assert answer.status_code < 500, (where, place, text, answer.text)
            if answer.is_success and where == "json":
                assert kept(answer.json(), place) in {None, text, text.strip()}, (place, text)
            if etag := answer.headers.get("etag"):
                about = replace(about, versions=dict.fromkeys(about.versions, int(etag.strip('"'))))


async def send(
    owner: Owner, operation: Operation, about: Possessions, naughty: tuple[str, Place, str], number: int
) -> httpx2.Response:
    """Send *operation* with a text at a place, and with other names than before where names are unique."""
    where, place, text = naughty
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


def kept(answer: Any, place: Place) -> Any:
    """Return what an answer has at *place*; None where it has no such place."""
    for step in place:
        try:
            answer = answer[step]
        except (KeyError, IndexError, TypeError):
            return None
    return answer
