"""One transaction = the rows, their outbox records and the tenant it is bound to."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import to_json
from rustok.db.failures import Conflicts, conflicts_named, translated_failures
from rustok.db.transaction import Rows, Transaction, begin
from rustok.kernel.context import Context
from rustok.kernel.cursor import Cursors
from rustok.kernel.errors import Forbidden, VersionMismatch
from rustok.kernel.event import Envelope, Event
from rustok.kernel.ids import uuid7
from rustok.kernel.ports import Clock, MadeJob
from rustok.kernel.registry import Registry, build_registry
from rustok.kernel.secrets import Secrets
from rustok.kernel.transport import EventTransport

log = structlog.get_logger(__name__)

_EMPTY = build_registry(())

# What is out of the ordinary, also that there is no such tenant any more, is looked for in the round trip that opens
# the transaction, and told by its row count; only then is it read. Policies see the tenant because the setting is a
# statement of its own, before.
_BEGIN = """
BEGIN {mode};
SET LOCAL lock_timeout = {lock_timeout_ms};
SELECT set_config('rustok.tenant_id', '{tenant_id}', true);
SELECT WHERE NOT coalesce((
    SELECT {may_act} AND authz_version = {authz_version} AND scripts_version = {scripts_version} AND {is_signed_in}
      FROM tenants WHERE id = '{tenant_id}'), {may_be_absent})
"""
_IS_SIGNED_IN = """
    EXISTS (SELECT FROM sessions WHERE tenant_id = '{tenant_id}' AND id = '{session_id}' AND revoked_at IS NULL)
"""
_IS_ACTIVE = text("SELECT is_active FROM tenants WHERE id = :tenant_id")


ABSENT = 0
"""The version of what is not there."""


class TenantDisabled(Forbidden):
    """The tenant exists and an operator has switched it off."""

    code = "tenant_disabled"


class StaleAuthorization(Exception):
    """Roles, keys or scripts of the tenant changed since they were read for the principal, or its session has ended:
    read them again.
    """


class UnlockedRoot(Exception):
    """A service emitted an event without holding the aggregate's row: the order of events would be lost."""


Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class SetInsert:
    """Inserts the rows of many callers with one statement (`UnitOfWork.insert`).

    `statement` takes `:tenant_id`, `:now`, and the rows of each table as a JSON array. `conflicts` says what a
    violated constraint means to the callers.
    """

    statement: TextClause
    conflicts: Conflicts = field(default_factory=dict)


def _no_rows() -> dict[str, list[Row]]:
    return defaultdict(list)


@dataclass(slots=True)
class _Staged:
    """What the units of one transaction have asked for and PostgreSQL has not been told yet."""

    on_jobs_made: Callable[[Sequence[MadeJob]], None] = lambda _jobs: None
    rows: dict[SetInsert, dict[str, list[Row]]] = field(default_factory=lambda: defaultdict(_no_rows))
    events: list[Envelope] = field(default_factory=list)
    after_commit: list[Callable[[], None]] = field(default_factory=list)
    rules_raised: int = 0
    """How often this transaction has raised the tenant's `authz_version`."""


class _Root(NamedTuple):
    aggregate_type: str
    aggregate_id: UUID


