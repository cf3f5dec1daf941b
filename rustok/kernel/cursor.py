"""Keyset cursors: opaque, signed, and bound to the list and the direction that they were made for."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from rustok.kernel.errors import InvalidInput, Violation
from rustok.kernel.secrets import Secrets
from rustok.kernel.signed import Signed


class Place(NamedTuple):
    """Where a page begins: at the first row behind `position` (JSON values), or, `backwards`, at the last before it.

    Without a position, at the end of the list from which the walk starts.
    """

    position: Sequence[Any] | None = None
    backwards: bool = False


class Cursors:
    """Makes and reads cursors. A new secret invalidates every cursor handed out."""

    def __init__(self, secrets: Secrets) -> None:
        self._signed = Signed(secrets, "cursor")

    def encode(self, place: Place, bound_to: str) -> str:
        """Return a cursor for *place* in the list that *bound_to* names: tenant, filter, sort."""
        return self._signed.encode(place.position, _binding(bound_to, backwards=place.backwards))

    def decode(self, cursor: str, bound_to: str) -> Place:
        """Return the place in *cursor*.

        Raises:
            InvalidInput: it was not made by `encode` for this very list.

        """
        for backwards in (False, True):
            try:
                return Place(self._signed.decode(cursor, _binding(bound_to, backwards=backwards)), backwards)
            except ValueError:
                continue
        fault = Violation("/after", "invalid_cursor", "not a cursor of this list with these filters")
        raise InvalidInput("The cursor does not belong to this list.", [fault])


def _binding(bound_to: str, *, backwards: bool) -> str:
    return f"{bound_to} {'back' if backwards else 'on'}"
