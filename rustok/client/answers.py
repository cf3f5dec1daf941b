"""Answers as typed objects."""

from typing import TypeVar

import msgspec

from rustok.client.problems import UnexpectedAnswer

T = TypeVar("T")


def read_as(operation: str, content: bytes | msgspec.Raw, result: type[T], *, may_be_done: bool) -> T:
    """Return *content* as a *result*; what a later version of the API has added to it is left out.

    *may_be_done*: what was asked for changes something.

    Raises:
        UnexpectedAnswer: it is none.

    """
    try:
        return msgspec.json.decode(content, type=result)
    except (ValueError, RecursionError) as error:
        reason = f"the answer is not what was expected: {error}"
        raise UnexpectedAnswer(operation, reason, may_be_done=may_be_done) from error
