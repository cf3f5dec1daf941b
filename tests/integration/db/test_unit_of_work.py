"""One unit of work: a transaction bound to a tenant, its events, and what happens after its commit."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from rustok.db.engine import open_engine
from rustok.db.transaction import AbortedTransaction
from rustok.db.unit_of_work import (
    SetInsert,
    StaleAuthorization,
    TenantDisabled,
    UnitOfWork,
    UnitOfWorkFactory,
    UnlockedRoot,
)
from rustok.kernel.context import Context, Principal
from rustok.kernel.errors import Conflict, Unavailable, VersionMismatch
from rustok.kernel.event import Event
from rustok.kernel.ids import uuid7
from rustok.kernel.secrets import Secrets
from rustok.testing import Database, DatabaseServer, FixedClock, RecordingTransport

_INSERT = text(
    "INSERT INTO products (tenant_id, id, status, version, created_at, updated_at)"
    " VALUES (:tenant_id, :id, 'draft', 1, now(), now())"
)
_COUNT = text("SELECT count(*) FROM products")


_SET_INSERT = SetInsert(
    text(
        "INSERT INTO products (tenant_id, id, status, version, created_at, updated_at)"
        " SELECT CAST(:tenant_id AS uuid), id, 'draft', 1, CAST(:now AS timestamptz), CAST(:now AS timestamptz)"
        " FROM json_to_recordset(CAST(:products AS json)) AS p (id uuid)"
    ),
    {"products_pkey": (Conflict, "There is such a product.")},
)


class Wound(Event):
    """A clock was wound."""

    type: ClassVar = "clocks.clock.wound"
    aggregate: ClassVar = "clock"
    example: ClassVar = {"turns": 3}

    turns: int


class Refused(Exception):
    """A rule of a service says no."""


@dataclass(frozen=True, slots=True)
class Units:
    """Units of work of one tenant, and what their transport was given."""

    factory: UnitOfWorkFactory
    transport: RecordingTransport
    tenant_id: UUID
    database: Database

    def context(self, authz_version: int | None = None) -> Context:
        return Context(tenant_id=self.tenant_id, principal=Principal("apikey", "key-1", frozenset(), authz_version))

    async def as_admin(self, statement: str) -> None:
        admin = await asyncpg.connect(self.database.admin_url)
        await admin.execute(statement)
        await admin.close()

    async def products(self) -> int:
        async with self.factory.begin(self.context(), read_only=True) as uow:
            return int((await uow.execute(_COUNT)).scalar_one())


@pytest.fixture(scope="module")
async def shared_database(database_server: DatabaseServer) -> AsyncIterator[Database]:
    """One database for the whole file: each test has a tenant of its own, behind its own fence."""
    async with database_server.throw_away() as database:
        yield database


@pytest.fixture
async def units(shared_database: Database) -> AsyncIterator[Units]:
    tenant_id, transport = uuid7(), RecordingTransport()
    async with open_engine(shared_database.app_url, pool_size=2, pool_timeout_s=0.05) as engine:
        factory = UnitOfWorkFactory(engine, transport, FixedClock(), Secrets("a secret of the tests, long enough"))
        units = Units(factory, transport, tenant_id, shared_database)
        await units.as_admin(
            "INSERT INTO tenants (id, slug, name, default_locale, default_currency, version, created_at, updated_at)"
            f" VALUES ('{tenant_id}', '{tenant_id}', 'Acme', 'en', 'EUR', 1, now(), now())"
        )
        yield units


async def insert_product(uow: UnitOfWork) -> None:
    await uow.execute(_INSERT, {"tenant_id": uow.tenant_id, "id": uow.new_id()})


async def test_rows_and_events_are_committed_together(units: Units) -> None:
    """Leaving the block is the commit."""
    clock = uuid7()

    async with units.factory.begin(units.context()) as uow:
        await insert_product(uow)
        uow.hold("clock", clock, 0)
        uow.emit(Wound(turns=3), clock)

    assert (await units.products(), units.transport.types) == (1, ["clocks.clock.wound"])


async def test_an_exception_rolls_rows_and_events_back(units: Units) -> None:
    """All or nothing."""
    clock = uuid7()

    with suppress(Refused):
        async with units.factory.begin(units.context()) as uow:
            await insert_product(uow)
            uow.hold("clock", clock, 0)
            uow.emit(Wound(turns=3), clock)
            raise Refused

    assert (await units.products(), units.transport.types) == (0, [])


async def test_rows_that_wait_are_there_for_the_next_statement(units: Units) -> None:
    """Whoever inserts and then reads, reads what it inserted."""
    async with units.factory.begin(units.context()) as uow:
        for _ in range(2):
            uow.insert(_SET_INSERT, {"products": [{"id": uow.new_id()}]})
        count = (await uow.execute(_COUNT)).scalar_one()

    assert (count, await units.products()) == (2, 2)


async def test_rows_that_wait_are_committed_without_another_statement(units: Units) -> None:
    """Leaving the block is enough."""
    async with units.factory.begin(units.context()) as uow:
        uow.insert(_SET_INSERT, {"products": [{"id": uow.new_id()}]})

    assert await units.products() == 1


async def test_rows_that_wait_are_forgotten_after_an_exception(units: Units) -> None:
    """All or nothing."""
    with suppress(Refused):
        async with units.factory.begin(units.context()) as uow:
            uow.insert(_SET_INSERT, {"products": [{"id": uow.new_id()}]})
            raise Refused

    assert await units.products() == 0


async def test_a_conflict_of_rows_that_waited_has_its_name(units: Units) -> None:
    """As if they had been inserted at once."""
    row = {"id": uuid7()}
    with pytest.raises(Conflict, match="There is such a product"):
        async with units.factory.begin(units.context()) as uow:
            uow.insert(_SET_INSERT, {"products": [row, row]})

    assert await units.products() == 0


async def test_units_alongside_share_the_transaction_and_not_the_caller(units: Units) -> None:
    """Rows and events of all are committed together; each event names its own actor."""
    clocks = [uuid7(), uuid7()]
    others = [units.context(), units.context()]

    async with units.factory.begin(units.context()) as uow:
        for clock, context in zip(clocks, others, strict=True):
            unit = uow.alongside(context)
            unit.insert(_SET_INSERT, {"products": [{"id": clock}]})
            unit.hold("clock", clock, 0)
            unit.emit(Wound(turns=3), clock)

    assert await units.products() == 2
    assert [event.correlation_id for event in units.transport.published] == [other.correlation_id for other in others]


async def test_an_event_of_a_root_that_is_not_held_is_refused(units: Units) -> None:
    """Without the lock the order of the aggregate's events would be lost."""
    async with units.factory.begin(units.context()) as uow:
        uow.hold("clock", uuid7(), 4)

        with pytest.raises(UnlockedRoot, match=r"clocks\.clock\.wound was emitted without holding the row of clock"):
            uow.emit(Wound(turns=3), uuid7())


