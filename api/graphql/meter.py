"""Counts what an answer has while it is read: how long lists and texts are, no reckoning before can know."""

from typing import Any

import orjson

from api.graphql.errors import DocumentTooCostly, MutationNotRun

MOST_VALUES = 100_000
"""Fields of an answer, those of the items of lists each."""
MOST_BYTES = 10_000_000
"""Bytes of JSON that the fields of an answer have which are no objects, their names included."""


class Meter:
    """What one answer has had so far. Once it is too large, it stays so."""

    def __init__(self) -> None:
        self._values = 0
        self._bytes = 0

    def count(self, values: int) -> None:
        """Add so many *values*. Raises DocumentTooCostly when there are too many by now."""
        self._values += values
        if self._values > MOST_VALUES:
            raise DocumentTooCostly(
                f"The answer has more than {MOST_VALUES:,} values: ask for fewer fields, or a smaller `first`. "
                "A mutation that fails so is done."
            )

    def weigh(self, name: str, value: Any) -> None:
        """Add a field. Raises DocumentTooCostly when the answer has too many bytes by now."""
        if self._bytes <= MOST_BYTES:
            self._bytes += len(orjson.dumps({name: value}))
        if self._bytes > MOST_BYTES:
            raise DocumentTooCostly(
                f"The answer has more than {MOST_BYTES:,} bytes: ask for fewer texts, or a smaller `first`. "
                "A mutation that fails so is done."
            )

    def refuse_mutation(self) -> None:
        """Raise MutationNotRun once the answer is too large."""
        if self._values > MOST_VALUES or self._bytes > MOST_BYTES:
            raise MutationNotRun("The answer is too large already: send this mutation in a document of its own.")
