"""Operators see what waits, keep it waiting, and end or repeat single jobs."""

import asyncio
import json
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from rustok.db.transaction import begin, run_alone
from rustok.jobs import Leased, NewJob, enqueue, fail, finish
from rustok.jobs.desk import find_job
from rustok.jobs.heartbeat import Heartbeat
from rustok.jobs.pauses import Scope, pause
from rustok.jobs.store import PostgresJobStore
from rustok.modules.alloy import CALL, RUN
from rustok.testing import FixedClock, PlatformUnderTest
from tests.integration.cli.conftest import Cli

_SWITCH_OFF = text("UPDATE tenants SET is_active = false WHERE id = :id")
_SAID = text("UPDATE workers SET rss_bytes = 84410368, cpu_share = 0.375, cpu_s = 12.34")


async def add(rustok: PlatformUnderTest, tenant: UUID, *jobs: NewJob) -> list[UUID]:
    """Make jobs, or one that sends a request, and return their ids."""
    jobs = jobs or (NewJob(kind=CALL, args={"url": "https://example.com"}),)
    async with rustok.platform.units.begin(rustok.context(tenant)) as uow:
        await enqueue(uow, jobs)
    return [job.id for job in jobs]


async def lease(rustok: PlatformUnderTest, job_id: UUID) -> Leased:
    [job] = await PostgresJobStore(rustok.system_engine).grant([job_id], 60.0)
    return job


async def give_up(rustok: PlatformUnderTest, job_id: UUID) -> None:
    job = await lease(rustok, job_id)
    async with begin(rustok.system_engine, "BEGIN") as (transaction, _):
        await fail(transaction, job, {"code": "boom", "message": "it broke"}, None)


async def test_queues_are_listed_with_what_is_paused(rustok: PlatformUnderTest, cli: Cli) -> None:
    """Also those in which nothing is."""
    tenant = await rustok.create_tenant("acme")
    await add(rustok, tenant)
    await cli("queue", "pause", "--kind", "alloy.run", "--tenant", "acme", "--reason", "a flood")

    finished = await cli("queue", "list", "--json")
    table = await cli("queue", "list")

    queues = {row["queue"]: row for row in json.loads(finished.out)}
    assert {name: row["ready"] for name, row in queues.items()} == {"calls": 1, "default": 0, "scripts": 0}
    assert [(p["kind"], p["tenant_id"], p["reason"]) for p in queues["scripts"]["paused"]] == [
        ("alloy.run", str(tenant), "a flood")
    ]
    assert {name: len(row["paused"]) for name, row in queues.items()} == {"calls": 0, "default": 0, "scripts": 1}
    assert f"kind alloy.run, tenant {tenant} (a flood)" in table.out


async def test_a_pause_outlives_the_release_that_knew_its_queue(rustok: PlatformUnderTest, cli: Cli) -> None:
    """It is still seen, and can be taken back."""
    await rustok.create_tenant("acme")
    await pause(rustok.system_engine, Scope(queue="of_another_release"), paused_by="operator:o")

    listed = await cli("queue", "list", "--json")
    resumed = await cli("queue", "resume", "of_another_release")

    [row] = [row for row in json.loads(listed.out) if row["queue"] == "of_another_release"]
    assert len(row["paused"]) == 1
    assert resumed.code == 0


async def test_what_is_paused_waits_until_it_is_resumed(rustok: PlatformUnderTest, cli: Cli) -> None:
    """And whoever pauses it is told how much that is."""
    tenant = await rustok.create_tenant("acme")
    jobs = PostgresJobStore(rustok.system_engine)
    [job_id] = await add(rustok, tenant)

    paused = await cli("queue", "pause", CALL.queue)
    while_paused = await jobs.ready(CALL.queue, [], 10, 10)
    resumed = await cli("queue", "resume", CALL.queue)

    assert (paused.code, paused.err.strip()) == (0, f"queue {CALL.queue} is paused: 1 jobs wait")
    assert (while_paused, await jobs.ready(CALL.queue, [], 10, 10)) == ([], [(job_id, tenant)])
    assert (resumed.code, resumed.err.strip()) == (0, f"queue {CALL.queue} goes on")


