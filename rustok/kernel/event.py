"""Events: frozen facts that modules publish, and the envelope that carries them."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict

SHARDS = 16
"""Shards of the log, fixed at install: events of one aggregate share a shard, so they keep their order."""


class Event(BaseModel):
    """A fact about one aggregate. Payloads carry ids and small facts, no personal data.

    A breaking change is a new `version`, a class beside the old one with an `upcast` of its own. `example` is a payload
    that validates: it is the documentation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: ClassVar[str]
    version: ClassVar[int] = 1
    aggregate: ClassVar[str]
    example: ClassVar[Mapping[str, Any]]

    @classmethod
    def upcast(cls, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a *payload* of the version before this one, any that the log may hold, as one of this version.

        A pure function of JSON: the same comes of the same, and *payload* stays as it is.
        """
        raise NotImplementedError(f"{cls.type} has no version before {cls.version}")


class AggregateKey(NamedTuple):
    """Names an aggregate, a consistency root: its events are ordered, its row's version is its ETag."""

    tenant_id: UUID
    aggregate_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """An event with its circumstances. `causation_id` is the command or event that led here."""

    event_id: UUID
    type: str
    schema_version: int
    tenant_id: UUID
    aggregate_type: str
    aggregate_id: UUID
    aggregate_version: int
    correlation_id: UUID
    causation_id: UUID
    traceparent: str | None
    actor: str
    occurred_at: datetime
    payload: Mapping[str, Any]

    @property
    def key(self) -> AggregateKey:
        return AggregateKey(self.tenant_id, self.aggregate_id)

    @property
    def schema(self) -> str:
        """What a release must know to handle it, such as `commerce.product.created.v1`."""
        return schema_name(self.type, self.schema_version)

    @property
    def shard(self) -> int:
        return shard_of(self.key)


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event at its place in the log. Positions have no gaps and rise in commit order of an aggregate."""

    position: int
    envelope: Envelope


def schema_name(event_type: str, version: int) -> str:
    """Return the name that a type has in one of its versions."""
    return f"{event_type}.v{version}"


def schema_uri(schema: str) -> str:
    """Return the `$id` of the JSON Schema that goes by a `schema_name`. It is a name: the catalogue has the address."""
    return f"urn:rustok:event:{schema}"


def shard_of(key: AggregateKey) -> int:
    """Return the shard, 0 to 15. CRC-32, because it must be the same in every process and release."""
    return zlib.crc32(key.aggregate_id.bytes, zlib.crc32(key.tenant_id.bytes)) % SHARDS


def matches(pattern: str, event_type: str) -> bool:
    """Tell whether *pattern*, an event type, a prefix ending in `.*` or `*` alone, covers *event_type*."""
    if pattern == "*":
        return True
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type
