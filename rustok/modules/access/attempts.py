"""Attempts to sign in by a password, and by what they are counted: by the address, or by a device that is known.

So nobody is kept out by strangers where they have signed in before:
https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies
"""

import hmac
import re
from dataclasses import dataclass, field
from uuid import UUID

from rustok.kernel.secrets import Secrets

_FORM = re.compile(r"rtd_([0-9a-f]{32})_([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Attempt:
    """Somebody shows a password. There may be no such tenant, and no such user.

    `email` is in lower case. `device` is what a client has kept of an earlier sign-in, or anything.
    """

    tenant_id: UUID
    email: str
    password: str = field(repr=False)
    device: str | None = None


class Devices:
    """Devices that users have signed in on, without a table of them: each is a text that the client keeps."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def issue(self, device_id: UUID, attempt: Attempt) -> str:
        """Return the text of a device of the user whose attempt it is; it is nothing to any other user."""
        return f"rtd_{device_id.hex}_{self._tag(device_id, attempt)}"

    def known(self, attempt: Attempt) -> str | None:
        """Return the device that the attempt is made on, if it was issued to this user."""
        found = _FORM.fullmatch(attempt.device or "")
        if found is None or not hmac.compare_digest(found[2], self._tag(UUID(found[1]), attempt)):
            return None
        return attempt.device

    def counted_by(self, attempt: Attempt) -> bytes:
        """Return what the attempt is counted by, together with all others that have the same."""
        device = self.known(attempt)
        if device is None:
            return address_key(self._secrets, attempt.tenant_id, attempt.email)
        return self._secrets.keyed_hash("attempts-on-device", device.encode())

    def _tag(self, device_id: UUID, attempt: Attempt) -> str:
        message = device_id.bytes + attempt.tenant_id.bytes + attempt.email.encode()
        return self._secrets.keyed_hash("sign-in-device", message).hex()


def address_key(secrets: Secrets, tenant_id: UUID, email: str) -> bytes:
    """Return what attempts for an address are counted by, except for those on a known device."""
    return secrets.keyed_hash("attempts-for-address", tenant_id.bytes + email.encode())