async def test_holding_a_root_of_another_type_with_the_same_id_is_not_enough(units: Units) -> None:
    """Type and id together name the row."""
    clock = uuid7()
    async with units.factory.begin(units.context()) as uow:
        uow.hold("watch", clock, 4)

        with pytest.raises(UnlockedRoot):
            uow.emit(Wound(turns=3), clock)


async def test_each_event_raises_the_version_of_its_aggregate_by_one(units: Units) -> None:
    """From the version that the row had; `emit` returns what the row must get."""
    held, new = uuid7(), uuid7()

    async with units.factory.begin(units.context()) as uow:
        uow.hold("clock", held, 4)
        uow.hold("clock", new, 0)
        versions = [uow.emit(Wound(turns=1), held), uow.emit(Wound(turns=2), new), uow.emit(Wound(turns=3), held)]

    published = [(e.aggregate_id, e.aggregate_version) for e in units.transport.published]
    assert (versions, published) == ([5, 1, 6], [(held, 5), (new, 1), (held, 6)])


async def test_holding_a_root_again_does_not_set_its_version_back(units: Units) -> None:
    """Two commands of one transaction lock the same row: the second reads what the first has not written yet."""
    clock = uuid7()
    async with units.factory.begin(units.context()) as uow:
        uow.hold("clock", clock, 4)
        uow.emit(Wound(turns=1), clock)
        uow.hold("clock", clock, 4)

        assert uow.emit(Wound(turns=1), clock) == 6


