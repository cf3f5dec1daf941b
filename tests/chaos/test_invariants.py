"""A check that cannot fail proves nothing: each invariant is broken in every way that it is to notice."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from rustok.catalog import MODULES
from rustok.kernel.event import AggregateKey, shard_of
from rustok.modules.alloy.documents import run_id_of
from rustok.testing import Database, DatabaseServer, PlatformUnderTest
from tests.chaos.evidence import Answer, Bound, Evidence, Promise
from tests.chaos.invariants import INVARIANTS, check
from tests.chaos.rebuild import rebuilt_checksums
from tests.chaos.witness import WITNESS, create_witness

HOOK = UUID(int=7)

_CREATED = text("SELECT event_id, aggregate_id FROM event_log WHERE type = 'commerce.product.created'")
_RUN = """
    INSERT INTO finished_jobs (tenant_id, id, queue, kind, args, outcome, attempts, actor, correlation_id,
                               created_at, finished_at)
    VALUES ($1, $2, 'scripts', 'alloy.run', jsonb_build_object('event', jsonb_build_object('aggregate_id', $3::text)),
            'done', 1, 'test', $2, now(), now())
"""
_SPEAK = """
    INSERT INTO event_log (position, shard, event_id, type, schema_version, tenant_id, aggregate_type, aggregate_id,
                           aggregate_version, correlation_id, causation_id, actor, occurred_at, payload)
    SELECT max(position) + 1, $1, gen_random_uuid(), 'alloy.run.emitted', 1, $2, 'run', $3, 1, $3, $3, 'test', now(),
           jsonb_build_object('script_id', $4::text, 'data', jsonb_build_object('event', $5::text))
      FROM event_log
"""


_TABLES = (
    *("products", "product_translations", "variants", "prices", "event_log", "jobs", "finished_jobs"),
    *("parked_aggregates", "index_products", "index_versions", "witness_effects", "audit_log"),
)

WITHOUT_FOREIGN_KEYS = "SET session_replication_role = replica"
FORGED_PRODUCT = """
    INSERT INTO products SELECT tenant_id, gen_random_uuid(), status, vendor, product_type, tags, rich_description, seo,
                                version, created_at, updated_at, published_at FROM products
"""
SECOND_EFFECT = """
    INSERT INTO witness_effects (event_id, tenant_id, aggregate_id, aggregate_version)
    SELECT event_id, tenant_id, aggregate_id, aggregate_version FROM witness_effects LIMIT 1
"""
SECOND_WORD = """
    INSERT INTO event_log
    SELECT position + 1, shard, gen_random_uuid(), type, schema_version, tenant_id, aggregate_type, gen_random_uuid(),
           aggregate_version, correlation_id, causation_id, traceparent, actor, occurred_at, recorded_at, payload
      FROM event_log WHERE type = 'alloy.run.emitted'
"""
STAGED_GHOST = """
    INSERT INTO outbox (shard, event_id, type, schema_version, tenant_id, aggregate_type, aggregate_id,
                        aggregate_version, correlation_id, causation_id, actor, occurred_at, payload)
    SELECT shard, gen_random_uuid(), type, schema_version, tenant_id, aggregate_type, gen_random_uuid(),
           aggregate_version, correlation_id, causation_id, actor, occurred_at, payload
      FROM event_log WHERE aggregate_id = :product
"""
WAITING_RUN = """
    INSERT INTO jobs (tenant_id, id, queue, kind, args, priority, state, max_attempts, due_at, actor, correlation_id,
                      created_at)
    SELECT :owner, gen_random_uuid(), queue, kind, args, 0, 'ready', 5, now(), actor, correlation_id, now()
      FROM finished_jobs
"""
DEAD_RUN = """
    INSERT INTO jobs (tenant_id, id, queue, kind, args, priority, state, max_attempts, due_at, actor, correlation_id,
                      created_at)
    SELECT tenant_id, id, queue, kind, args, 0, 'dead', 5, now(), actor, correlation_id, now() FROM finished_jobs;
    DELETE FROM finished_jobs
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """A platform at rest, of which all that it should hold is known."""

    platform: PlatformUnderTest
    evidence: Evidence
    tenant: UUID
    other: UUID
    product: UUID

    async def tamper(self, statements: str) -> None:
        """Do what no code of the platform may do, and what foreign keys would not let it."""
        for name in ("tenant", "other", "product"):
            statements = statements.replace(f":{name}", f"'{getattr(self, name)}'")
        await as_administrator(self.platform.database, f"{WITHOUT_FOREIGN_KEYS}; {statements}")


