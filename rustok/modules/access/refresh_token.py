"""Refresh tokens, without a table of them: a session counts its tokens, and each has its number and a tag.

A token is good once (RFC 9700, section 2.2.2). Who sends an older one has copied it, or was copied: the session ends.
But the last one before the present may be sent again for a few seconds: the answer to it may have been lost.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from uuid import UUID

from rustok.kernel.secrets import Secrets

REPEATED_FOR = timedelta(seconds=10)
_FORM = re.compile(r"rtr_([0-9a-f]{32})_([0-9a-f]{32})_([1-9][0-9]{0,8})_([0-9a-f]{64})", re.ASCII)


class Judgement(Enum):
    """What becomes of a refresh token that is sent."""

    ROTATE = auto()
    """The next one is made."""
    REPEAT = auto()
    """The next one was made a moment ago: it is answered again."""
    REUSED = auto()
    """Somebody has used it before."""


@dataclass(frozen=True, slots=True)
class RefreshToken:
    tenant_id: UUID
    session_id: UUID
    number: int


class RefreshTokens:
    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def issue(self, token: RefreshToken) -> str:
        return f"rtr_{token.tenant_id.hex}_{token.session_id.hex}_{token.number}_{self._tag(token)}"

    def read(self, text: str) -> RefreshToken | None:
        """Return the token that *text* spells; None where it was not made here."""
        found = _FORM.fullmatch(text)
        if found is None:
            return None
        token = RefreshToken(UUID(found[1]), UUID(found[2]), int(found[3]))
        return token if hmac.compare_digest(found[4], self._tag(token)) else None

    def _tag(self, token: RefreshToken) -> str:
        message = token.tenant_id.bytes + token.session_id.bytes + token.number.to_bytes(8)
        return self._secrets.keyed_hash("refresh-token", message).hex()


def judge(number: int, generation: int, rotated_at: datetime, now: datetime) -> Judgement:
    """Return what becomes of token *number* of a session whose present token is *generation*, since *rotated_at*."""
    if number == generation:
        return Judgement.ROTATE
    if number == generation - 1 and now - rotated_at < REPEATED_FOR:
        return Judgement.REPEAT
    return Judgement.REUSED