async def test_limits_are_set_told_and_cleared(rustok: PlatformUnderTest, cli: Cli) -> None:
    """With how they stand; what is not named stays as it was."""
    tenant = await rustok.create_tenant("acme")
    ids = [(await add(rustok, tenant))[0] for _ in range(3)]
    scope = ("--kind", CALL.name, "--tenant", "acme")

    limited = await cli("queue", "limits", "set", *scope, "--running", "2")
    await cli("queue", "limits", "set", *scope, "--rate", "600/min")
    await cli("queue", "limits", "set", "--tenant", "acme", "--weight", "3")
    [leased] = await PostgresJobStore(rustok.system_engine).grant(ids[:1], 60.0)
    listed = await cli("queue", "limits", "list", "--json")
    table = await cli("queue", "limits", "list")
    cleared = await cli("queue", "limits", "clear", *scope)
    left = await cli("queue", "limits", "list", "--json")

    told = f"kind {CALL.name}, tenant {tenant}"
    assert (limited.code, limited.err.strip()) == (0, f"{told} is limited")
    [limit, weight] = json.loads(listed.out)
    names = ("kind", "tenant_id", "max_running", "rate", "burst", "room", "running", "waiting")
    assert [limit[name] for name in names] == [CALL.name, str(tenant), 2, "600/min", 10, 1, 1, 2]
    assert (weight["tenant_id"], weight["weight"], weight["room"]) == (str(tenant), 3, None)
    assert "600/min" in table.out
    assert (cleared.code, cleared.err.strip()) == (0, f"{told} is not limited any more")
    assert [limit["weight"] for limit in json.loads(left.out)] == [3]
    assert leased.id == ids[0]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("queue", "pause"), "Name a queue"),
        (("queue", "pause", "nothing"), "There is no queue 'nothing': there are calls, default, scripts"),
        (("queue", "pause", "--kind", "alloy.rum"), "There is no kind 'alloy.rum'"),
        (("queue", "pause", "calls", "--kind", "alloy.run"), "Jobs of kind alloy.run go through the queue scripts"),
        (("queue", "resume", "scripts"), "There is no pause of queue scripts"),
        (("queue", "resume", "--kind", "of.another.release"), "There is no pause of kind of.another.release"),
        (("queue", "limits", "set", "--running", "1"), "Name a queue"),
        (("queue", "limits", "set", "scripts"), "Say what to set: --running, --rate or --weight"),
        (("queue", "limits", "set", "scripts", "--rate", "2/day"), "'2/day' does not read NUMBER/s"),
        (("queue", "limits", "set", "scripts", "--running", "1", "--burst", "2"), "A --burst belongs to a --rate"),
        (("queue", "limits", "set", "scripts", "--weight", "2"), "A --weight is that of a --tenant"),
        (("queue", "limits", "set", "--tenant", "acme", "--weight", "nan"), "Invalid value for '--weight'"),
        (("dlq", "list", "--older-than-h", "inf"), "less than or equal to 876000"),
        (("queue", "limits", "clear", "scripts"), "There is no limit of queue scripts"),
        (("jobs", "list", "--state", "lost"), "There is no state 'lost'"),
        (("jobs", "list", "--queue", "nothing"), "There is no queue 'nothing'"),
    ],
)
async def test_what_there_is_not_is_named(
    rustok: PlatformUnderTest,  # noqa: ARG001 - there is a database
    cli: Cli,
    arguments: tuple[str, ...],
    complaint: str,
) -> None:
    """A typing error must not pause nothing in silence."""
    finished = await cli(*arguments)

    assert finished.code == 2
    assert complaint in " ".join(finished.err.replace("│", " ").split())


async def test_an_unknown_tenant_is_named(rustok: PlatformUnderTest, cli: Cli) -> None:  # noqa: ARG001
    """By the code that HTTP has for it."""
    finished = await cli("queue", "pause", "--tenant", "nobody")

    assert finished.code == 1
    assert "tenant_not_found" in finished.err


async def test_jobs_are_listed_by_state(rustok: PlatformUnderTest, cli: Cli) -> None:
    """Those that have been due for the longest first."""
    tenant = await rustok.create_tenant("acme")
    waiting, running, dead = [(await add(rustok, tenant))[0] for _ in range(3)]
    await lease(rustok, running)
    await give_up(rustok, dead)
    await add(rustok, tenant, NewJob(kind=RUN, args={}))

    listed = await cli("jobs", "list", "--kind", "alloy.call", "--tenant", "acme", "--json")
    only_dead = await cli("jobs", "list", "--state", "dead", "--json")

    states = {row["id"]: row["state"] for row in json.loads(listed.out)}
    assert states == {str(waiting): "waiting", str(running): "running", str(dead): "dead"}
    assert [(row["id"], row["error"]) for row in json.loads(only_dead.out)] == [(str(dead), "boom")]


