"""What was given up is seen by cause, and redriven or discarded by operations that survive their worker."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from rustok.db.engine import open_engine
from rustok.db.transaction import begin, run_alone
from rustok.events import dead_letters
from rustok.events.dead_letters import PAGE, Choice
from rustok.jobs import dead_jobs
from rustok.jobs.dead_letters import each_dead_letter, group_dead_letters
from rustok.jobs.kinds import DISCARD, REDRIVE
from rustok.jobs.operations import Operation, Progress
from rustok.jobs.runner import JobHandler, JobRunner, RunnerConfig
from rustok.jobs.store import PostgresJobStore
from rustok.kernel.ids import uuid7
from rustok.runtime import SystemClock
from tests.integration.events.log import until_waiting
from tests.integration.jobs.ledger import Ledger
from workers.dead_letters import Discarding, Redriving

INDEX = "commerce.index_products"

_DEAD_JOBS = text(
    """
    INSERT INTO jobs (tenant_id, id, queue, kind, args, priority, state, max_attempts, attempts, due_at, actor,
                      correlation_id, created_at, error)
    SELECT :tenant_id, CAST(lpad(to_hex(n), 32, '0') AS uuid), 'sums', :kind, '{}', 0, :state, 2, 2, :due_at,
           'operator:o', gen_random_uuid(), now(), CAST(:error AS jsonb)
      FROM generate_series(CAST(:first AS integer), :first + :count - 1) AS n
    """
)
_PARKED = text(
    """
    INSERT INTO parked_aggregates (consumer, shard, tenant_id, aggregate_id, aggregate_type, position, state, attempts,
                                   due_at, error, parked_at)
    SELECT :consumer, 3, :tenant_id, CAST(lpad(to_hex(n), 32, '0') AS uuid), 'product', 1, :state, 5,
           now(), :error, now()
      FROM generate_series(1, CAST(:count AS integer)) AS n
    """
)
_JOB_STATES = text("SELECT state, attempts, count(*) AS amount FROM jobs WHERE kind = :kind GROUP BY state, attempts")
_PARKED_STATES = text("SELECT state, count(*) AS amount FROM parked_aggregates GROUP BY state")
_HISTORY = text("SELECT outcome, result, count(*) AS amount FROM finished_jobs WHERE kind = :kind GROUP BY 1, 2")
_FORGET = text("DELETE FROM parked_aggregates")
_FINGERPRINT = text("SELECT error_fingerprint(:what, :error)")
_ROWS_READ = text(
    "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = :table"
)
_HOLD = "SELECT FROM jobs WHERE id = $1 FOR UPDATE"
_COUNT = "tenants.count"


class Morgue:
    """Dead letters of a ledger's two tenants, and a worker for the operations on them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.engine = ledger.platform.system_engine
        workers = ledger.workers_engine
        handlers: dict[str, JobHandler] = {REDRIVE.name: Redriving(workers), DISCARD.name: Discarding(workers)}
        self.runner = JobRunner(RunnerConfig(), PostgresJobStore(workers), handlers, SystemClock())

    async def jobs(
        self, count: int = 1, error: str = '{"code": "boom"}', *, first: int = 1, state: str = "dead", **fields: Any
    ) -> None:
        values = {"tenant_id": self.ledger.tenant_id, "kind": _COUNT, "due_at": SystemClock().now(), **fields}
        await run_alone(
            self.engine, _DEAD_JOBS, {"count": count, "error": error, "first": first, "state": state} | values
        )

    async def parked(self, count: int = 1, error: str = "ValueError: boom", **fields: Any) -> None:
        values = {"tenant_id": self.ledger.tenant_id, "consumer": INDEX, "state": "dead", **fields}
        await run_alone(self.engine, _PARKED, {"count": count, "error": error} | values)

    async def ask(self, verb: str, **chosen: Any) -> UUID:
        """Ask for an operation on dead letters of the tenant and return its id."""
        accepted = await self.ledger.platform.run(f"jobs.dead_letters.{verb}", self.ledger.tenant_id, **chosen)
        return UUID(str(accepted.operation_id))

    async def have(self, verb: str, **chosen: Any) -> Operation:
        """Have dead letters of the tenant redriven or discarded, and return how that ended."""
        operation_id = await self.ask(verb, **chosen)
        await self.ledger.work(self.runner, [operation_id])
        return await self.ledger.operation(operation_id)

    async def of_jobs(self) -> dict[tuple[str, int], int]:
        """Return how many jobs there are by state and attempts."""
        rows = await run_alone(self.engine, _JOB_STATES, {"kind": _COUNT})
        return {(row.state, row.attempts): row.amount for row in rows}

    async def of_parked(self) -> dict[str, int]:
        return {row.state: row.amount for row in await run_alone(self.engine, _PARKED_STATES)}

    async def history(self) -> Sequence[tuple[Any, ...]]:
        """Return outcome, result and number of the jobs that have ended."""
        return [tuple(row) for row in await run_alone(self.engine, _HISTORY, {"kind": _COUNT})]

    @asynccontextmanager
    async def stuck_at(self, job: int) -> AsyncIterator[None]:
        """Hold a dead job: whoever is to change it waits."""
        async with self.ledger.admin() as admin, admin.transaction():
            await admin.execute(_HOLD, UUID(int=job))
            yield