async def test_an_event_carries_the_circumstances_of_its_command(units: Units) -> None:
    """Who, for whom, when, and in what chain of causes."""
    clock, context = uuid7(), units.context()

    async with units.factory.begin(context) as uow:
        uow.hold("clock", clock, 0)
        uow.emit(Wound(turns=3), clock)

    [event] = units.transport.published
    assert (event.tenant_id, event.actor, event.occurred_at) == (units.tenant_id, "apikey:key-1", FixedClock().now())
    assert (event.correlation_id, event.causation_id) == (context.correlation_id, context.causation_id)
    assert (event.aggregate_type, event.schema_version, event.payload) == ("clock", 1, {"turns": 3})


@pytest.mark.parametrize("stored", [1, 3, 5])
async def test_a_version_that_the_caller_has_not_seen_is_refused(units: Units, stored: int) -> None:
    """The message names both, so that the caller knows which to read again."""
    async with units.factory.begin(units.context()) as uow:
        with pytest.raises(VersionMismatch, match=f"The clock is at version {stored}, not 4"), uow.expecting(4):
            uow.hold("clock", uuid7(), stored)


async def test_the_version_that_the_caller_has_seen_is_taken(units: Units) -> None:
    """Also when another event of the same transaction has raised it meanwhile."""
    clock = uuid7()
    async with units.factory.begin(units.context()) as uow:
        with uow.expecting(4):
            uow.hold("clock", clock, 4)
            uow.emit(Wound(turns=3), clock)

            uow.hold("clock", clock, 5)


async def test_a_new_aggregate_has_no_version_to_expect(units: Units) -> None:
    """A command that changes one aggregate may create another."""
    async with units.factory.begin(units.context()) as uow:
        with uow.expecting(4):
            uow.hold("clock", uuid7(), 4)

            uow.hold("clock", uuid7(), 0)


async def test_a_version_that_is_compared_with_nothing_is_refused(units: Units) -> None:
    """Its caller relies on a check that there was not."""
    async with units.factory.begin(units.context()) as uow:
        with pytest.raises(VersionMismatch, match="nothing here whose version"), uow.expecting(4):
            uow.hold("clock", uuid7(), 0)


async def test_rights_that_are_older_than_the_tenants_rules_are_refused(units: Units) -> None:
    """A revocation holds from the next request on, in every process."""
    await units.as_admin(f"UPDATE tenants SET authz_version = 8 WHERE id = '{units.tenant_id}'")

    with pytest.raises(StaleAuthorization):
        async with units.factory.begin(units.context(authz_version=7)):
            pass


async def test_rights_of_the_tenants_present_rules_are_taken(units: Units) -> None:
    """The tenant's row is looked at inside the tenant's own fence."""
    await units.as_admin(f"UPDATE tenants SET authz_version = 8 WHERE id = '{units.tenant_id}'")

    async with units.factory.begin(units.context(authz_version=8)) as uow:
        await insert_product(uow)

    assert await units.products() == 1


async def test_rights_that_do_not_come_from_the_tenants_rules_are_never_stale(units: Units) -> None:
    """An operator, or the platform itself."""
    await units.as_admin(f"UPDATE tenants SET authz_version = 8 WHERE id = '{units.tenant_id}'")

    async with units.factory.begin(units.context(authz_version=None)) as uow:
        await insert_product(uow)

    assert await units.products() == 1


