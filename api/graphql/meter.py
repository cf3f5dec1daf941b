"""Counts what an answer has while it is read: how long lists and texts are, no reckoning before can know."""

from typing import Any

from api.graphql.errors import DocumentTooCostly

MOST_VALUES = 100_000
"""Fields of an answer, those of the items of lists each."""
MOST_CHARACTERS = 10_000_000
"""Characters of the texts of an answer, those inside of JSON and the names there among them."""


class Meter:
    """What one answer has had so far."""

    def __init__(self) -> None:
        self._values = 0
        self._characters = 0

    def count(self, values: int) -> None:
        """Add so many *values*. Raises DocumentTooCostly when there are too many by now."""
        self._values += values
        if self._values > MOST_VALUES:
            raise DocumentTooCostly(
                f"The answer has more than {MOST_VALUES:,} values: ask for fewer fields, or a smaller `first`. "
                "What mutations have done is done."
            )

    def weigh(self, found: Any) -> None:
        """Add the texts of what was *found*. Raises DocumentTooCostly when they are too long by now."""
        self._characters += _characters(found)
        if self._characters > MOST_CHARACTERS:
            raise DocumentTooCostly(
                f"The answer has more than {MOST_CHARACTERS:,} characters: ask for fewer texts, or a smaller `first`. "
                "What mutations have done is done."
            )


def _characters(found: Any) -> int:
    if isinstance(found, str):
        return len(found)
    if isinstance(found, dict):
        return sum(len(name) + _characters(value) for name, value in found.items())
    return sum(map(_characters, found)) if isinstance(found, list) else 1
