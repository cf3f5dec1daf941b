"""Poison, a tenant that floods, and a replay of the log: what one does must not be felt by the others."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

from rustok.db.transaction import run_alone
from rustok.jobs.desk import count_waiting
from rustok.jobs.pauses import Scope, pause, resume
from tests.bench.figures import percentile
from tests.chaos.evidence import Bound, Hits
from tests.chaos.opening import HOOK, Plan, Servers, open_stage
from tests.chaos.receiver import open_receiver
from tests.chaos.report import Result
from tests.chaos.stage import Stage
from tests.chaos.verdict import SETTLE_S, conclude
from tests.chaos.witness import POISON_EVERY

POISONED_P95 = 1.5
"""Times that of a run without poison."""
FLOODED_P95 = 2.0
"""Times that of a run without a flood."""
FAIR = 0.95
_EASY = {"at_once": 4, "pause_s": 0.2}
"""A load of some 16 products a second, with which runs keep up: who waits, waits for poison, not for others like it."""
_RUNS_A_S = 50
"""A flood may take as long as this rate needs."""
_ALL_ATTEMPTS_S = 120.0
"""Five attempts, with pauses of up to 1, 4, 16 and 64 s between them."""

POISONOUS_HOOK = """
async def handle(event, ctx):
    product = await ctx.get("commerce.products", event["aggregate_id"])
    number = int(product["translations"]["en"]["title"].split(" ")[1]) % 300
    if number == 100:
        raise ValueError("poison")
    if number == 200:
        while True:
            pass
    if number == 299:
        hoard = []
        while True:
            hoard.append("poison" * 1_000_000)
    total = 0
    for n in range(20_000):
        total += n
    ctx.emit("seen", event=event["id"])
