"""The invariants of delivery, each a check that names what is wrong, and says nothing when all is well.

They are for a platform that has settled, in which clients wrote products and nothing else, and of whose log nothing
was dropped. What an aggregate that is parked waits for counts as kept.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from rustok.db.engine import to_json
from rustok.db.transaction import run_alone
from rustok.modules.access import verify_audit
from rustok.modules.access.audit import AUDITED
from rustok.modules.alloy.documents import run_id_of
from tests.chaos.evidence import Evidence
from tests.checksums import index_checksums, source_checksums

Faults = list[str]
Check = Callable[[AsyncEngine, Evidence], Awaitable[Faults]]

_PROMISES = """
    WITH promise AS (
        SELECT * FROM json_to_recordset(CAST(:promises AS json))
                 AS p (tenant_id uuid, aggregate_id uuid, version bigint)
    )
"""
_IS_WAITING = """
    EXISTS (SELECT FROM parked_aggregates AS p
             WHERE p.consumer = '{consumer}' AND p.tenant_id = e.tenant_id AND p.aggregate_id = e.aggregate_id
               AND p.position <= e.position)
"""
_PROMISED_EVENT = """
    promise JOIN event_log AS e ON e.tenant_id = promise.tenant_id AND e.aggregate_id = promise.aggregate_id
                               AND e.aggregate_version = promise.version
