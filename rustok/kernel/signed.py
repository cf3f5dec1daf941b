"""Values that clients hand back: readable by whoever likes, but neither made up nor changed."""

import base64
import hmac
import json
from typing import Any

from rustok.kernel.secrets import Secrets

_TAG_BYTES = 12


class Signed:
    """Makes and reads signed JSON of one purpose. A new secret invalidates all that was handed out."""

    def __init__(self, secrets: Secrets, purpose: str) -> None:
        self._secrets = secrets
        self._purpose = purpose

    def encode(self, value: Any, bound_to: str) -> str:
        """Return *value*, JSON, as a text of URL-safe characters, of use with the same *bound_to* only."""
        body = json.dumps(value, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._tag(body, bound_to) + body).decode().rstrip("=")

    def decode(self, text: str, bound_to: str) -> Any:
        """Return the value in *text*. Raises ValueError where `encode` did not make it with this very *bound_to*."""
        raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        tag, body = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(body, bound_to)):
            raise ValueError("this was not made here, or for something else")
        return json.loads(body)

    def _tag(self, body: bytes, bound_to: str) -> bytes:
        message = len(body).to_bytes(4) + body + bound_to.encode()
        return self._secrets.keyed_hash(self._purpose, message)[:_TAG_BYTES]
