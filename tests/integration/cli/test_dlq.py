"""Operators see what was given up by cause, and have it tried again or discarded, over all tenants."""

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from rustok.db.transaction import begin, run_alone
from rustok.jobs import NewJob, enqueue, fail
from rustok.jobs.kinds import DISCARD, REDRIVE
from rustok.jobs.runner import JobRunner, RunnerConfig
from rustok.jobs.store import PostgresJobStore
from rustok.modules.alloy import CALL
from rustok.runtime import SystemClock
from rustok.testing import PlatformUnderTest
from tests.integration.cli.conftest import Cli, Finished
from workers.dead_letters import Discarding, Redriving

_PARK = text(
    """
    INSERT INTO parked_aggregates
    SELECT 'commerce.index_products', shard, tenant_id, aggregate_id, aggregate_type, position, 'dead', 5,
           now(), 'ValueError: boom', now()
      FROM event_log WHERE aggregate_id = :id ORDER BY position LIMIT 1
    """
)
_REDRIVES = text("SELECT id FROM jobs WHERE kind = 'jobs.redrive'")
_UNKNOWN = text("UPDATE jobs SET state = 'needs_version' WHERE id = :id")
_OF_ANOTHER_RELEASE = text("UPDATE jobs SET kind = 'alloy.of_tomorrow' WHERE id = :id")


async def park_a_product(rustok: PlatformUnderTest, tenant: UUID) -> UUID:
    """Leave the index without a product that it has given up on."""
    texts = {"en": {"title": "Kettle"}}
    product = await rustok.run("commerce.products.create", tenant, status="active", translations=texts)
    await rustok.settle()
    await run_alone(rustok.system_engine, _PARK, {"id": product.id})
    return UUID(str(product.id))


async def a_dead_job(rustok: PlatformUnderTest, tenant: UUID, message: str) -> UUID:
    job = NewJob(kind=CALL, args={"url": "https://example.com"})
    async with rustok.platform.units.begin(rustok.context(tenant)) as uow:
        await enqueue(uow, [job])
    [leased] = await PostgresJobStore(rustok.system_engine).grant([job.id], 60.0)
    async with begin(rustok.system_engine, "BEGIN") as (transaction, _):
        await fail(transaction, leased, {"code": "call_failed", "message": message}, None)
    return job.id


async def worked(rustok: PlatformUnderTest, command: Awaitable[Finished]) -> Finished:
    """Do what is asked of workers until *command* has ended."""
    engine = rustok.system_engine
    handlers = {REDRIVE.name: Redriving(engine).__call__, DISCARD.name: Discarding(engine).__call__}
    runner = JobRunner(RunnerConfig(), PostgresJobStore(engine), handlers, SystemClock())
    running = asyncio.ensure_future(command)
    while not running.done():
        await runner.work_on_ready(REDRIVE.queue, 10)
        await asyncio.wait([running], timeout=0.05)
    return await running


async def test_dead_letters_are_listed_by_cause(rustok: PlatformUnderTest, cli: Cli) -> None:
    """What varies in their messages does not part them; what is no failure stands apart."""
    acme, other = await rustok.create_tenant("acme"), await rustok.create_tenant("other")
    await a_dead_job(rustok, acme, "status 502 of 'a.example'")
    await a_dead_job(rustok, other, "status 503 of 'b.example'")
    waiting = await a_dead_job(rustok, acme, "")
    await run_alone(rustok.system_engine, _UNKNOWN, {"id": waiting})

    listed = await cli("dlq", "list", "--json")
    table = await cli("dlq", "list")

    [failed, unknown] = json.loads(listed.out)
    assert (failed["what"], failed["state"], failed["count"], failed["tenants"]) == ("alloy.call", "dead", 2, 2)
    assert failed["example"] == "call_failed: status 502 of 'a.example'"
    assert (unknown["state"], unknown["count"]) == ("needs_version", 1)
    assert "No failures" in table.err


async def test_dead_letters_are_listed_one_by_one(rustok: PlatformUnderTest, cli: Cli) -> None:
    """With what waits behind an aggregate, and what leads to their group."""
    tenant = await rustok.create_tenant("acme")
    product = await park_a_product(rustok, tenant)
    await a_dead_job(rustok, tenant, "boom")

    [group] = json.loads((await cli("dlq", "list", "--consumer", "commerce.index_products", "--json")).out)
    listed = await cli("dlq", "list", "--each", "--fingerprint", group["fingerprint"], "--tenant", "acme", "--json")

    [letter] = json.loads(listed.out)
    assert (letter["id"], letter["state"], letter["waiting_events"]) == (str(product), "dead", 2)


async def test_dead_letters_are_redriven(rustok: PlatformUnderTest, cli: Cli) -> None:
    """The consumer then applies every waiting event, in order; the command tells when that may begin."""
    tenant = await rustok.create_tenant("acme")
    await park_a_product(rustok, tenant)
    await a_dead_job(rustok, tenant, "boom")

    redriven = await worked(rustok, cli("dlq", "redrive", "--tenant", "acme", "--yes", "--json"))
    await rustok.settle()
    left = await cli("dlq", "list", "--json")

    [row] = json.loads(redriven.out)
    assert (redriven.code, row["tenant_id"], row["status"], row["count"]) == (0, str(tenant), "done", 2)
    assert json.loads(left.out) == []


