"""The audit log: each event that counts gets one row, in the chain of its tenant, outside of the request."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from rustok.bootstrap import build_consumers
from rustok.catalog import MODULES
from rustok.db.transaction import begin
from rustok.events.consumer import ConsumerConfig
from rustok.kernel.event import LoggedEvent, matches
from rustok.kernel.ids import uuid7
from rustok.kernel.registry import build_registry
from rustok.modules.access import NO_ROW, head_of_audit, verify_audit
from rustok.modules.access.audit import AUDITED, append_events
from rustok.modules.access.roles import BUILT_IN_ROLES, Roles
from rustok.testing import Database, PlatformUnderTest
from tests.integration.access.auditing import append, key_events, rows_of
from tests.under_fire import answered

REGISTRY = build_registry(MODULES)
NOT_AUDITED = {
    "alloy.run.*": "what scripts do is in their own log, with the correlation id of what it has changed",
    "blog.*": "business: the event log has it",
    "commerce.*": "business: the event log has it",
    "content.*": "business: the event log has it",
    "tenants.tenant.erased": "nobody's: its tenant is gone, and so is its chain",
}
"""Events without a row, and why."""

FORGED_ERASURE = "CREATE TEMP TABLE erased_tenants AS SELECT id, NULL::timestamptz AS ended_at FROM tenants"


async def make_roles(rustok: PlatformUnderTest, tenant_id: UUID, count: int) -> None:
    for _ in range(count):
        await rustok.run("access.roles.create", tenant_id, name=f"role-{uuid7().hex}")


def test_every_event_is_audited_or_there_is_a_reason() -> None:
    """Whoever publishes a new one decides."""
    types = {event_type for event_type, _ in REGISTRY.events}
    audited = {t for t in types if any(matches(pattern, t) for pattern in AUDITED)}
    excused = {t for t in types if any(matches(pattern, t) for pattern in NOT_AUDITED)}

    assert audited | excused == types
    assert audited & excused == set()


def test_the_module_that_audits_is_never_off() -> None:
    """What happens while a module is off is hidden from its subscriptions."""
    assert not REGISTRY.module_of("access.audit").kind.may_be_off


@pytest.mark.parametrize("role", BUILT_IN_ROLES)
def test_owners_and_admins_read_the_audit_log(role: str) -> None:
    """Nobody else does, unless a role of their own says so."""
    may_read = "access.audit.read" in Roles(REGISTRY.permissions.values()).built_in(role)

    assert may_read == (role in {"owner", "admin"})


@pytest.mark.under_fire
async def test_what_was_done_about_access_is_listed_the_newest_first(rustok: PlatformUnderTest) -> None:
    """With who has done it, and the facts of the event; what is business is not there."""
    tenant = await rustok.create_tenant("acme")
    service = await rustok.run("access.service_principals.create", tenant, name="shop", roles=["manager"])
    key = await rustok.run("access.api_keys.create", tenant, name="shop", principal_id=str(service.id))
    await rustok.run("commerce.products.create", tenant, translations={"en": {"title": "Kettle"}})
    await rustok.run("access.api_keys.revoke", tenant, key_id=key.key_id)
    await rustok.settle()

    page = await rustok.query("access.audit.list", tenant)

    assert [(entry.number, entry.type, entry.actor) for entry in page.data] == [
        (4, "access.api_key.revoked", "operator:somebody"),
        (3, "access.api_key.created", "operator:somebody"),
        (2, "access.service_principal.created", "operator:somebody"),
        (1, "tenants.tenant.created", "operator:somebody"),
    ]
    assert page.data[1].aggregate_id == key.id
    assert page.data[1].payload == {
        "key_id": key.key_id, "principal_id": str(service.id), "scopes": None, "expires_at": None,
    }  # fmt: skip
    assert str(await head_of_audit(rustok.system_engine, tenant)) == f"4:{page.data[0].hash}"


async def test_it_tells_what_a_key_was_granted_and_for_how_long(rustok: PlatformUnderTest) -> None:
    """Of the one that was created, and of its successor."""
    tenant = await rustok.create_tenant("acme")
    granted: dict[str, Any] = {
        "scopes": ["commerce.products.read", "index.products.read"],
        "expires_at": "2999-01-01T00:00:00Z",
    }
    key = await rustok.run("access.api_keys.create", tenant, name="shop", role="manager", **granted)
    await rustok.run("access.api_keys.rotate", tenant, key_id=key.key_id)
    await rustok.settle()

    page = await rustok.query("access.audit.list", tenant, type="access.api_key.created")

    told = [{name: entry.payload[name] for name in granted} for entry in page.data]
    assert told == [{**granted, "expires_at": "2999-01-01T00:00:00+00:00"}] * 2


@pytest.mark.parametrize(
    ("create", "update", "name", "fields"),
    [
        ("access.users.create", "access.users.update", "user_id", {"email": "ada@example.com"}),
        ("access.service_principals.create", "access.service_principals.update", "principal_id", {}),
    ],
)
async def test_it_tells_who_was_switched_off_and_on(
    rustok: PlatformUnderTest, create: str, update: str, name: str, fields: dict[str, Any]
) -> None:
    """Whatever else has changed, it says whether somebody is active since then."""
    tenant = await rustok.create_tenant("acme")
    made = await rustok.run(create, tenant, name="Ada", **fields)
    changes: list[dict[str, Any]] = [{"is_active": False}, {"name": "Eve"}, {"is_active": True}]
    for version, change in enumerate(changes, 1):
        await rustok.run(update, tenant, seen=version, **{name: str(made.id), **change})
    await rustok.settle()

    page = await rustok.query("access.audit.list", tenant, type=f"{create.rsplit('s.', 1)[0]}.updated")

    assert [entry.payload for entry in page.data] == [
        {"changed": ["is_active"], "is_active": True},
        {"changed": ["name"], "is_active": False},
        {"changed": ["is_active"], "is_active": False},
    ]


async def test_the_list_is_filtered_by_type_and_by_actor(rustok: PlatformUnderTest) -> None:
    """A type, all of a kind, or whoever it was."""
    tenant = await rustok.create_tenant("acme")
    key = await rustok.run("access.api_keys.create", tenant, name="shop", role="manager")
    await rustok.run("access.api_keys.revoke", tenant, key_id=key.key_id)
    await append(rustok.system_engine, [replace(event, actor="operator:anna") for event in key_events(tenant, 1)])
    await rustok.settle()

    async def numbers(**filters: str) -> list[int]:
        return [entry.number for entry in (await rustok.query("access.audit.list", tenant, **filters)).data]

    assert await numbers() == [5, 4, 3, 2, 1]
    assert await numbers(type="access.api_key.created") == [4, 1]
    assert await numbers(type="tenants.*") == [2]
    assert await numbers(actor="operator:anna") == [1]
    assert await numbers(type="access.*", actor="operator:somebody") == [5, 4, 3]
    assert await numbers(actor="nobody:at-all") == []


@pytest.mark.under_fire
async def test_each_tenant_has_a_chain_of_its_own(rustok: PlatformUnderTest) -> None:
    """Also where one batch has events of many: numbers begin with 1, and each sees its own rows alone."""
    tenants = [await rustok.create_tenant(f"tenant-{number}") for number in range(5)]
    for count in (1, 3):
        for tenant in tenants:
            await make_roles(rustok, tenant, count)
    await rustok.settle()

    for tenant in tenants:
        assert [entry.number for entry in (await rustok.query("access.audit.list", tenant)).data] == [5, 4, 3, 2, 1]
        assert await verify_audit(rustok.system_engine, tenant) == (5, None)


@pytest.mark.under_fire
async def test_consumers_that_work_at_the_same_time_keep_the_chains(rustok: PlatformUnderTest) -> None:
    """Each holds other shards of the log; they append one after the other."""
    tenants = [await rustok.create_tenant(f"tenant-{number}") for number in range(3)]
    for tenant in tenants:
        await make_roles(rustok, tenant, 40)
    await rustok.events()
    consumer = build_consumers(REGISTRY, rustok.store, rustok.clock, ConsumerConfig(batch=4))["access.audit"]

    async def drain() -> None:
        while (await consumer.drain()).has_more:
            pass

    await asyncio.gather(*(answered(drain) for _ in range(4)))
    await rustok.settle()

    for tenant in tenants:
        assert await verify_audit(rustok.system_engine, tenant) == (41, None)


async def test_a_batch_that_is_rolled_back_and_tried_again_is_appended_once(rustok: PlatformUnderTest) -> None:
    """Rows and checkpoint are committed together, or neither."""
    tenant = await rustok.create_tenant("acme")
    await make_roles(rustok, tenant, 3)
    events = await rustok.events()

    with pytest.raises(Killed):
        await append_and_be_killed(rustok, events)
    assert await head_of_audit(rustok.system_engine, tenant) == NO_ROW
    await rustok.settle()

    assert await verify_audit(rustok.system_engine, tenant) == (4, None)


async def append_and_be_killed(rustok: PlatformUnderTest, events: Sequence[LoggedEvent]) -> None:
    async with begin(rustok.system_engine, "BEGIN") as (transaction, _):
        await append_events(transaction, events)
        raise Killed


class Killed(Exception):
    pass


async def test_a_log_that_is_read_again_is_appended_once(rustok: PlatformUnderTest) -> None:
    """Whoever sets the checkpoints back: an event has one row, and the chain goes on behind the last."""
    tenant = await rustok.create_tenant("acme")
    await make_roles(rustok, tenant, 3)
    await rustok.settle()
    before = await rows_of(rustok.database, tenant)
    admin = await asyncpg.connect(rustok.database.admin_url)
    await admin.execute("UPDATE checkpoints SET position = 0 WHERE consumer = 'access.audit'")
    await admin.close()

    await make_roles(rustok, tenant, 1)
    await rustok.settle()

    rows = await rows_of(rustok.database, tenant)
    assert rows[:-1] == before
    assert len(rows) == 5
    assert await verify_audit(rustok.system_engine, tenant) == (5, None)


async def test_what_was_appended_is_on_disk_when_it_is_seen(rustok: PlatformUnderTest) -> None:
    """Other effects of consumers may be lost in a crash, and made again. An anchor must not be of such a row."""
    tenant = await rustok.create_tenant("acme")
    [event, *_] = await rustok.events()

    async with begin(rustok.system_engine, "BEGIN; SET LOCAL synchronous_commit = off") as (transaction, _):
        await append_events(transaction, [event])
        rows = await transaction.execute(text("SELECT current_setting('synchronous_commit')"))
        assert rows.scalar_one() == "on"

    assert (await head_of_audit(rustok.system_engine, tenant)).number == 1


async def test_any_payload_holds(rustok: PlatformUnderTest) -> None:
    """JSON comes back from PostgreSQL with other numbers, spaces and order: the hash is of what is stored."""
    tenant = await rustok.create_tenant("acme")
    payload = {"zz": [1e16, 1e300, 1.0, 0.1, -0.0, 2**62], "a": {"b": None, "ü\u2028": "\\\"'\t"}, "": [[], {}, ""]}
    [event] = key_events(tenant, 1)

    await append(rustok.system_engine, [replace(event, payload=payload)])

    assert await verify_audit(rustok.system_engine, tenant) == (1, None)


async def test_business_alone_appends_nothing(rustok: PlatformUnderTest) -> None:
    """And asks PostgreSQL nothing."""
    tenant = await rustok.create_tenant("acme")
    await rustok.run("commerce.products.create", tenant, translations={"en": {"title": "Kettle"}})
    business = [event for event in await rustok.events() if event.envelope.type.startswith("commerce.")]

    await append_events(None, business)  # type: ignore[arg-type] # no transaction is needed

    assert business
    assert await rows_of(rustok.database, tenant) == []


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("app", "INSERT INTO audit_log SELECT * FROM audit_log"),
        ("app", "UPDATE audit_log SET actor = 'x'"),
        ("app", "DELETE FROM audit_log"),
        ("app", "TRUNCATE audit_log"),
        ("system", "UPDATE audit_log SET actor = 'x'"),
        ("system", "DELETE FROM audit_log"),
        ("system", "TRUNCATE audit_log"),
        ("system", f"{FORGED_ERASURE}; DELETE FROM audit_log"),
        ("owner", "UPDATE audit_log SET actor = 'x'"),
        ("owner", "TRUNCATE audit_log"),
        ("admin", "UPDATE audit_log SET actor = 'x'"),
        ("admin", "DELETE FROM audit_log"),
        ("admin", "TRUNCATE audit_log"),
    ],
)
async def test_nobody_changes_or_deletes_a_row(rustok: PlatformUnderTest, role: str, statement: str) -> None:
    """Not by right, or not by the triggers, which bind the owner and a superuser too until they take them away."""
    tenant = await rustok.create_tenant("acme")
    await rustok.settle()

    await refused(rustok.database, role, statement, tenant)

    assert await verify_audit(rustok.system_engine, tenant, await head_of_audit(rustok.system_engine, tenant)) == (
        1,
        None,
    )


async def test_the_erasure_of_another_tenant_opens_nothing(rustok: PlatformUnderTest) -> None:
    """Rows go with their own tenant alone; test_erasure.py has those that do."""
    tenant = await rustok.create_tenant("acme")
    other = await rustok.create_tenant("globex")
    await rustok.settle()
    admin = await asyncpg.connect(rustok.database.admin_url)
    await admin.execute("INSERT INTO erased_tenants (id, requested_by) VALUES ($1, 'operator:x')", other)
    await admin.close()

    await refused(rustok.database, "system", f"DELETE FROM audit_log WHERE tenant_id = '{tenant}'", tenant)

    assert len(await rows_of(rustok.database, tenant)) == 1


async def refused(database: Database, role: str, statement: str, tenant_id: UUID) -> None:
    settings = {"rustok.tenant_id": str(tenant_id)}
    connection = await asyncpg.connect(getattr(database, f"{role}_url"), server_settings=settings)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_batch_is_appended_by_as_many_statements_as_one_event(rustok: PlatformUnderTest) -> None:
    """However many events and tenants: the lock, the heads, the rows."""
    tenants = [await rustok.create_tenant(f"tenant-{number}") for number in range(4)]
    events = [LoggedEvent(1, event) for tenant in tenants for event in key_events(tenant, 100)]

    counts = []
    for batch in (events[:1], events[1:]):
        async with begin(rustok.system_engine, "BEGIN") as (transaction, _):
            counting = Counting(transaction)
            await append_events(counting, batch)  # type: ignore[arg-type] # a transaction that counts
            counts.append(counting.statements)

    assert counts == [3, 3]
    assert [(await head_of_audit(rustok.system_engine, tenant)).number for tenant in tenants] == [100] * 4


class Counting:
    """A transaction that counts its statements."""

    def __init__(self, transaction: object) -> None:
        self._transaction = transaction
        self.statements = 0

    async def execute(self, *arguments: object) -> object:
        self.statements += 1
        return await self._transaction.execute(*arguments)  # type: ignore[attr-defined] # what it counts for
