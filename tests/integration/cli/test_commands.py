"""The commands of operators: data on standard output, one coded line for what goes wrong."""

import asyncio
import json
import os
import socket
import sys
from dataclasses import asdict

from sqlalchemy import text

from rustok.db.transaction import run_alone
from rustok.jobs.heartbeat import Heartbeat
from rustok.kernel.ids import uuid7
from rustok.sandbox.contract import Report
from rustok.sandbox.layers import LAYERS
from rustok.testing import FixedClock, PlatformUnderTest
from tests.integration.cli.conftest import Cli

_PARK = text(
    """
    INSERT INTO parked_aggregates (consumer, shard, tenant_id, aggregate_id, aggregate_type, position, state, attempts,
                                   due_at, error, parked_at)
    VALUES ('commerce.index_products', 0, :tenant_id, :aggregate_id, 'product', 1, :state, 0, now(), '?', now())
    """
)
_WITHOUT_SCRIPTS = """
import sys
from rustok import catalog, cli
catalog.MODULES = tuple(module for module in catalog.MODULES if module.name != "alloy")
for call in ("scripts list", "secrets list", "kv list tagger", "events trigger tagger --sample alloy.cron"):
    sys.argv = ["rustok", *call.split()]
    try:
        cli.main()
    except SystemExit as end:
        print(end.code)
"""


async def test_a_tenant_and_its_key_are_made_listed_and_revoked(cli: Cli) -> None:
    """The token is shown once; the list never has it."""
    await cli("tenant", "create", "acme", "--name", "Acme")
    created = await cli("apikey", "create", "-t", "acme", "--role", "manager", "--name", "shop", "--json")
    token = json.loads(created.out)[0]["token"]
    key_id = token.split("_")[2]

    revoked = await cli("apikey", "revoke", key_id, "-t", "acme", "--json")
    listed = await cli("apikey", "list", "-t", "acme", "--json")
    tenants = await cli("tenant", "list", "--json")

    assert json.loads(revoked.out)[0]["revoked_at"] is not None
    assert [key["key_id"] for key in json.loads(listed.out)] == [key_id]
    assert token not in listed.out
    assert [tenant["slug"] for tenant in json.loads(tenants.out)] == ["acme"]


async def test_a_slug_is_refused_that_is_taken_reserved_or_an_id(cli: Cli) -> None:
    """Each is one line with its code, and exit code 1. X-Tenant takes what looks like an id for one."""
    await cli("tenant", "create", "acme")

    taken = await cli("tenant", "create", "acme")
    reserved = await cli("tenant", "create", "admin")
    an_id = await cli("tenant", "create", "0199b7a2-7c1e-7d3a-9f00-5b1e8c2d4a61")

    assert (taken.code, reserved.code, an_id.code) == (1, 1, 1)
    assert "(tenant_slug_taken)" in taken.err
    assert "/slug: is reserved by the platform" in reserved.err
    assert "/slug: must not have the form of an id" in an_id.err


async def test_a_tenant_is_given_a_quota_of_its_own_and_loses_it_again(cli: Cli) -> None:
    """Beside it stands what all others have."""
    await cli("tenant", "create", "acme")

    answers = [
        await cli("tenant", "quota", "acme", *options, "--json")
        for options in ((), ("--requests", "600/min"), (), ("--requests", "default"))
    ]

    assert [json.loads(answer.out) for answer in answers] == [
        [{"slug": "acme", "default": "1000/s", "tenant": own}] for own in (None, "600/min", "600/min", None)
    ]


async def test_what_is_no_quota_is_refused(cli: Cli) -> None:
    """With the forms that there are; so is a tenant that is not there."""
    await cli("tenant", "create", "acme")

    refused = await cli("tenant", "quota", "acme", "--requests", "10/day")
    unknown = await cli("tenant", "quota", "zenith", "--requests", "10/s")

    assert (refused.code, unknown.code) == (1, 1)
    assert "/request_quota: does not read NUMBER/s, NUMBER/min or NUMBER/h" in refused.err
    assert "(tenant_not_found)" in unknown.err


async def test_an_unknown_role_names_the_known_ones(cli: Cli) -> None:
    """A message says what would have been right."""
    await cli("tenant", "create", "acme")

    finished = await cli("apikey", "create", "-t", "acme", "--role", "king")

    assert finished.code == 1
    assert "nor one of owner, admin, manager, editor, customer" in finished.err


async def test_migrations_are_applied_once_and_shown(cli: Cli) -> None:
    """`db migrate` may run at every deployment; `db status` fails while something is pending."""
    migrated = await cli("db", "migrate")
    status = await cli("db", "status", "--json")

    assert migrated.code == 0
    assert "applied 0 migrations" in migrated.err
    assert status.code == 0
    assert {row["state"] for row in json.loads(status.out)} == {"applied"}