"""

_WITNESS_WAITS = text(
    """
    SELECT extract(epoch FROM w.made_at - e.recorded_at) AS wait_s
      FROM event_log AS e JOIN witness_effects AS w USING (tenant_id, event_id)
    """
)
_RUN_WAITS = text(
    """
    SELECT tenant_id, extract(epoch FROM finished_at - created_at) AS wait_s
      FROM finished_jobs WHERE kind = 'alloy.run' AND created_at > :since
    """
)
_NOW = text("SELECT clock_timestamp() AS now")
_WAIT_FOR_CLAIMS = text("LOCK TABLE checkpoints IN EXCLUSIVE MODE")  # a claim would replace the row that is set back
_REPLAY = text("UPDATE checkpoints SET position = 0 WHERE consumer IN ('commerce.index_products', 'alloy.start_runs')")
_FAILED = text(
    """
    SELECT (SELECT count(*) FROM jobs WHERE attempts > 0) AS runs,
           (SELECT count(*) FROM parked_aggregates) AS aggregates
    """
)
_READ = re.compile(
    r'^rustok_consumed_events_total\{consumer="(?:commerce\.index_products|alloy\.start_runs)"\} (\S+)$', re.MULTILINE
)
"""What the consumers have read that are set back by a replay."""
_JOBS = text("SELECT count(*) AS jobs, coalesce(sum(attempts), 0) AS attempts FROM finished_jobs")


def digest_poison(servers: Servers, *, products: int, poison_every: int, retries: bool) -> Result:
    """One aggregate in so many, and one run in a hundred (it raises, never ends, or hoards memory), is poison."""
    witness, runs = _clean_waits(servers, products)
    environment = {POISON_EVERY: str(poison_every)}
    with open_stage(servers, Plan(hook=POISONOUS_HOOK, environment=environment)) as stage:
        since = stage.ask(_NOW).now
        stage.finish(stage.write(products, **_EASY))
        stage.settle(retries=False)
        poisoned_witness, poisoned_runs = _witness_p95(stage), _run_p95(stage, since)
        failed = stage.ask(_FAILED)
        return conclude(
            stage,
            {
                "failed_runs": failed.runs,
                "witness_p95_s": {"clean": witness, "poisoned": poisoned_witness},
                "run_p95_s": {"clean": runs, "poisoned": poisoned_runs},
            },
            {
                "p95 of other events, times the clean run's": Bound(poisoned_witness / witness, POISONED_P95),
                "p95 of other runs, times the clean run's": Bound(poisoned_runs / runs, POISONED_P95),
            },
            controls={
                "aggregates that were poison": Hits(failed.aggregates, max(1, products / poison_every / 20)),
                "runs that were poison": Hits(failed.runs, products / 200),
            },
            settle_s=_ALL_ATTEMPTS_S,
            retries=retries,
        )


def _clean_waits(servers: Servers, products: int) -> tuple[float, float]:
    with open_stage(servers, Plan()) as stage:
        since = stage.ask(_NOW).now
        stage.finish(stage.write(products, **_EASY))
        stage.settle()
        return _witness_p95(stage), _run_p95(stage, since)


def flood(servers: Servers, *, others: int, products: int, flooded: int) -> Result:
    """One tenant has *flooded* runs queued when each of the *others* asks for some: its own wait, theirs must not."""
    with open_stage(servers, Plan(tenants=others + 1, admits_all=True)) as stage:
        flooder, *rest = stage.clients.tenants
        scope, engine = Scope(tenant_id=flooder), stage.platform.system_engine
        _asked(stage, rest, products)  # whatever is slow the first time
        alone = percentile(_asked(stage, rest, products), 0.95)
        stage.loop.run(pause(engine, scope, paused_by="chaos"))
        stage.finish(stage.write(flooded, tenants=[flooder]))
        stage.until(lambda: stage.loop.run(count_waiting(engine, scope)) == flooded)
        stage.loop.run(resume(engine, scope))
        since = stage.ask(_NOW).now
        beside = percentile(_asked(stage, rest, products), 0.95)
        still_queued = stage.loop.run(count_waiting(engine, scope))
        waits = [_waits(stage, since, [tenant]) for tenant in rest]
        jain = _jain([sum(each) / len(each) for each in waits])
        return conclude(
            stage,
            {
                "queued": flooded,
                "still_queued": still_queued,
                "run_p95_s": {"alone": alone, "flooded": beside},
                "jain": round(jain, 3),
            },
            {
                "p95 of the others' runs, times alone": Bound(beside / alone, FLOODED_P95),
                "unfairness, 1 - Jain index of the others' waits": Bound(1 - jain, 1 - FAIR),
            },
            controls={"runs of the flood that still waited after the others'": Hits(still_queued, flooded / 2)},
            settle_s=SETTLE_S + flooded / _RUNS_A_S,
        )


def _asked(stage: Stage, tenants: Sequence[UUID], products: int) -> list[float]:
    """Have each of *tenants* write and wait until its runs have ended; return how long each run took."""
    since = stage.ask(_NOW).now
    stage.finish(stage.write(products * len(tenants), at_once=4, tenants=tenants))
    expected = products * len(tenants)
    stage.until(lambda: len(_waits(stage, since, tenants)) >= expected)
    return _waits(stage, since, tenants)


def replay_the_log(servers: Servers, *, products: int, times: int) -> Result:
    """The index and the hooks read the whole log again: the index is the same, no script runs, or sends, again."""
    with open_receiver() as receiver, open_stage(servers, _calling(receiver.url)) as stage:
        stage.finish(stage.write(products, **_EASY))
        stage.settle()
        before, calls, read = stage.ask(_JOBS), receiver.calls, stage.counted(_READ)
        for _ in range(times):
            stage.loop.run(_read_again(stage))
            stage.settle()
        after, read_again = stage.ask(_JOBS), stage.counted(_READ) - read
        return conclude(
            stage,
            {"replays": times, "calls": calls, "read_again": read_again},
            {
                "jobs that were repeated": Bound(after.jobs + after.attempts - before.jobs - before.attempts, 0),
                "calls that were repeated": Bound(receiver.calls - calls, 0),
            },
            controls={
                "calls before the log was read again": Hits(calls, products),
                "events that were read again": Hits(read_again, 2 * times * products),
            },
        )


def _calling(url: str) -> Plan:
    """Each run sends something to *url*, besides the event of its own."""
    hook = f'{HOOK}    ctx.http.post("{url}/", json={{"event": event["id"]}})\n'
    return Plan(hook=hook, hosts=[url], environment={"RUSTOK_EGRESS_ALLOWED_NETWORKS": "127.0.0.0/8"})


async def _read_again(stage: Stage) -> None:
    async with stage.platform.system_engine.begin() as connection:
        await connection.execute(_WAIT_FOR_CLAIMS)
        await connection.execute(_REPLAY)


def _witness_p95(stage: Stage) -> float:
    return percentile((float(row.wait_s) for row in _all(stage, _WITNESS_WAITS, {})), 0.95)


def _run_p95(stage: Stage, since: datetime) -> float:
    return percentile(_waits(stage, since, stage.clients.tenants), 0.95)


def _waits(stage: Stage, since: datetime, tenants: Collection[UUID]) -> list[float]:
    """Return how long each run of these tenants took from its making to its end."""
    rows = _all(stage, _RUN_WAITS, {"since": since})
    return [float(row.wait_s) for row in rows if row.tenant_id in tenants]


def _all(stage: Stage, statement: TextClause, values: Mapping[str, Any]) -> Iterable[Any]:
    return stage.loop.run(run_alone(stage.platform.system_engine, statement, values))


def _jain(values: Sequence[float]) -> float:
    """Return Jain's index of fairness: 1 when all are equal, 1/n when one has everything."""
    return sum(values) ** 2 / (len(values) * sum(value**2 for value in values))