"""
_LOST = text(
    f"""
    {_PROMISES}
    SELECT 'source' AS place, promise.* FROM promise
     WHERE NOT EXISTS (SELECT FROM products AS p WHERE p.tenant_id = promise.tenant_id
                          AND p.id = promise.aggregate_id AND p.version >= promise.version)
    UNION ALL
    SELECT 'log', promise.* FROM promise WHERE NOT EXISTS (
           SELECT FROM event_log AS e WHERE e.tenant_id = promise.tenant_id
              AND e.aggregate_id = promise.aggregate_id AND e.aggregate_version = promise.version)
    UNION ALL
    SELECT 'commerce.index_products', promise.* FROM {_PROMISED_EVENT}
     WHERE NOT {_IS_WAITING.format(consumer="commerce.index_products")} AND NOT EXISTS (
           SELECT FROM index_versions AS i WHERE i.projection = 'commerce.index_products'
              AND i.tenant_id = promise.tenant_id AND i.aggregate_id = promise.aggregate_id
              AND i.version >= promise.version)
    UNION ALL
    SELECT 'witness.effects', promise.* FROM {_PROMISED_EVENT}
     WHERE NOT {_IS_WAITING.format(consumer="witness.effects")} AND NOT EXISTS (
           SELECT FROM witness_effects AS w WHERE w.event_id = e.event_id AND w.tenant_id = e.tenant_id)
    """
)
_UNAUDITED = text(
    f"""
    SELECT e.tenant_id, e.event_id FROM event_log AS e
     WHERE e.type LIKE ANY (CAST(:patterns AS text[])) AND NOT {_IS_WAITING.format(consumer="access.audit")}
       AND NOT EXISTS (SELECT FROM audit_log AS a WHERE a.tenant_id = e.tenant_id AND a.event_id = e.event_id)
    """
)
_TENANTS = text("SELECT id FROM tenants")
_GHOSTS = text(
    f"""
    {_PROMISES}
    SELECT place, id FROM (
        SELECT 'source' AS place, id FROM products
        UNION SELECT 'log', aggregate_id FROM event_log WHERE aggregate_type = 'product'
        UNION SELECT 'outbox', aggregate_id FROM outbox WHERE aggregate_type = 'product'
        UNION SELECT 'commerce.index_products', product_id FROM index_products
        UNION SELECT 'witness.effects', aggregate_id FROM witness_effects) AS found
     WHERE id NOT IN (SELECT aggregate_id FROM promise)
    UNION ALL
    SELECT 'log, version ' || e.aggregate_version, e.aggregate_id
      FROM event_log AS e JOIN products AS p ON p.id = e.aggregate_id
     WHERE e.aggregate_version > p.version
    """
)
_DOUBLED = text(
    """
    SELECT consumer, event_id, count(*) AS times
      FROM (SELECT 'witness.effects' AS consumer, event_id FROM witness_effects
            UNION ALL
            SELECT 'hook ' || (payload ->> 'script_id'), CAST(payload -> 'data' ->> 'event' AS uuid)
              FROM event_log WHERE type = 'alloy.run.emitted') AS effects
     GROUP BY consumer, event_id HAVING count(*) > 1
    """
)
_REORDERED = text(
    """
    SELECT place, aggregate_id, previous, version
      FROM (SELECT 'log' AS place, aggregate_id, aggregate_version AS version,
                   lag(aggregate_version, 1, 0::bigint) OVER (PARTITION BY tenant_id, aggregate_id ORDER BY position)
                   AS previous
              FROM event_log
            UNION ALL
            SELECT 'witness.effects', aggregate_id, aggregate_version,
                   lag(aggregate_version, 1, 0::bigint) OVER (PARTITION BY tenant_id, aggregate_id ORDER BY id)
              FROM witness_effects) AS seen
     WHERE version <> previous + 1
    """
)
_GAPS = text("SELECT count(*) AS events, coalesce(max(position), 0) AS head FROM event_log")
_WITNESSED = text(
    f"""
    SELECT count(*) AS events,
           (SELECT count(*) FROM witness_effects) AS done,
           count(*) FILTER (WHERE e.position > c.position) AS pending,
           count(*) FILTER (WHERE e.position <= c.position AND {_IS_WAITING.format(consumer="witness.effects")})
           AS parked
      FROM event_log AS e JOIN checkpoints AS c ON c.consumer = 'witness.effects' AND c.shard = e.shard
     WHERE e.type LIKE 'commerce.product.%'
    """
)
_STARTS = text("SELECT tenant_id, event_id FROM event_log WHERE type = 'commerce.product.created'")
_RUNS = text(
    "SELECT id FROM finished_jobs WHERE kind = 'alloy.run' UNION ALL SELECT id FROM jobs WHERE kind = 'alloy.run'"
)
_SPOKEN = text(
    """
    SELECT CAST(payload ->> 'script_id' AS uuid) AS script_id, CAST(payload -> 'data' ->> 'event' AS uuid) AS event_id
      FROM event_log WHERE type = 'alloy.run.emitted'
    """
)
_DONE_RUNS = text("SELECT id FROM finished_jobs WHERE kind = 'alloy.run' AND outcome = 'done'")
_MOVED = text(
    f"""
    {_PROMISES}
    SELECT place, id, found.tenant_id
      FROM (SELECT 'products' AS place, id, tenant_id FROM products
            UNION SELECT 'product_translations', product_id, tenant_id FROM product_translations
            UNION SELECT 'variants', product_id, tenant_id FROM variants
            UNION SELECT 'event_log', aggregate_id, tenant_id FROM event_log WHERE aggregate_type = 'product'
            UNION SELECT 'index_products', product_id, tenant_id FROM index_products
            UNION SELECT 'index_versions', aggregate_id, tenant_id FROM index_versions
            UNION SELECT 'witness_effects', aggregate_id, tenant_id FROM witness_effects
            UNION SELECT 'finished_jobs', CAST(args -> 'event' ->> 'aggregate_id' AS uuid), tenant_id
                    FROM finished_jobs WHERE kind = 'alloy.run'
            UNION SELECT 'jobs', CAST(args -> 'event' ->> 'aggregate_id' AS uuid), tenant_id
                    FROM jobs WHERE kind = 'alloy.run') AS found
      JOIN (SELECT DISTINCT aggregate_id, tenant_id FROM promise) AS owner ON owner.aggregate_id = found.id
     WHERE owner.tenant_id <> found.tenant_id
    """
)


async def nothing_is_lost(engine: AsyncEngine, evidence: Evidence) -> Faults:
    """I1: every write that was answered 2xx is in the source, in the log and in every consumer."""
    lost = [
        f"{row.place} lacks version {row.version} of {row.aggregate_id} of tenant {row.tenant_id}"
        async for row in _rows(engine, _LOST, evidence)
    ]
    patterns = [pattern.replace("*", "%") for pattern in AUDITED]
    lost += [
        f"access.audit lacks event {row.event_id} of tenant {row.tenant_id}"
        for row in await run_alone(engine, _UNAUDITED, {"patterns": patterns})
    ]
    runs = {row.id for row in await run_alone(engine, _RUNS)}
    expected = await _expected_runs(engine, evidence)
    return lost + [
        f"hook {script} has no job for event {e}" for (e, script), job in expected.items() if job not in runs
    ]


async def nothing_is_there_that_was_not_written(engine: AsyncEngine, evidence: Evidence) -> Faults:
    """I2: nothing of a write that was rolled back, or that was repeated with its key, is anywhere."""
    return [f"{row.place} has {row.id}, which nobody wrote" async for row in _rows(engine, _GHOSTS, evidence)]


async def each_event_takes_effect_once(engine: AsyncEngine, evidence: Evidence) -> Faults:
    """I3: no consumer that appends, and no hook, has two effects of one event; a run that is done has had its own.

    The chains of the audit log hold.
    """
    doubled = [
        f"{row.consumer} had {row.times} effects of event {row.event_id}" async for row in _rows(engine, _DOUBLED)
    ]
    done = {row.id for row in await run_alone(engine, _DONE_RUNS)}
    spoken = {(row.event_id, row.script_id) for row in await run_alone(engine, _SPOKEN)}
    silent = [
        f"hook {script} is done with event {event} and has had no effect"
        for (event, script), job in (await _expected_runs(engine, evidence)).items()
        if job in done and (event, script) not in spoken
    ]
    verdicts = [(row.id, await verify_audit(engine, row.id)) for row in await run_alone(engine, _TENANTS)]
    broken = [f"audit log of {tenant}: row {v.fault.number} is {v.fault.reason}" for tenant, v in verdicts if v.fault]
    return doubled + silent + broken


async def versions_never_go_back(engine: AsyncEngine, _evidence: Evidence) -> Faults:
    """I4: the versions of an aggregate rise by one, in the log and as a consumer has seen them."""
    return [
        f"{row.place}: version {row.version} of {row.aggregate_id} follows {row.previous}"
        async for row in _rows(engine, _REORDERED)
    ]


async def the_index_equals_its_source(engine: AsyncEngine, evidence: Evidence) -> Faults:
    """I5: the index, its rebuild from empty, and a direct JOIN of the source have one checksum, tenant by tenant."""
    index, source = await index_checksums(engine), await source_checksums(engine)
    rebuilt = evidence.rebuilt
    return [
        f"tenant {tenant}: index {index.get(tenant)}, source {source.get(tenant)}, rebuilt {rebuilt.get(tenant)}"
        for tenant in sorted({*index, *source, *rebuilt})
        if not index.get(tenant) == source.get(tenant) == rebuilt.get(tenant)
    ]


async def nothing_leaks_from_the_books(engine: AsyncEngine, evidence: Evidence) -> Faults:
    """I6: events == done + pending + parked; runs made == ended + waiting + dead; the log has no gaps."""
    faults = []
    log = (await run_alone(engine, _GAPS)).one()
    if log.events != log.head:
        faults.append(f"the log has {log.events} events and ends at {log.head}")
    seen = (await run_alone(engine, _WITNESSED)).one()
    if seen.events != seen.done + seen.pending + seen.parked:
        faults.append(f"{seen.events} events, but {seen.done} done, {seen.pending} pending, {seen.parked} parked")
    made = len(await _expected_runs(engine, evidence))
    found = len((await run_alone(engine, _RUNS)).all())
    if made != found:
        faults.append(f"{made} runs were to be made, {found} have ended, wait or are dead")
    return faults


async def no_row_is_under_another_tenant(engine: AsyncEngine, evidence: Evidence) -> Faults:
    """I7: whatever belongs to an aggregate belongs to the tenant that wrote it."""
    return [f"{row.place} has {row.id} under tenant {row.tenant_id}" async for row in _rows(engine, _MOVED, evidence)]


async def it_settles_in_time(_engine: AsyncEngine, evidence: Evidence) -> Faults:
    """I8: after the last fault, nothing is left to do within the stated time."""
    return _exceeded({"seconds to settle": evidence.settled_s})


async def nothing_grows_past_its_cap(_engine: AsyncEngine, evidence: Evidence) -> Faults:
    """I9: memory, queues and outbox stay under their caps."""
    return _exceeded(evidence.bounds)


async def clients_are_told_to_come_again(_engine: AsyncEngine, evidence: Evidence) -> Faults:
    """I10: a server that cannot serve answers 503 with Retry-After, and no other 5xx."""
    return [
        f"{count} answers were {answer.status}" + (" without Retry-After" if answer.status == 503 else "")
        for answer, count in sorted(evidence.answers.items())
        if answer.status >= 500 and answer != (503, True)
    ]


INVARIANTS: Mapping[str, Check] = {
    "I1": nothing_is_lost,
    "I2": nothing_is_there_that_was_not_written,
    "I3": each_event_takes_effect_once,
    "I4": versions_never_go_back,
    "I5": the_index_equals_its_source,
    "I6": nothing_leaks_from_the_books,
    "I7": no_row_is_under_another_tenant,
    "I8": it_settles_in_time,
    "I9": nothing_grows_past_its_cap,
    "I10": clients_are_told_to_come_again,
}


async def check(engine: AsyncEngine, evidence: Evidence) -> Mapping[str, Faults]:
    """Return the faults of every invariant. *engine* connects as the role system."""
    return {name: await invariant(engine, evidence) for name, invariant in INVARIANTS.items()}


async def _rows(engine: AsyncEngine, statement: Any, evidence: Evidence | None = None) -> AsyncIterator[Any]:
    promises = [promise._asdict() for promise in evidence.promises] if evidence else []
    for row in await run_alone(engine, statement, {"promises": to_json(promises)} if evidence else {}):
        yield row


async def _expected_runs(engine: AsyncEngine, evidence: Evidence) -> Mapping[tuple[UUID, UUID], UUID]:
    """Return the id of the job of each event and the hook that it starts."""
    starts: Iterable[Any] = await run_alone(engine, _STARTS)
    meant = [(row.event_id, evidence.hooks[row.tenant_id]) for row in starts if row.tenant_id in evidence.hooks]
    return {(event, script): run_id_of(event, script) for event, script in meant}


def _exceeded(bounds: Mapping[str, Any]) -> Faults:
    return [f"{name}: {b.measured:g}, at most {b.most:g}" for name, b in bounds.items() if b.measured > b.most]
