"""Descriptors: a module is data that reads as a table of contents."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr

from rustok.kernel.errors import RustokError
from rustok.kernel.event import AggregateKey, Event, LoggedEvent
from rustok.kernel.permission import Permission


class ModuleKind(StrEnum):
    CORE = "core"
    DOMAIN = "domain"
    WRAPPER = "wrapper"
    INFRASTRUCTURE = "infrastructure"
    EXTENSION = "extension"

    @property
    def may_be_off(self) -> bool:
        """Whether a tenant can do without such a module."""
        return self not in (ModuleKind.CORE, ModuleKind.INFRASTRUCTURE)


class Input(BaseModel):
    """Base of a command's input: unknown fields and coercions are refused. `example` is a good one, for people."""

    example: ClassVar[Mapping[str, Any]] = {}

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class QueryInput(BaseModel):
    """Base of a query's input: values arrive as text, unknown parameters are refused. `example` as for `Input`."""

    example: ClassVar[Mapping[str, Any]] = {}

    model_config = ConfigDict(extra="forbid", frozen=True)


class Result(BaseModel):
    """Base of what commands and queries return. A `version` field, where there is one, is the ETag."""

    model_config = ConfigDict(frozen=True)


class PageLinks(Result):
    """Where a list goes on: the cursors of the following page, None on the last one, and of the one before."""

    next: str | None
    prev: str | None
    _behind: Callable[[int], str] = PrivateAttr()

    def with_rows(self, behind: Callable[[int], str]) -> Self:
        """Return self, which makes the cursor of a row from its place in the page by *behind*."""
        self._behind = behind
        return self

    def behind(self, row: int) -> str:
        """Return the cursor of the page that begins behind a row of this one, from 0; -1 is the last."""
        return self._behind(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deprecation:
    """An operation is not to be used any more. Days begin at 00:00 UTC; that of `since` may be still to come.

    `sunset`: from then on it may be gone; None: that is not known yet. `use`: the name of what takes its place.
    """

    since: date
    sunset: date | None = None
    use: str | None = None

    def __str__(self) -> str:
        told = f"Deprecated since {self.since}."
        if self.sunset is not None:
            told += f" It may be gone from {self.sunset} on."
        return told if self.use is None else f"{told} Use `{self.use}`."


Handler = Callable[[Any, Any], Awaitable[Result]]
"""`async def verb_noun(uow: UnitOfWork, data: Input) -> Result`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A write. Each `{name}` of its route is a field of its input; the other fields are the body.

    `route` is None for a command without an HTTP face. `checks_version`: callers state the version they
    have seen (`If-Match`). `location` is the path of what was made, filled from the result's fields.
    `status` 202: the result has an `operation_id`, where the outcome will be found.
    `coalesces`: concurrent calls of a tenant may share a transaction. It is for commands that only insert, by
    `UnitOfWork.insert`: one that waited for a row would keep the others waiting.
    `is_critical`: taken however late events are delivered. It is for commands that end an overload, and for those
    that make no event.
    `is_about_tenant`: taken whatever the state of its tenant, which it makes or switches.
    `is_secret`: its input or its result holds a secret, which is not kept in the clear for repetitions either; scripts,
    whose effects are kept, do not run it. `prepare`: makes of the input what the handler gets, before the transaction
    begins: it is for what takes long.
    """

    name: str
    summary: str
    permission: str
    input: type[Input]
    result: type[Result]
    handler: Handler
    route: str | None
    status: Literal[200, 201, 202] = 200
    location: str | None = None
    checks_version: bool = False
    coalesces: bool = False
    is_critical: bool = False
    is_about_tenant: bool = False
    is_secret: bool = False
    prepare: Callable[[Any], Awaitable[Input]] | None = None
    errors: tuple[type[RustokError], ...] = ()
    deprecation: Deprecation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A read. Each `{name}` of its route is a field of its input; the others are query parameters.

    `reads`: the index table that it reads, which follows writes; None: it reads what writes write.
    """

    name: str
    summary: str
    permission: str
    input: type[QueryInput]
    result: type[Result]
    handler: Handler
    route: str
    reads: str | None = None
    errors: tuple[type[RustokError], ...] = ()
    deprecation: Deprecation | None = None


class Source(NamedTuple):
    """An aggregate as its module's tables have it now; `row` is a mapping with what `Projection.build` needs."""

    version: int
    row: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Keeps one index table equal to a function of its aggregates.

    An event only says "look again": `load` reads the sources of many aggregates in one statement (deleted
    ones are absent), `build` turns one of them into its documents, one a locale, none when it is not public.
    `chunk` is how many aggregates are in memory at a time: few where they may be large.
    """

    name: str
    summary: str
    subscribes: tuple[str, ...]
    table: str
    load: Callable[[Any, Iterable[AggregateKey]], Awaitable[Mapping[AggregateKey, Source]]]
    build: Callable[[Source], Sequence[Mapping[str, Any]]]
    chunk: int = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Turns events into something else of the module's, durable jobs above all.

    `handle(transaction, events)` gets a batch in log order, of all tenants; what it writes commits with the
    checkpoint, so that each event takes effect once. It may be given an event again that was rolled back.
    """

    name: str
    summary: str
    subscribes: tuple[str, ...]
    handle: Callable[[Any, Sequence[LoggedEvent]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """Durable work that workers do apart from any request. After its attempts a job is a dead letter.

    `max_run_s`: seconds after which an attempt is stopped and has failed; far above what a good one takes.
    `runs_while_off`: also for tenants that have switched its module off. It is for what its `on_switch` asks for.
    """

    name: str
    summary: str
    queue: str = "default"
    max_attempts: int = 5
    max_run_s: float = 600.0
    runs_while_off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """`on_switch(uow, is_on)` is called in the transaction that switches the module on or off for a tenant.

    It refuses by raising a RustokError, and makes jobs of what takes time.
    """

    name: str
    kind: ModuleKind
    summary: str
    path: str | None = None
    """First segment of its routes; the name, when None."""
    depends_on: tuple[str, ...] = ()
    permissions: tuple[Permission, ...] = ()
    events: tuple[type[Event], ...] = ()
    commands: tuple[Command, ...] = ()
    queries: tuple[Query, ...] = ()
    projections: tuple[Projection, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    jobs: tuple[JobKind, ...] = ()
    tables: tuple[str, ...] = ()
    on_switch: Callable[[Any, bool], Awaitable[None]] | None = None

    @property
    def routes_path(self) -> str:
        return self.path or self.name
