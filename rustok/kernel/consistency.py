"""Consistency tokens: a write's own events, for readers who want to see what they have written.

A token names each aggregate with the version that the write has given it, and never a place in the log: a transaction
that is beside it there, or before it and committed later, changes nothing about it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from rustok.kernel.event import Envelope
from rustok.kernel.secrets import Secrets
from rustok.kernel.signed import Signed


class Change(NamedTuple):
    """An event that a write has made, by the version that it gave its aggregate."""

    event_type: str
    aggregate_id: UUID
    version: int


@dataclass(frozen=True, slots=True)
class Written:
    """What a token says: when something was written, and by which events."""

    at_s: float
    changes: tuple[Change, ...]


class Tokens:
    """Makes and reads tokens, each of use to one tenant. A new secret invalidates every token handed out."""

    def __init__(self, secrets: Secrets) -> None:
        self._signed = Signed(secrets, "consistency")

    def issue(self, tenant_id: UUID, events: Iterable[Envelope], now: datetime) -> str:
        """Return the token of a write that has made *events*, in their order; it may have made none."""
        changes = {(e.aggregate_id, e.type): e.aggregate_version for e in events}
        rows = [[event_type, aggregate.hex, version] for (aggregate, event_type), version in changes.items()]
        return self._signed.encode([round(now.timestamp(), 3), rows], str(tenant_id))

    def read(self, token: str, tenant_id: UUID) -> Written:
        """Return what *token* says. Raises ValueError where it was not issued to this tenant."""
        at_s, named = self._signed.decode(token, str(tenant_id))
        return Written(at_s, tuple(Change(kind, UUID(hex=aggregate), version) for kind, aggregate, version in named))
