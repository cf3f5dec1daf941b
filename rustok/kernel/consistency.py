"""Consistency tokens: a write's own events, for readers who want to see what they have written.

A token names each aggregate with the version that the write has given it, and never a place in the log: a transaction
that is beside it there, or before it and committed later, changes nothing about it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from rustok.kernel.event import AggregateKey, Envelope, shard_of
from rustok.kernel.secrets import Secrets
from rustok.kernel.signed import Signed

_MOST = 32
"""Events that a token names. Of a larger write it names the last ones of each shard, which is handled in order."""


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
        changes = {(e.aggregate_id, e.type): Change(e.type, e.aggregate_id, e.aggregate_version) for e in events}
        named = _last_of_each_shard(tenant_id, changes.values()) if len(changes) > _MOST else changes.values()
        rows = [[change.event_type, change.aggregate_id.hex, change.version] for change in named]
        return self._signed.encode([round(now.timestamp(), 3), rows], str(tenant_id))

    def read(self, token: str, tenant_id: UUID) -> Written:
        """Return what *token* says. Raises ValueError where it was not issued to this tenant."""
        at_s, named = self._signed.decode(token, str(tenant_id))
        return Written(at_s, tuple(Change(kind, UUID(hex=aggregate), version) for kind, aggregate, version in named))


def _last_of_each_shard(tenant_id: UUID, changes: Iterable[Change]) -> Iterable[Change]:
    return {(shard_of(AggregateKey(tenant_id, c.aggregate_id)), c.event_type): c for c in changes}.values()