@pytest.mark.parametrize("authz_version", [None, 1])
async def test_a_tenant_that_is_switched_off_is_refused(units: Units, authz_version: int | None) -> None:
    """Whoever asks; the rows stay."""
    await units.as_admin(f"UPDATE tenants SET is_active = false WHERE id = '{units.tenant_id}'")

    with pytest.raises(TenantDisabled):
        async with units.factory.begin(units.context(authz_version)):
            pass


async def test_a_tenant_that_does_not_exist_yet_can_be_worked_for(units: Units) -> None:
    """That is how it is created."""
    nobody = Context(tenant_id=uuid7(), principal=Principal("operator", "x", frozenset()))

    async with units.factory.begin(nobody) as uow:
        assert (await uow.execute(_COUNT)).scalar_one() == 0


async def test_for_a_tenant_that_is_gone_nothing_is_done(units: Units) -> None:
    """Whoever acts for it has read its rules before that, and has to read them again."""
    context = Context(tenant_id=uuid7(), principal=Principal("apikey", "key-1", frozenset(), 1))

    with pytest.raises(StaleAuthorization):
        async with units.factory.begin(context):
            pytest.fail("there is no such tenant")


async def test_the_tenant_is_forgotten_when_the_transaction_ends(units: Units) -> None:
    """The next user of the connection must not inherit it."""
    async with open_engine(units.database.app_url, pool_size=1) as engine:
        factory = UnitOfWorkFactory(engine, units.transport, FixedClock(), Secrets("a secret of the tests"))
        async with factory.begin(units.context()) as uow:
            await insert_product(uow)

        async with engine.begin() as connection:
            seen = (await connection.execute(_COUNT)).scalar_one()

    assert seen == 0


async def test_a_hook_is_called_after_the_commit(units: Units) -> None:
    """Not before: what it announces must be there."""
    called: list[str] = []

    async with units.factory.begin(units.context()) as uow:
        uow.after_commit(lambda: called.append("hook"))
        called.append("body")

    assert called == ["body", "hook"]


async def test_a_hook_is_not_called_after_a_rollback(units: Units) -> None:
    """There is nothing to announce."""
    called: list[str] = []

    with suppress(Refused):
        async with units.factory.begin(units.context()) as uow:
            uow.after_commit(lambda: called.append("hook"))
            raise Refused

    assert called == []