@pytest.fixture(scope="module")
async def untouched(database_server: DatabaseServer) -> AsyncIterator[Scene]:
    """Two tenants with a product each, published, and one of them with a hook that has run."""
    async with database_server.throw_away() as database:
        await create_witness(database)
        async with PlatformUnderTest.open((*MODULES, WITNESS), database) as platform:
            tenant, other = [await platform.create_tenant(slug) for slug in ("acme", "globex")]
            promises = [await create(platform, owner) for owner in (tenant, other)]
            await platform.settle()
            await run_hook(platform, tenant)
            evidence = Evidence(frozenset(promises), await rebuilt_checksums(platform), {tenant: HOOK})
            await as_administrator(database, "CREATE SCHEMA untouched")
            await as_administrator(database, "; ".join(f"CREATE TABLE untouched.{t} AS TABLE {t}" for t in _TABLES))
            yield Scene(platform, evidence, tenant, other, promises[0].aggregate_id)


@pytest.fixture
async def scene(untouched: Scene) -> AsyncIterator[Scene]:
    """What the test before has tampered with is as it was: a database a test would take longer than the tests."""
    yield untouched
    restored = [f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM untouched.{table}" for table in _TABLES]
    await as_administrator(
        untouched.platform.database, "; ".join([WITHOUT_FOREIGN_KEYS, "DELETE FROM outbox", *restored])
    )


async def as_administrator(database: Database, statements: str) -> None:
    admin = await asyncpg.connect(database.admin_url)
    try:
        await admin.execute(statements)
    finally:
        await admin.close()


async def create(platform: PlatformUnderTest, tenant: UUID) -> Promise:
    """Create and publish a product, which is two events."""
    product = await platform.run(
        "commerce.products.create",
        tenant,
        status="active",
        translations={"en": {"title": "Lamp"}},
        variants=[{"sku": "LAMP", "prices": {"EUR": {"amount": 100}}}],
    )
    return Promise(tenant, product.id, product.version)


async def run_hook(platform: PlatformUnderTest, tenant: UUID) -> None:
    """Leave behind what the hook leaves when it has run on the tenant's one new product."""
    async with platform.system_engine.connect() as connection:
        rows = await connection.execute(text(f"{_CREATED.text} AND tenant_id = :tenant"), {"tenant": tenant})
        event_id, product = rows.one()
    run_id = run_id_of(event_id, HOOK)
    admin = await asyncpg.connect(platform.database.admin_url)
    try:
        await admin.execute(_RUN, tenant, run_id, str(product))
        shard = shard_of(AggregateKey(tenant, run_id))
        await admin.execute(_SPEAK, shard, tenant, run_id, str(HOOK), str(event_id))
    finally:
        await admin.close()


async def test_a_platform_at_rest_has_no_faults(scene: Scene) -> None:
    """Nothing is found where nothing was tampered with."""
    assert await check(scene.platform.system_engine, scene.evidence) == {name: [] for name in INVARIANTS}


@pytest.mark.parametrize(
    ("invariant", "tampering", "told"),
    [
        ("I1", "DELETE FROM products WHERE id = :product", "source lacks version 2"),
        ("I1", "DELETE FROM event_log WHERE aggregate_id = :product", "log lacks version 2"),
        ("I1", "DELETE FROM index_versions WHERE aggregate_id = :product", "commerce.index_products lacks version 2"),
        ("I1", "DELETE FROM witness_effects WHERE aggregate_id = :product", "witness.effects lacks version 2"),
        ("I1", "DELETE FROM finished_jobs", "has no job for event"),
        ("I1", "DELETE FROM audit_log WHERE tenant_id = :tenant", "access.audit lacks event"),
        (
            "I2",
            FORGED_PRODUCT,
            "source has",
        ),
        ("I2", "UPDATE event_log SET aggregate_id = gen_random_uuid() WHERE aggregate_id = :product", "log has"),
        (
            "I2",
            "UPDATE index_products SET product_id = gen_random_uuid() WHERE product_id = :product",
            "commerce.index_products has",
        ),
        ("I2", STAGED_GHOST, "outbox has"),
        (
            "I2",
            "UPDATE witness_effects SET aggregate_id = gen_random_uuid() WHERE aggregate_id = :product",
            "witness.effects has",
        ),
        ("I2", "UPDATE products SET version = 1 WHERE id = :product", "log, version 2 has"),
        (
            "I3",
            SECOND_EFFECT,
            "witness.effects had 2 effects of event",
        ),
        (
            "I3",
            SECOND_WORD,
            f"hook {HOOK} had 2 effects of event",
        ),
        ("I3", "DELETE FROM event_log WHERE type = 'alloy.run.emitted'", "and has had no effect"),
        ("I3", "UPDATE audit_log SET number = 2", "row 1 is missing"),
        (
            "I4",
            "UPDATE event_log SET aggregate_version = 3 - aggregate_version WHERE aggregate_id = :product",
            "log: version 1 of",
        ),
        (
            "I4",
            "UPDATE witness_effects SET aggregate_version = 3 - aggregate_version WHERE aggregate_id = :product",
            "witness.effects: version 1 of",
        ),
        ("I5", "DELETE FROM index_products WHERE product_id = :product", "index None"),
        ("I5", "UPDATE index_products SET title = 'Lump' WHERE product_id = :product", "index (1, "),
        ("I5", "UPDATE product_translations SET title = 'Lump' WHERE product_id = :product", "source (1, "),
        ("I6", "DELETE FROM witness_effects WHERE aggregate_version = 1", "4 events, but 2 done, 0 pending, 0 parked"),
        ("I6", "DELETE FROM finished_jobs", "1 runs were to be made, 0 have ended"),
        ("I6", WAITING_RUN.replace(":owner", "tenant_id"), "1 runs were to be made, 2 have ended, wait or are dead"),
        ("I6", "DELETE FROM event_log WHERE position = 1", "and ends at"),
        ("I7", "UPDATE products SET tenant_id = :other WHERE id = :product", "products has"),
        (
            "I7",
            "UPDATE product_translations SET tenant_id = :other, handle = 'moved' WHERE product_id = :product",
            "product_translations has",
        ),
        ("I7", "UPDATE variants SET tenant_id = :other, sku = NULL WHERE product_id = :product", "variants has"),
        ("I7", "UPDATE index_products SET tenant_id = :other WHERE product_id = :product", "index_products has"),
        ("I7", "UPDATE index_versions SET tenant_id = :other WHERE aggregate_id = :product", "index_versions has"),
        ("I7", "UPDATE witness_effects SET tenant_id = :other WHERE aggregate_id = :product", "witness_effects has"),
        ("I7", "UPDATE event_log SET tenant_id = :other WHERE aggregate_id = :product", "event_log has"),
        ("I7", "UPDATE finished_jobs SET tenant_id = :other", "finished_jobs has"),
        ("I7", WAITING_RUN.replace(":owner", ":other"), "jobs has"),
    ],
)
async def test_what_is_tampered_with_is_named(scene: Scene, invariant: str, tampering: str, told: str) -> None:
    """A row lost, forged, doubled, exchanged, changed or moved makes the check of its invariant fail."""
    await scene.tamper(tampering)

    faults = await check(scene.platform.system_engine, scene.evidence)

    assert any(told in fault for fault in faults[invariant]), faults


@pytest.mark.parametrize(
    ("invariant", "changes", "told"),
    [
        ("I5", {"rebuilt": {}}, "rebuilt None"),
        ("I8", {"settled_s": Bound(61.0, 60.0)}, "seconds to settle: 61, at most 60"),
        ("I9", {"bounds": {"outbox rows": Bound(5_000, 1_000)}}, "outbox rows: 5000, at most 1000"),
        ("I10", {"answers": Counter({Answer(500, True): 1})}, "1 answers were 500"),
        ("I10", {"answers": Counter({Answer(503, False): 2})}, "2 answers were 503 without Retry-After"),
    ],
)
async def test_what_was_measured_is_judged(scene: Scene, invariant: str, changes: Any, told: str) -> None:
    """A rebuild that differs, a slow end, a full queue and a bare 5xx make the check of their invariant fail."""
    evidence = replace(scene.evidence, **changes)

    faults = await check(scene.platform.system_engine, evidence)

    assert any(told in fault for fault in faults[invariant]), faults


async def test_what_is_parked_is_not_lost(scene: Scene) -> None:
    """Events that wait behind a failure are kept: only a missing record of it is a loss."""
    await scene.tamper(
        """
        DELETE FROM witness_effects WHERE aggregate_id = :product;
        INSERT INTO parked_aggregates
        SELECT 'witness.effects', shard, tenant_id, aggregate_id, aggregate_type, position, 'dead', 5, now(), 'x', now()
          FROM event_log WHERE aggregate_id = :product AND aggregate_version = 1
        """
    )

    assert await check(scene.platform.system_engine, scene.evidence) == {name: [] for name in INVARIANTS}


async def test_a_run_that_is_dead_is_not_lost(scene: Scene) -> None:
    """It waits for a redrive: the books know it."""
    await scene.tamper(DEAD_RUN)

    assert await check(scene.platform.system_engine, scene.evidence) == {name: [] for name in INVARIANTS}