@pytest.fixture
async def morgue(ledger: Ledger) -> Morgue:
    await run_alone(ledger.platform.system_engine, _FORGET)
    return Morgue(ledger)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ValueError: 17 is not square", "ValueError: 4096 is not square"),
        ("KeyError: 'red-bike'", "KeyError: 'it is blue'"),
        ('no "lamp 1" here', 'no "lamp" here'),
        ("product 01890a5d-ac96-774b-bcce-b302099a8057 is gone", f"product {uuid7()} is gone"),
        ("at 0x7f3ab2", "at 0xbeef"),
        ("tenant's row can't be 'a'", "tenant's row can't be 'b'"),
    ],
)
async def test_what_varies_between_failures_of_a_cause_is_no_part_of_its_fingerprint(
    morgue: Morgue, one: str, other: str
) -> None:
    """Numbers, quoted texts, UUIDs, hexadecimals; an apostrophe is no quote."""
    found = {await fingerprint(morgue, INDEX, error) for error in (one, other)}

    assert len(found) == 1


async def test_other_causes_have_other_fingerprints(morgue: Morgue) -> None:
    """Another message, another class, or the same ones of somebody else."""
    causes = [(INDEX, "ValueError: a"), (INDEX, "ValueError: b"), (INDEX, "KeyError: a"), (_COUNT, "ValueError: a")]

    assert len({await fingerprint(morgue, *cause) for cause in causes}) == 4


async def fingerprint(morgue: Morgue, what: str, error: str) -> str:
    return str((await run_alone(morgue.engine, _FINGERPRINT, {"what": what, "error": error})).scalar_one())


async def test_dead_letters_are_grouped_by_cause_over_tenants(morgue: Morgue) -> None:
    """Both sorts; the largest group first, and last what is no failure."""
    await morgue.jobs(2, '{"code": "boom", "message": "at 1"}')
    await morgue.jobs(1, '{"code": "boom", "message": "at 2"}', first=9, tenant_id=morgue.ledger.other_tenant_id)
    await morgue.parked(2)
    await morgue.jobs(5, "null", first=100, state="needs_version")

    groups = await group_dead_letters(morgue.engine, Choice(), None, 10)

    assert [(g.what, g.state, g.count, g.tenants, g.example) for g in groups] == [
        (_COUNT, "dead", 3, 2, "boom: at 1"),
        (INDEX, "dead", 2, 1, "ValueError: boom"),
        (_COUNT, "needs_version", 5, 1, "This release knows no such jobs."),
    ]


@pytest.mark.under_fire
async def test_a_tenant_sees_its_own_dead_letters(morgue: Morgue) -> None:
    """And not that others have any."""
    await morgue.jobs(3)
    await morgue.jobs(4, first=9, tenant_id=morgue.ledger.other_tenant_id)

    seen = await morgue.ledger.platform.query("jobs.dead_letters.list", morgue.ledger.tenant_id)

    assert [(group.what, group.count) for group in seen.data] == [(_COUNT, 3)]


async def test_single_dead_letters_are_listed_by_the_cause_that_their_group_has(morgue: Morgue) -> None:
    """The fingerprint leads from one to the other."""
    await morgue.jobs(2)
    await morgue.parked(1)
    groups = {group.what: group.fingerprint for group in await group_dead_letters(morgue.engine, Choice(), None, 10)}

    letters = await each_dead_letter(morgue.engine, Choice(fingerprint=groups[_COUNT]))

    assert [(letter.what, letter.id, letter.error) for letter in letters] == [
        (_COUNT, UUID(int=1), "boom"),
        (_COUNT, UUID(int=2), "boom"),
    ]