class UnitOfWork:
    """What a service gets: the tenant's transaction, the circumstances, and `emit`.

    Rows of other tenants are out of reach (row level security), and so are events of aggregates whose row
    this transaction does not hold.
    """

    def __init__(
        self,
        transaction: Transaction,
        context: Context,
        now: datetime,
        secrets: Secrets,
        staged: _Staged | None = None,
        *,
        registry: Registry = _EMPTY,
    ) -> None:
        self._transaction = transaction
        self._staged = staged or _Staged()
        self.registry = registry
        self.context = context
        self.now = now
        self.secrets = secrets
        self.cursors = Cursors(secrets)
        self.emitted: list[Envelope] = []
        """The events of this caller, in their order."""
        self._locked_at: dict[_Root, int] = {}
        self._versions: dict[_Root, int] = {}
        self._expected_version: int | None = None
        self._has_compared = False
        self._is_bound_to_own = False
        self._has_held = False

    @property
    def tenant_id(self) -> UUID:
        return self.context.tenant_id

    def is_behind(self, authz_version: int) -> bool:
        """Tell whether others have changed the tenant's access rules, now at *authz_version*, since the caller's rights
        were read.
        """
        read_at = self.context.principal.authz_version
        return read_at is not None and authz_version != read_at + self._staged.rules_raised

    def rules_raised(self) -> None:
        """State that this transaction raises the tenant's `authz_version`."""
        self._staged.rules_raised += 1

    @property
    def has_raised_rules(self) -> bool:
        """Whether this transaction has raised the tenant's `authz_version`: it may have ended the caller's rights."""
        return self._staged.rules_raised > 0

    @property
    def subject(self) -> str | None:
        """Who makes what is made here, as rows keep it."""
        subject = self.context.principal.subject
        return None if subject is None else str(subject)

    def new_id(self) -> UUID:
        return uuid7()

    def alongside(self, context: Context) -> "UnitOfWork":
        """Return a unit for another caller of the same tenant, in the same transaction."""
        return UnitOfWork(self._transaction, context, self.now, self.secrets, self._staged, registry=self.registry)

    def insert(self, insert: SetInsert, rows: Mapping[str, Sequence[Row]]) -> None:
        """Have *rows*, a list a table, inserted before the transaction's next statement or its commit.

        What is inserted in the same way meanwhile goes with them, in one statement.
        """
        for table, values in rows.items():
            self._staged.rows[insert][table] += values

    async def execute(self, statement: TextClause, parameters: Mapping[str, Any] | None = None) -> Rows:
        """Run one statement in this transaction.

        Raises:
            RustokError: rows that waited to be inserted violated a constraint.
            IntegrityError: the statement did.

        """
        if self._staged.rows:
            await self.insert_staged()
        return await self._transaction.execute(statement, parameters)

    @contextmanager
    def expecting(self, version: int | None) -> Iterator[None]:
        """Let the command that is handled meanwhile change nothing but what is at *version*, if that is given.

        ABSENT: it may make something, and change nothing that is there.

        Raises:
            VersionMismatch: it is at another one, or the command has changed nothing that has a version.

        """
        self._expected_version, self._has_compared = version, False
        try:
            yield
            if version is not None and not self._has_compared:
                raise VersionMismatch("There was nothing here whose version could be compared: drop the condition.")
        finally:
            self._expected_version = None

    @contextmanager
    def acting_by(self, permission: str) -> Iterator[None]:
        """Let the command that is handled meanwhile change what *permission* is about.

        Where the principal has it for its own alone, what the command holds must have been made by the principal.

        Raises:
            Forbidden: something was not, or the command has held nothing.

        """
        self._is_bound_to_own, self._has_held = self.context.is_bound_to_own(permission), False
        try:
            yield
            if self._is_bound_to_own and not self._has_held:
                raise Forbidden(f"You have {permission} for what you have made yourself.")
        finally:
            self._is_bound_to_own = False

    @property
    def expects_absence(self) -> bool:
        """Whether the command may only make what is not there, also where somebody else makes it at this moment."""
        return self._expected_version == ABSENT

    def compare(self, version: int, what: str) -> None:
        """State that *what* is about to be changed, and is at *version*.

        Raises:
            VersionMismatch: the caller of the command expected another version.

        """
        self._has_compared = True
        if self._expected_version in (None, version):
            return
        if self.expects_absence:
            raise VersionMismatch(f"The {what} is there already, at version {version}.")
        raise VersionMismatch(f"The {what} is at version {version}, not {self._expected_version}: read it again.")

    def hold(
        self,
        aggregate_type: str,
        aggregate_id: UUID,
        version: int,
        made_by: str | None = None,
        *,
        is_consequence: bool = False,
        first_version: int = 1,
    ) -> None:
        """State that this transaction has inserted (version ABSENT) or locked the aggregate's row.

        *made_by*: the subject of the principal who has made it, where that is kept. *is_consequence*: it changes with
        another one, which the caller has named, and whose version counts. *first_version*: that of what was inserted,
        where something of the same name may have been there.

        Raises:
            Forbidden: the caller may change what it has made, and has not made this.
            VersionMismatch: the caller of the command expected another version.

        """
        if self._is_bound_to_own and version != ABSENT and (made_by is None or made_by != self.subject):
            raise Forbidden(f"This {aggregate_type} was made by somebody else: you may change your own.")
        self._has_held = True
        root = _Root(aggregate_type, aggregate_id)
        self._versions.setdefault(root, first_version - 1 if version == ABSENT else version)
        locked_at = self._locked_at.setdefault(root, version)
        if is_consequence:
            return
        if locked_at or self.expects_absence:
            self.compare(locked_at, aggregate_type)

    def emit(self, event: Event, aggregate_id: UUID) -> int:
        """Stage *event* and return the aggregate's new version, which its row must get in this transaction.

        Raises:
            UnlockedRoot: `hold` was not called for the aggregate.

        """
        root = _Root(event.aggregate, aggregate_id)
        if root not in self._versions:
            raise UnlockedRoot(f"{event.type} was emitted without holding the row of {event.aggregate} {aggregate_id}")
        self._versions[root] += 1
        context = self.context
        envelope = Envelope(
            event_id=uuid7(),
            type=event.type,
            schema_version=event.version,
            tenant_id=context.tenant_id,
            aggregate_type=event.aggregate,
            aggregate_id=aggregate_id,
            aggregate_version=self._versions[root],
            correlation_id=context.correlation_id,
            causation_id=context.causation_id,
            traceparent=context.traceparent,
            actor=context.principal.actor,
            occurred_at=self.now,
            payload=event.model_dump(mode="json"),
        )
        self.emitted.append(envelope)
        self._staged.events.append(envelope)
        return self._versions[root]

    def jobs_made(self, jobs: Sequence[MadeJob] = ()) -> None:
        """State that this transaction has made jobs: once it has committed, whoever hands them out is told.

        *jobs*: those of them that may begin at once, where they are known.
        """
        self.after_commit(partial(self._staged.on_jobs_made, jobs))

    def after_commit(self, hook: Callable[[], None]) -> None:
        """Call *hook* once the transaction has committed; it must not fail and must not block."""
        self._staged.after_commit.append(hook)

    async def flush(self, transport: EventTransport) -> None:
        """Insert the rows that wait, and hand the staged events to the transport, inside the transaction."""
        await self.insert_staged()
        events, self._staged.events = self._staged.events, []
        if events:
            await transport.publish(self, events)

    def committed(self) -> None:
        """Call the hooks. One that fails, against its promise, must not look like a failed transaction."""
        for hook in self._staged.after_commit:
            try:
                hook()
            except Exception:
                log.exception("after_commit_failed")

    async def insert_staged(self) -> None:
        """Insert now the rows that wait. Raises RustokError when they violate a constraint that has a name."""
        staged = dict(self._staged.rows)
        self._staged.rows.clear()
        for insert, tables in staged.items():
            rows = {table: to_json(values) for table, values in tables.items()}
            with conflicts_named(insert.conflicts):
                await self._transaction.execute(
                    insert.statement, {"tenant_id": self.tenant_id, "now": self.now, **rows}
                )


