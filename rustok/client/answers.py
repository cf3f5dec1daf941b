"""Answers as typed objects."""

from typing import TypeVar

import msgspec

from rustok.client.problems import UnexpectedAnswer

T = TypeVar("T")


def read_as(operation: str, content: bytes | msgspec.Raw, result: type[T]) -> T:
    """Return *content* as a *result*; what a later version of the API has added to it is left out.

    Raises:
        UnexpectedAnswer: it is none.

    """
    try:
        return msgspec.json.decode(content, type=result)
    except (ValueError, RecursionError) as error:
        raise UnexpectedAnswer(operation, f"the answer is not what was expected: {error}", may_be_done=True) from error
