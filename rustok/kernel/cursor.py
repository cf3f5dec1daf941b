"""Keyset cursors: opaque, signed, and bound to the list they were made for."""

from collections.abc import Sequence
from typing import Any

from rustok.kernel.errors import InvalidInput, Violation
from rustok.kernel.secrets import Secrets
from rustok.kernel.signed import Signed


class Cursors:
    """Makes and reads cursors. A new secret invalidates every cursor handed out."""

    def __init__(self, secrets: Secrets) -> None:
        self._signed = Signed(secrets, "cursor")

    def encode(self, position: Sequence[Any], bound_to: str) -> str:
        """Return a cursor for *position* (JSON values) in the list that *bound_to* names: tenant, filter, sort."""
        return self._signed.encode(position, bound_to)

    def decode(self, cursor: str, bound_to: str) -> list[Any]:
        """Return the position in *cursor*.

        Raises:
            InvalidInput: it was not made by `encode` for this very list.

        """
        try:
            position: list[Any] = self._signed.decode(cursor, bound_to)
        except ValueError as error:
            fault = Violation("/after", "invalid_cursor", "not a cursor of this list with these filters")
            raise InvalidInput("The cursor does not belong to this list.", [fault]) from error
        return position