class UnitOfWorkFactory:
    """Opens units of work on one engine and one transport; *on_jobs_made* is told of each that made jobs."""

    def __init__(
        self,
        engine: AsyncEngine,
        transport: EventTransport,
        clock: Clock,
        secrets: Secrets,
        on_jobs_made: Callable[[Sequence[MadeJob]], None] = lambda _jobs: None,
        *,
        registry: Registry = _EMPTY,
    ) -> None:
        self._engine = engine
        self._transport = transport
        self._clock = clock
        self._secrets = secrets
        self._on_jobs_made = on_jobs_made
        self._registry = registry

    @asynccontextmanager
    async def begin(
        self, context: Context, *, read_only: bool = False, lock_timeout_ms: int = 0, is_about_tenant: bool = False
    ) -> AsyncIterator[UnitOfWork]:
        """Open a transaction bound to the context's tenant; commit on leaving, roll back on an exception.

        Args:
            lock_timeout_ms: it gives up (Unavailable) when it has waited for a row for this long; 0: never.
            is_about_tenant: the tenant may be switched off.

        Raises:
            StaleAuthorization: the principal's rights are older than the tenant's roles, or what is known of a script
                than its scripts; or the rights come from the roles of a tenant that is not there any more.
            TenantDisabled: an operator has switched the tenant off.
            Unavailable: PostgreSQL does not answer, or no connection came free in time.

        """
        mode = "READ ONLY" if read_only else "READ WRITE"
        with translated_failures():
            script = _script(context, mode, lock_timeout_ms, is_about_tenant=is_about_tenant)
            async with begin(self._engine, script) as (transaction, is_unusual):
                if is_unusual:
                    await _refuse(transaction, context)
                staged = _Staged(self._on_jobs_made)
                now = self._clock.now()
                uow = UnitOfWork(transaction, context, now, self._secrets, staged, registry=self._registry)
                yield uow
                await uow.flush(self._transport)
        uow.committed()

    async def compare_rights(self, context: Context) -> None:
        """Do what every unit of work begins with, where there is none. Raises as `begin` does."""
        async with self.begin(context, read_only=True):
            pass


def _script(context: Context, mode: str, lock_timeout_ms: int, *, is_about_tenant: bool) -> str:
    principal = context.principal
    return _BEGIN.format(
        mode=mode,
        lock_timeout_ms=lock_timeout_ms,
        tenant_id=UUID(int=context.tenant_id.int),  # whatever type it has: nothing else may get in here
        may_act="true" if is_about_tenant else "is_active",
        may_be_absent=principal.authz_version is None,
        authz_version="authz_version" if principal.authz_version is None else int(principal.authz_version),
        scripts_version="scripts_version" if principal.scripts_version is None else int(principal.scripts_version),
        is_signed_in=_is_signed_in(context),
    )


def _is_signed_in(context: Context) -> str:
    session_id = context.principal.session_id
    if session_id is None:
        return "true"
    return _IS_SIGNED_IN.format(tenant_id=UUID(int=context.tenant_id.int), session_id=UUID(int=session_id.int))


async def _refuse(transaction: Transaction, context: Context) -> None:
    if (await transaction.execute(_IS_ACTIVE, {"tenant_id": context.tenant_id})).scalar_one_or_none() is False:
        raise TenantDisabled("This tenant is switched off: ask its operator.")
    raise StaleAuthorization