async def test_a_job_is_shown_and_its_lease_is_not(rustok: PlatformUnderTest, cli: Cli) -> None:
    """Whoever has the token could end the job."""
    tenant = await rustok.create_tenant("acme")
    args = {"url": "https://example.com", "json": {"sku": "a:key:b"}}
    [job_id] = await add(rustok, tenant, NewJob(kind=CALL, args=args))
    await lease(rustok, job_id)

    shown = json.loads((await cli("jobs", "show", str(job_id))).out)

    assert (shown["state"], shown["kind"], shown["args"]) == ("running", "alloy.call", args)
    assert "lease_token" not in shown


async def test_a_job_is_cancelled(rustok: PlatformUnderTest, cli: Cli) -> None:
    """One that waits has ended; of one that runs its worker is told."""
    tenant = await rustok.create_tenant("acme")
    waiting, running = [(await add(rustok, tenant))[0] for _ in range(2)]
    await lease(rustok, running)

    ended, told = [await cli("jobs", "cancel", str(job_id)) for job_id in (waiting, running)]

    assert ended.err.strip() == "the job is cancelled"
    assert told.err.strip() == "the job runs: its worker is told within two seconds"
    assert json.loads((await cli("jobs", "show", str(waiting))).out)["state"] == "cancelled"


async def test_a_job_that_was_given_up_is_tried_again(rustok: PlatformUnderTest, cli: Cli) -> None:
    """With all its attempts; one that was not given up is left alone."""
    tenant = await rustok.create_tenant("acme")
    [job_id] = await add(rustok, tenant)
    await give_up(rustok, job_id)

    retried = await cli("jobs", "retry", str(job_id))
    again = await cli("jobs", "retry", str(job_id))

    shown = json.loads((await cli("jobs", "show", str(job_id))).out)
    assert (retried.code, shown["state"], shown["attempts"]) == (0, "waiting", 0)
    assert again.code == 1
    assert "job_not_dead" in again.err


async def test_jobs_of_a_tenant_that_is_switched_off_are_cancelled_and_tried_again(
    rustok: PlatformUnderTest, cli: Cli
) -> None:
    """That is when somebody clears up. What is tried again waits until the tenant is switched on."""
    tenant = await rustok.create_tenant("acme")
    waiting, dead = [(await add(rustok, tenant))[0] for _ in range(2)]
    await give_up(rustok, dead)
    await run_alone(rustok.system_engine, _SWITCH_OFF, {"id": tenant})

    cancelled = await cli("jobs", "cancel", str(waiting))
    retried = await cli("jobs", "retry", str(dead))

    assert (cancelled.code, cancelled.err.strip()) == (0, "the job is cancelled")
    assert (retried.code, json.loads((await cli("jobs", "show", str(dead))).out)["state"]) == (0, "waiting")


@pytest.mark.parametrize("verb", ["show", "cancel", "retry"])
async def test_a_job_that_there_is_not_is_named(rustok: PlatformUnderTest, cli: Cli, verb: str) -> None:  # noqa: ARG001
    """Or was forgotten."""
    finished = await cli("jobs", verb, str(uuid4()))

    assert finished.code == 1
    assert "operation_not_found" in finished.err


async def test_workers_are_listed(rustok: PlatformUnderTest, cli: Cli) -> None:
    """None, here."""
    await rustok.create_tenant("acme")

    finished = await cli("workers", "list", "--json")

    assert (finished.code, json.loads(finished.out)) == (0, [])


async def test_workers_are_listed_with_their_memory_in_mib_and_their_cpu_in_percent(
    rustok: PlatformUnderTest, cli: Cli
) -> None:
    """Of one processor: what they say of themselves is in bytes, seconds and shares."""
    await Heartbeat(rustok.system_engine, FixedClock(), lambda: {"level": "A"}, lambda: 3).run_once()
    await run_alone(rustok.system_engine, _SAID)

    listed = await cli("workers", "list", "--json")
    table = await cli("workers", "list")

    [worker] = json.loads(listed.out)
    figures = {name: worker[name] for name in ("jobs", "rss_mib", "cpu_percent", "cpu_s", "cage")}
    assert figures == {"jobs": 3, "rss_mib": 80.5, "cpu_percent": 37.5, "cpu_s": 12.3, "cage": "A"}
    assert {"rss_mib", "cpu_percent", "80.5", "37.5"} <= set(table.out.split())


