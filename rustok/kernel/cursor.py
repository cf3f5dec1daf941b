"""Keyset cursors: opaque, signed, and bound to the list they were made for."""

import base64
import hmac
import json
from collections.abc import Sequence
from typing import Any

from rustok.kernel.errors import InvalidInput, Violation
from rustok.kernel.secrets import Secrets

_TAG_BYTES = 12


class Cursors:
    """Makes and reads cursors. A new secret invalidates every cursor handed out."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def encode(self, position: Sequence[Any], bound_to: str) -> str:
        """Return a cursor for *position* (JSON values) in the list that *bound_to* names: tenant, filter, sort."""
        body = json.dumps(position, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._tag(body, bound_to) + body).decode().rstrip("=")

    def decode(self, cursor: str, bound_to: str) -> list[Any]:
        """Return the position in *cursor*.

        Raises:
            InvalidInput: it was not made by `encode` for this very list.

        """
        try:
            raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except ValueError:
            raw = b""
        tag, body = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(body, bound_to)):
            fault = Violation("/after", "invalid_cursor", "not a cursor of this list with these filters")
            raise InvalidInput("The cursor does not belong to this list.", [fault])
        position: list[Any] = json.loads(body)
        return position

    def _tag(self, body: bytes, bound_to: str) -> bytes:
        message = len(body).to_bytes(4) + body + bound_to.encode()
        return self._secrets.keyed_hash("cursor", message)[:_TAG_BYTES]