async def test_a_redrive_makes_both_sorts_due_with_all_their_attempts(morgue: Morgue) -> None:
    """It tells how many, and leaves alone what is no failure, and what is another tenant's."""
    await morgue.jobs(2)
    await morgue.parked(3)
    await morgue.jobs(1, first=50, state="needs_version")
    await morgue.parked(1, consumer="content.index_content", state="needs_version")
    await morgue.jobs(1, first=90, tenant_id=morgue.ledger.other_tenant_id)

    operation = await morgue.have("redrive")

    assert (operation.status, operation.result) == ("done", {"count": 5})
    assert await morgue.of_jobs() == {("ready", 0): 2, ("needs_version", 2): 1, ("dead", 2): 1}
    assert await morgue.of_parked() == {"retrying": 3, "needs_version": 1}


async def test_each_given_field_narrows_the_choice(morgue: Morgue) -> None:
    """What failed, why, which one, and since when."""
    await morgue.jobs(3, '{"code": "boom"}', due_at=datetime(2026, 1, 1, tzinfo=UTC))
    await morgue.jobs(3, '{"code": "bang"}', first=11)
    await morgue.parked(1)
    [bang] = [g.fingerprint for g in await group_dead_letters(morgue.engine, Choice(), None, 10) if g.example == "bang"]

    counts = [
        (await morgue.have("redrive", **chosen)).result["count"]
        for chosen in (
            {"what": "somebody.else"},
            {"id": str(UUID(int=2)), "what": _COUNT},
            {"until": "2026-01-02T00:00:00Z"},
            {"fingerprint": bang},
            {"what": INDEX},
        )
    ]

    assert counts == [0, 1, 2, 3, 1]


@pytest.mark.under_fire
async def test_a_discarded_job_is_history(morgue: Morgue) -> None:
    """With its error; it leaves the hot table, and its operation says what became of it."""
    await morgue.jobs(2)

    operation = await morgue.have("discard")

    assert (operation.result, await morgue.of_jobs()) == ({"count": 2}, {})
    assert await morgue.history() == [("discarded", {"error": {"code": "boom"}}, 2)]
    assert (await morgue.ledger.operation(UUID(int=1))).status == "discarded"


@pytest.mark.under_fire
async def test_jobs_of_another_release_are_discarded_by_the_cause_that_is_listed(morgue: Morgue) -> None:
    """Whatever an earlier attempt failed of."""
    await morgue.jobs(2, state="needs_version")
    [group] = await group_dead_letters(morgue.engine, Choice(), None, 10)

    ended = await morgue.have("discard", needs_version=True, fingerprint=group.fingerprint)

    assert (ended.result, await morgue.of_jobs()) == ({"count": 2}, {})


@pytest.mark.under_fire
async def test_what_is_still_tried_is_not_discarded(morgue: Morgue) -> None:
    """Only what was given up; and what waits for another release, if one says so."""
    await morgue.parked(2, state="retrying")
    await morgue.parked(3, consumer="content.index_content", state="needs_version")

    first = await morgue.have("discard")
    left = await morgue.of_parked()
    second = await morgue.have("discard", needs_version=True)

    assert (first.result, left) == ({"count": 0}, {"retrying": 2, "needs_version": 3})
    assert (second.result, await morgue.of_parked()) == ({"count": 3}, {"retrying": 2})


async def test_an_operation_whose_worker_was_killed_goes_on(morgue: Morgue) -> None:
    """Page by page: nothing is done twice, and what it tells in the end is the whole."""
    await morgue.jobs(PAGE + 500)
    operation_id = await morgue.ask("redrive")
    [job] = await morgue.ledger.grant([operation_id])

    async with morgue.ledger.admin() as watcher, morgue.stuck_at(PAGE + 1):
        killed = asyncio.create_task(Redriving(morgue.engine)(job))
        await until_waiting(watcher, "%UPDATE jobs SET state%", killed)
        halfway = await morgue.ledger.operation(operation_id)
        killed.cancel()
        await asyncio.wait([killed])
    await morgue.ledger.lose_leases()
    await morgue.ledger.store.rescue()
    await morgue.ledger.work(morgue.runner, [operation_id])

    ended = await morgue.ledger.operation(operation_id)
    assert halfway.progress == Progress(done=PAGE, total=PAGE + 500)
    assert (ended.status, ended.progress, ended.result) == (
        "done",
        Progress(done=PAGE + 500, total=PAGE + 500),
        {"count": PAGE + 500},
    )
    assert await morgue.of_jobs() == {("ready", 0): PAGE + 500}