async def test_an_unreachable_database_is_one_coded_line(program: Cli) -> None:
    """No traceback: what is wrong, and what to do."""
    nowhere = "postgresql://rustok_app:app@127.0.0.1:1/nothing"

    finished = await program("tenant", "list", RUSTOK_SYSTEM_DATABASE_URL=nowhere, RUSTOK_DATABASE_URL=nowhere)

    assert finished.code == 1
    assert "(unavailable)" in finished.err
    assert "Traceback" not in finished.err


async def test_an_unknown_transport_names_the_valid_ones(program: Cli) -> None:
    """There is no silent fallback between levels."""
    finished = await program("relay", RUSTOK_EVENT_TRANSPORT="pigeon")

    assert finished.code == 1
    assert "RUSTOK_EVENT_TRANSPORT" in finished.err
    assert "'memory' or 'outbox'" in finished.err


async def test_without_the_module_of_scripts_its_commands_say_so(environment: dict[str, str]) -> None:
    """A platform may be built without it: one coded line, not a failed look-up."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _WITHOUT_SCRIPTS),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )

    out, err = await process.communicate()

    assert out.decode().split() == ["1", "1", "1", "1"]
    assert err.decode().splitlines() == [
        "error The module alloy is not installed: rustok/catalog.py does not have it. (misconfigured)"
    ] * len(out.split())


async def test_doctor_tells_what_is_wrong(cli: Cli) -> None:
    """Every check is a line; exit code 1 when one fails."""
    finished = await cli("doctor", "--json", RUSTOK_REDIS_URL="redis://127.0.0.1:1/0")

    findings = {row["check"]: row["ok"] for row in json.loads(finished.out)}
    assert finished.code == 1
    assert findings["migrations"] is True
    assert findings["app role"] is True
    assert findings["redis"] is False


async def test_doctor_tells_of_the_cage_and_of_the_workers(rustok: PlatformUnderTest, cli: Cli) -> None:
    """A cage is started here and runs a hook; workers are asked for nothing: they have said what holds there."""
    report = Report(level="B", layers={layer: layer != "namespaces" for layer in LAYERS})
    await Heartbeat(rustok.system_engine, FixedClock(), lambda: asdict(report)).run_once()

    finished = await cli("doctor", "--json")

    details = {row["check"]: row["detail"] for row in json.loads(finished.out)}
    assert details["cage"].startswith("level ")
    assert [name.removeprefix("cage: ") for name in details if name.startswith("cage: ")] == [*LAYERS, "a run"]
    assert "ms of CPU" in details["cage: a run"]
    assert details[f"worker {socket.gethostname()}:{os.getpid()}"] == "cage at level B without namespaces"


async def test_the_log_is_printed_in_order(rustok: PlatformUnderTest, cli: Cli) -> None:
    """One JSON object an event, by position."""
    tenant = await rustok.create_tenant("acme")
    await rustok.run("commerce.products.create", tenant, translations={"en": {"title": "Kettle"}})
    await rustok.settle()

    finished = await cli("events", "tail", "--no-follow", "--json")

    events = [json.loads(line) for line in finished.out.splitlines()]
    assert [event["position"] for event in events] == [1, 2]
    assert [event["type"] for event in events] == ["tenants.tenant.created", "commerce.product.created"]


async def test_the_schemas_of_events_are_printed(offline: Cli) -> None:
    """Whoever reads events knows what to expect, before the first one comes."""
    finished = await offline("events", "schemas")

    schema = json.loads(finished.out)["commerce.product.created.v1"]
    assert schema["examples"] == [{"locales": ["de", "en"], "variants": 1}]
    assert schema["required"] == ["locales", "variants"]


async def test_index_status_shows_the_lag_of_each_consumer(rustok: PlatformUnderTest, cli: Cli) -> None:
    """What waits for the sequencer and what a consumer has not read are told apart."""
    await rustok.create_tenant("acme")

    finished = await cli("index", "status", "--json")

    consumers = {row["consumer"]: row["lag_events"] for row in json.loads(finished.out)}
    assert consumers["commerce.index_products"] == 0
    assert "1 events wait for the sequencer" in finished.err


async def test_index_status_shows_what_each_consumer_has_parked(rustok: PlatformUnderTest, cli: Cli) -> None:
    """Failures, and what waits for another release."""
    tenant = await rustok.create_tenant("acme")
    for state in ("retrying", "dead", "needs_version", "needs_version"):
        await run_alone(rustok.system_engine, _PARK, {"tenant_id": tenant, "aggregate_id": uuid7(), "state": state})

    finished = await cli("index", "status", "--json")

    parked = {row["consumer"]: (row["retrying"], row["dead"], row["needs_version"]) for row in json.loads(finished.out)}
    assert (parked["commerce.index_products"], parked["content.index_content"]) == ((1, 1, 2), (0, 0, 0))
