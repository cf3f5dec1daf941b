"""What gives a tenant away when another one asks for what it has."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx2

from rustok.kernel.ids import uuid7
from rustok.kernel.registry import placeholders
from tests.integration.api.possessions import MARK, Operation, Owner, Possessions


def of_nobody(theirs: Possessions) -> Possessions:
    """Return what names nothing, of the same forms."""
    return replace(theirs, names={name: _none_like(name, value) for name, value in theirs.names.items()})


async def gives_away(first: Owner, other: Owner, operation: Operation, theirs: Possessions) -> list[str]:
    """Have *other* do *operation* on what *first* has; return what tells it so, or has changed."""
    before = await first.what_there_is()

    anothers = await other.send(operation, theirs)
    nothing = await other.send(operation, of_nobody(theirs))

    after = await first.what_there_is()
    found = [table for table, rows in after.items() if rows != before[table]]
    if placeholders(operation.path) and told(anothers) != told(nothing):
        found.append("another answer than to what never was")
    if MARK.lower() in anothers.text.lower():
        found.append("its words")
    return found


def told(answer: httpx2.Response) -> Any:
    """Return what a caller learns from *answer*."""
    if answer.is_success:
        return answer.status_code
    problem = answer.json()
    return answer.status_code, problem["code"], problem["detail"], problem["errors"]


def _none_like(name: str, value: str) -> str:
    """Return what names nothing, of the form of *value*; a language is nobody's, nor is a module."""
    if name in ("locale", "kind", "currency", "module"):
        return value
    if value.isdecimal():
        return "77"
    try:
        UUID(value)
    except ValueError:
        return f"none-{uuid4().hex}"
    return str(uuid7())