async def test_a_hook_is_not_called_when_the_commit_itself_fails(units: Units) -> None:
    """A connection that is lost before COMMIT has committed nothing."""
    called: list[str] = []

    with suppress(Unavailable):
        async with units.factory.begin(units.context()) as uow:
            uow.after_commit(lambda: called.append("hook"))
            pid = (await uow.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await units.as_admin(f"SELECT pg_terminate_backend({pid})")

    assert called == []


async def test_a_service_that_goes_on_after_a_failed_statement_is_not_told_that_it_has_committed(units: Units) -> None:
    """PostgreSQL answers COMMIT with ROLLBACK then, and with no error: a 2xx would be a lie."""
    called: list[str] = []

    async def go_on() -> None:
        async with units.factory.begin(units.context()) as uow:
            uow.after_commit(lambda: called.append("hook"))
            await insert_product(uow)
            with suppress(Exception):
                await uow.execute(text("SELECT 1 / 0"))

    with pytest.raises(AbortedTransaction):
        await go_on()

    assert (called, await units.products()) == ([], 0)


async def test_a_read_only_unit_of_work_cannot_write(units: Units) -> None:
    """The transaction refuses, whatever the handler of a query tries."""
    with pytest.raises(Exception, match=r".") as refused:
        async with units.factory.begin(units.context(), read_only=True) as uow:
            await insert_product(uow)

    cause = refused.value.__cause__ or refused.value
    assert "read-only transaction" in str(cause)
    assert await units.products() == 0


async def test_a_read_only_unit_of_work_cannot_be_made_to_write(units: Units) -> None:
    """The setting is one way."""
    with pytest.raises(Exception, match=r"transaction_read_only|read-write"):
        async with units.factory.begin(units.context(), read_only=True) as uow:
            await uow.execute(text("SET LOCAL transaction_read_only = off"))


async def test_reading_only_is_forgotten_when_the_transaction_ends(units: Units) -> None:
    """The next user of the connection may write."""
    await units.products()

    async with units.factory.begin(units.context()) as uow:
        await insert_product(uow)

    assert await units.products() == 1


async def test_a_server_that_cannot_be_reached_is_unavailable(units: Units) -> None:
    """Come back later: the caller learns that nothing is wrong with the request."""
    async with open_engine("postgresql://rustok_app:app@127.0.0.1:1/rustok") as engine:
        factory = UnitOfWorkFactory(engine, units.transport, FixedClock(), Secrets("a secret of the tests"))

        with pytest.raises(Unavailable):
            async with factory.begin(units.context()):
                pass


async def test_a_pool_without_a_free_connection_is_unavailable(units: Units) -> None:
    """A request waits for a bounded time only."""
    context = units.context()
    async with units.factory.begin(context), units.factory.begin(context):
        with pytest.raises(Unavailable):
            async with units.factory.begin(context):
                pass


async def test_a_connection_that_is_lost_in_the_middle_is_unavailable(units: Units) -> None:
    """The caller may try again, and the pool gives it a good connection then."""

    async def lose_the_connection() -> None:
        async with units.factory.begin(units.context()) as uow:
            pid = (await uow.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await units.as_admin(f"SELECT pg_terminate_backend({pid})")
            await insert_product(uow)

    with pytest.raises(Unavailable):
        await lose_the_connection()

    async with units.factory.begin(units.context()) as uow:
        await insert_product(uow)
    assert await units.products() == 1


async def test_a_deadlock_is_unavailable(units: Units) -> None:
    """PostgreSQL ends one of the two; the same request succeeds when it is made again."""
    first, second = uuid7(), uuid7()
    async with units.factory.begin(units.context()) as uow:
        for product in (first, second):
            await uow.execute(_INSERT, {"tenant_id": uow.tenant_id, "id": product})
    both_hold_one = asyncio.Barrier(2)
    lock = text("SELECT 1 FROM products WHERE id = :id FOR UPDATE")

    async def take(one: UUID, other: UUID) -> None:
        async with units.factory.begin(units.context()) as uow:
            await uow.execute(lock, {"id": one})
            await both_hold_one.wait()
            await uow.execute(lock, {"id": other})

    outcomes = await asyncio.gather(take(first, second), take(second, first), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes if outcome is not None] == [Unavailable]


async def test_a_fault_of_the_data_is_not_unavailable(units: Units) -> None:
    """Trying again would not mend it."""
    product = uuid7()
    async with units.factory.begin(units.context()) as uow:
        await uow.execute(_INSERT, {"tenant_id": uow.tenant_id, "id": product})

    with pytest.raises(Exception, match="products_pkey") as refused:
        async with units.factory.begin(units.context()) as uow:
            await uow.execute(_INSERT, {"tenant_id": uow.tenant_id, "id": product})

    assert not isinstance(refused.value, Unavailable)


async def test_a_server_that_froze_is_given_up(shared_database: Database) -> None:
    """A frozen server, or one behind a dead network, closes nothing: only our own clock ends the wait."""
    async with open_engine(shared_database.app_url, reply_timeout_s=0.3) as engine:
        factory = UnitOfWorkFactory(
            engine, RecordingTransport(), FixedClock(), Secrets("a secret of the tests, long enough")
        )
        context = Context(tenant_id=uuid7(), principal=Principal("operator", "somebody", frozenset()))
        frozen: list[int] = []

        async def freeze_and_ask() -> None:
            async with asyncio.timeout(10), factory.begin(context) as uow:
                frozen.append((await uow.execute(text("SELECT pg_backend_pid()"))).scalar_one())
                os.kill(frozen[0], signal.SIGSTOP)
                await uow.execute(_COUNT)

        with pytest.raises(Unavailable):
            await freeze_and_ask()

        os.kill(frozen[0], signal.SIGCONT)
        async with factory.begin(context) as uow:
            assert (await uow.execute(_COUNT)).scalar_one() == 0
