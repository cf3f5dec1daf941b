"""What a run knows of itself besides its database: what was promised to clients, and what was measured."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from tests.checksums import Checksums


class Promise(NamedTuple):
    """A write that was answered 2xx: this aggregate of this tenant has this version, or a later one."""

    tenant_id: UUID
    aggregate_id: UUID
    version: int


class Answer(NamedTuple):
    """A kind of answer that a client got."""

    status: int
    says_when_to_come_again: bool


COME_AGAIN = Answer(503, says_when_to_come_again=True)


@dataclass(frozen=True, slots=True)
class Bound:
    """A measured value and what it may be at most."""

    measured: float
    most: float


@dataclass(frozen=True, slots=True)
class Hits:
    """How often a fault hit what it was to hit, and how often it must have for a run to prove anything."""

    count: float
    least: float = 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """`promises`: every write that was answered 2xx, and nothing else has ever been written.

    `rebuilt`: checksums of the index after a rebuild from empty.
    `hooks`: the one script of a tenant, which reacts to each new product of it with one event of its own.
    `settled_s`: how long it took from the end of the faults until nothing was left to do.
    `bounds`: the largest memory, queues and outbox that were seen, by name.
    """

    promises: frozenset[Promise]
    rebuilt: Checksums
    hooks: Mapping[UUID, UUID] = field(default_factory=dict)
    answers: Counter[Answer] = field(default_factory=Counter)
    settled_s: Bound = Bound(0.0, 60.0)
    bounds: Mapping[str, Bound] = field(default_factory=dict)