async def test_what_waits_is_purged(rustok: PlatformUnderTest, cli: Cli) -> None:
    """Only of the scope, also what is due later; what is leased goes on, and nothing vanishes."""
    tenant, other = await rustok.create_tenant("acme"), await rustok.create_tenant("other")
    later = NewJob(kind=CALL, args={}, due_at=datetime.now(UTC) + timedelta(hours=1))
    waiting = await add(rustok, tenant, NewJob(kind=CALL, args={}), later)
    [running] = await add(rustok, tenant)
    await lease(rustok, running)
    kept = [*await add(rustok, tenant, NewJob(kind=RUN, args={})), *await add(rustok, other)]
    scope = ("calls", "--tenant", "acme")

    refused = await cli("queue", "purge", *scope, stdin="n\n")
    finished = await cli("queue", "purge", *scope, stdin="y\n")
    again = await cli("queue", "purge", *scope, "--yes")

    assert (refused.code, f"Cancel 2 waiting jobs of queue calls, tenant {tenant}?" in refused.err) == (1, True)
    assert (finished.code, "2 jobs are cancelled" in finished.err) == (0, True)
    assert (again.code, again.err.strip()) == (0, "0 jobs are cancelled")
    states = {job_id: await state_of(rustok, job_id) for job_id in (*waiting, running, *kept)}
    assert states == {**dict.fromkeys(waiting, "cancelled"), running: "running", **dict.fromkeys(kept, "waiting")}


async def test_everything_is_not_purged_for_want_of_a_name(rustok: PlatformUnderTest, cli: Cli) -> None:
    """A call that names nothing is a wrong one."""
    [job_id] = await add(rustok, await rustok.create_tenant("acme"))

    finished = await cli("queue", "purge", "--yes")

    assert (finished.code, await state_of(rustok, job_id)) == (2, "waiting")


async def test_jobs_are_followed_until_ctrl_c(rustok: PlatformUnderTest, environment: dict[str, str]) -> None:
    """What runs is told first, then what begins and ends; only of what was asked for."""
    tenant = await rustok.create_tenant("acme")
    ids = await add(rustok, tenant, *[NewJob(kind=CALL, args={}) for _ in range(3)])
    [of_another_kind] = await add(rustok, tenant, NewJob(kind=RUN, args={}))
    first = await lease(rustok, ids[0])
    await lease(rustok, of_another_kind)
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("rustok")), "jobs", "tail", "--json", "--kind", CALL.name),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None

    told = [json.loads(await process.stdout.readline())]
    second = await lease(rustok, ids[1])
    told.append(json.loads(await process.stdout.readline()))
    await finish_one(rustok, first)
    told.append(json.loads(await process.stdout.readline()))
    async with begin(rustok.system_engine, "BEGIN") as (transaction, _):
        await fail(transaction, second, {"code": "boom", "message": "it broke"}, None)
    told.append(json.loads(await process.stdout.readline()))
    process.send_signal(signal.SIGINT)

    assert [(line["id"], line["state"], line["error"]) for line in told] == [
        (str(ids[0]), "running", None),
        (str(ids[1]), "running", None),
        (str(ids[0]), "done", None),
        (str(ids[1]), "dead", "boom"),
    ]
    assert await process.wait() == 130


async def finish_one(rustok: PlatformUnderTest, job: Leased) -> None:
    async with begin(rustok.system_engine, "BEGIN") as (transaction, _):
        await finish(transaction, job)


async def state_of(rustok: PlatformUnderTest, job_id: UUID) -> str:
    job = await find_job(rustok.system_engine, job_id)
    assert job is not None
    return str(job["state"])


async def test_workers_are_told_to_be_quiet_and_to_work_again(rustok: PlatformUnderTest, cli: Cli) -> None:
    """One by its id, or all of them; the list shows what is wanted of each."""
    workers = [Heartbeat(rustok.system_engine, FixedClock(), lambda: {"level": "A"}) for _ in range(2)]
    for worker in workers:
        await worker.run_once()

    one = await cli("workers", "quiet", str(workers[0].id))
    wanted = {row["id"]: row["wish"] for row in json.loads((await cli("workers", "list", "--json")).out)}
    everybody = await cli("workers", "resume", "--all")

    assert (one.code, one.err.strip()) == (0, "1 workers are told: within two seconds they take no more work")
    assert wanted == {str(workers[0].id): "quiet", str(workers[1].id): None}
    assert everybody.err.strip() == "2 workers are told: within two seconds they take work again"


@pytest.mark.parametrize("verb", ["quiet", "stop", "resume"])
async def test_which_workers_are_meant_must_be_said(
    rustok: PlatformUnderTest,  # noqa: ARG001 - there is a database
    cli: Cli,
    verb: str,
) -> None:
    """Nobody stops all of them by leaving a word out; and a worker that there is not is named."""
    nobody, too_many = await cli("workers", verb), await cli("workers", verb, "--all", "--host", "shop-1")
    unknown = await cli("workers", verb, str(uuid4()))

    assert (nobody.code, too_many.code, unknown.code) == (2, 2, 1)
    assert "Name one worker by its id" in " ".join(nobody.err.replace("│", " ").split())
    assert "worker_not_found" in unknown.err