async def test_an_aggregate_that_was_redriven_counts_once(morgue: Morgue) -> None:
    """Also when the worker was killed between a page and the next: what goes on begins with the first page again."""
    await morgue.parked(3)

    ended = [await morgue.have("redrive"), await morgue.have("redrive")]

    assert ([operation.result for operation in ended], await morgue.of_parked()) == (
        [{"count": 3}, {"count": 0}],
        {"retrying": 3},
    )


async def test_a_worker_that_lost_its_lease_changes_nothing_more(morgue: Morgue) -> None:
    """Its page is rolled back: another worker has the operation by now."""
    await morgue.jobs(2)
    operation_id = await morgue.ask("discard")
    [sleeper] = await morgue.ledger.grant([operation_id])
    await morgue.ledger.lose_leases()
    await morgue.ledger.store.rescue()
    await morgue.ledger.grant([operation_id])

    failed = await asyncio.gather(Discarding(morgue.engine)(sleeper), return_exceptions=True)

    assert [type(error).__name__ for error in failed] == ["LeaseLost"]
    assert await morgue.of_jobs() == {("dead", 2): 2}


@pytest.mark.under_fire
async def test_what_dies_after_it_was_asked_for_is_left_to_the_next_operation(morgue: Morgue) -> None:
    """Else a redrive of what fails at once would never end."""
    operation_id = await morgue.ask("redrive")
    await morgue.jobs(1)

    await morgue.ledger.work(morgue.runner, [operation_id])

    assert (await morgue.ledger.operation(operation_id)).result == {"count": 0}


async def test_an_operation_can_be_cancelled_in_the_middle(morgue: Morgue) -> None:
    """What was done stays done."""
    await morgue.jobs(PAGE + 1)
    operation_id = await morgue.ask("redrive")
    runner = JobRunner(
        RunnerConfig(renew_s=0.05), morgue.ledger.store, {REDRIVE.name: Redriving(morgue.engine)}, SystemClock()
    )

    async with morgue.ledger.admin() as watcher, morgue.stuck_at(PAGE + 1):
        working = asyncio.create_task(runner.work([operation_id]))
        await until_waiting(watcher, "%UPDATE jobs SET state%", working)
        await morgue.ledger.cancel(operation_id)
        await working

    assert (await morgue.ledger.operation(operation_id)).status == "cancelled"
    assert await morgue.of_jobs() == {("ready", 0): PAGE, ("dead", 2): 1}


async def test_more_than_can_be_counted_in_time_are_redriven_all_the_same(morgue: Morgue) -> None:
    """Only their total is not known."""
    await morgue.jobs(2)
    operation_id = await morgue.ask("redrive")
    async with open_engine(morgue.ledger.platform.database.system_url, statement_timeout_s=1.0) as impatient:
        handlers: dict[str, JobHandler] = {REDRIVE.name: Redriving(impatient)}
        runner = JobRunner(RunnerConfig(), morgue.ledger.store, handlers, SystemClock())
        async with morgue.ledger.admin() as admin, morgue.ledger.admin() as watcher:
            async with admin.transaction():
                await admin.execute("LOCK TABLE parked_aggregates IN ACCESS EXCLUSIVE MODE")
                working = asyncio.create_task(runner.work([operation_id]))
                await until_waiting(watcher, "%DISTINCT consumer%", working)
            await working

    operation = await morgue.ledger.operation(operation_id)
    assert (operation.result, operation.progress) == ({"count": 2}, Progress(done=2, total=None))
    assert await morgue.of_jobs() == {("ready", 0): 2}


@pytest.mark.parametrize("table", ["jobs", "parked_aggregates"])
async def test_a_page_reads_its_own_rows_among_many(morgue: Morgue, table: str) -> None:
    """Where PostgreSQL believes that there are none: by its index, or a large redrive would read all for each page."""
    async with morgue.ledger.admin() as admin:
        await admin.execute(f"ANALYZE {table}")
    await (morgue.jobs if table == "jobs" else morgue.parked)(10 * PAGE)
    chosen: dict[str, Any] = {"tenant_id": morgue.ledger.tenant_id, "choice": Choice(), "after": UUID(int=5 * PAGE)}

    async with begin(morgue.engine, "BEGIN") as (transaction, _):
        before = (await transaction.execute(_ROWS_READ, {"table": table})).scalar_one()
        if table == "jobs":
            page = await dead_jobs.redrive_page(transaction, **chosen)
        else:
            page = await dead_letters.redrive_page(transaction, consumer=INDEX, **chosen)
        rows_read = (await transaction.execute(_ROWS_READ, {"table": table})).scalar_one() - before

    assert page == (PAGE, UUID(int=6 * PAGE))
    assert rows_read <= 3 * PAGE