async def test_a_redrive_over_all_tenants_is_an_operation_of_each(rustok: PlatformUnderTest, cli: Cli) -> None:
    """Of those that have something of what was chosen."""
    tenants = [await rustok.create_tenant(slug) for slug in ("one", "two", "three")]
    for tenant in tenants[:2]:
        await a_dead_job(rustok, tenant, "boom")
    await park_a_product(rustok, tenants[2])

    redriven = await worked(rustok, cli("dlq", "redrive", "--kind", "alloy.call", "--yes", "--json"))

    rows = json.loads(redriven.out)
    assert {(row["tenant_id"], row["status"], row["count"]) for row in rows} == {
        (str(tenant), "done", 1) for tenant in tenants[:2]
    }
    assert len({row["operation_id"] for row in rows}) == 2


async def test_a_redrive_that_is_interrupted_goes_on_and_says_how_to_follow_it(
    rustok: PlatformUnderTest, environment: dict[str, str]
) -> None:
    """The operation is the workers' by then."""
    await a_dead_job(rustok, await rustok.create_tenant("acme"), "boom")
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("rustok")), "dlq", "redrive", "--yes"),
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None

    told = await process.stderr.readuntil(b"No worker was heard of")
    process.send_signal(signal.SIGINT)
    told += await process.stderr.read()

    [operation] = await run_alone(rustok.system_engine, _REDRIVES)
    assert await process.wait() == 130
    assert f"rustok jobs show {operation.id}" in told.decode()


async def test_dead_letters_are_discarded(rustok: PlatformUnderTest, cli: Cli) -> None:
    """The index goes on without the events that waited, and shows the product from its next event on."""
    tenant = await rustok.create_tenant("acme")
    await park_a_product(rustok, tenant)
    job = await a_dead_job(rustok, tenant, "boom")

    discarded = await worked(rustok, cli("dlq", "discard", "--yes", "--json"))

    shown = json.loads((await cli("jobs", "show", str(job))).out)
    assert [row["count"] for row in json.loads(discarded.out)] == [2]
    assert shown["state"] == "discarded"
    assert json.loads((await cli("dlq", "list", "--json")).out) == []


@pytest.mark.parametrize("verb", ["redrive", "discard"])
async def test_nothing_is_done_without_a_yes(rustok: PlatformUnderTest, cli: Cli, verb: str) -> None:
    """The question says how many; a dry run says how many of whom."""
    tenant = await rustok.create_tenant("acme")
    await a_dead_job(rustok, tenant, "boom")

    refused = await cli("dlq", verb, stdin="n\n")
    dry = await cli("dlq", verb, "--dry-run", "--json")
    left = await cli("dlq", "list", "--json")

    assert refused.code == 1
    assert "1 dead letters of 1 tenants" in refused.err
    assert json.loads(dry.out) == [{"tenant_id": str(tenant), "count": 1}]
    assert len(json.loads(left.out)) == 1


async def test_a_choice_that_fits_nothing_says_so(rustok: PlatformUnderTest, cli: Cli) -> None:
    """And what is no fingerprint is a wrong call."""
    await a_dead_job(rustok, await rustok.create_tenant("acme"), "boom")

    young = await cli("dlq", "redrive", "--older-than-h", "1", "--yes")
    wrong = await cli("dlq", "redrive", "--fingerprint", "boom")

    assert (young.code, young.err.strip()) == (0, "There are no such dead letters.")
    assert wrong.code == 2
    assert "/fingerprint" in wrong.err


@pytest.mark.parametrize("arguments", [("list",), ("redrive", "--yes"), ("discard", "--needs-version", "--yes")])
async def test_a_name_that_nobody_has_is_a_wrong_call(
    rustok: PlatformUnderTest, cli: Cli, arguments: tuple[str, ...]
) -> None:
    """A typing error must not read like good news; the names that there are come with it, of both sorts."""
    await a_dead_job(rustok, await rustok.create_tenant("acme"), "boom")

    finished = await cli("dlq", *arguments, "--kind", "alloy.cal")

    told = " ".join(finished.err.replace("│", " ").split())
    assert (finished.code, finished.out) == (2, "")
    assert "There is no consumer or kind 'alloy.cal': there are access.audit, alloy.call, " in told
    assert "commerce.index_products" in told


async def test_a_consumer_that_has_given_up_nothing_is_no_wrong_name(rustok: PlatformUnderTest, cli: Cli) -> None:
    """There is nothing to list, and nothing to try again."""
    await a_dead_job(rustok, await rustok.create_tenant("acme"), "boom")

    listed = await cli("dlq", "list", "--consumer", "commerce.index_products", "--json")
    redriven = await cli("dlq", "redrive", "--consumer", "commerce.index_products", "--yes")

    assert (listed.code, json.loads(listed.out)) == (0, [])
    assert (redriven.code, redriven.err.strip()) == (0, "There are no such dead letters.")


async def test_what_another_release_has_given_up_can_be_named(rustok: PlatformUnderTest, cli: Cli) -> None:
    """The name is unknown here, its dead letters are not; also where no other part of the choice fits."""
    tenant = await rustok.create_tenant("acme")
    job_id = await a_dead_job(rustok, tenant, "boom")
    await run_alone(rustok.system_engine, _OF_ANOTHER_RELEASE, {"id": job_id})

    listed = await cli("dlq", "list", "--kind", "alloy.of_tomorrow", "--json")
    young = await cli("dlq", "redrive", "--kind", "alloy.of_tomorrow", "--older-than-h", "1", "--yes")

    assert [(group["what"], group["count"]) for group in json.loads(listed.out)] == [("alloy.of_tomorrow", 1)]
    assert (young.code, young.err.strip()) == (0, "There are no such dead letters.")
