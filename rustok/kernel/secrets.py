"""What is derived from the platform's one secret, each purpose with a key of its own."""

import hmac


class Secrets:
    """Wraps the platform's secret. Nothing prints it."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def keyed_hash(self, purpose: str, message: bytes) -> bytes:
        """Return HMAC-SHA-256 of *message* under the key of *purpose*: 32 bytes."""
        key = hmac.digest(self._secret, purpose.encode(), "sha256")
        return hmac.digest(key, message, "sha256")
