"""The Big List of Naughty Strings, at every place where an operation takes a text."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest

from rustok.testing import DatabaseServer, PlatformUnderTest
from tests.corpora.read import naughty_strings
from tests.integration.api.possessions import OPERATIONS, Operation, Owner
from tests.integration.api.support import ApiUnderTest
from tests.integration.api.text_fields import Place
from tests.integration.api.texts import places, send_text

STRINGS = naughty_strings()
EFFORTS = (
    pytest.param(80, id="some", marks=pytest.mark.under_fire),
    pytest.param(6, marks=[pytest.mark.deep, pytest.mark.timeout(900)], id="many"),
)
"""Of how many strings one is tried at a place, which is another one at the next."""
QUOTAS = {"scripts": 10_000, "versions_a_script": 10_000, "values_a_script": 100_000}


@pytest.fixture(scope="module")
async def owner(database_server: DatabaseServer, platform_class: type[PlatformUnderTest]) -> AsyncIterator[Owner]:
    async with ApiUnderTest.alone(database_server, platform_class=platform_class) as api:
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
            answer = await send_text(owner, operation, about, (where, place, text), next(numbers))

            assert answer.status_code < 500, (where, place, text, answer.text)
            if answer.is_success and where == "json":
                assert kept(answer.json(), place) in {None, text, text.strip()}, (place, text)
            about = about.seen_in(operation, answer)


def kept(answer: Any, place: Place) -> Any:
    """Return what an answer has at *place*; None where it has no such place."""
    for step in place:
        try:
            answer = answer[step]
        except (KeyError, IndexError, TypeError):
            return None
    return answer
