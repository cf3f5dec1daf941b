"""Operators see what is due again and again, switch it off and on, and have it done now."""

import json
from uuid import UUID, uuid4

import pytest

from rustok.jobs import NewSchedule, set_schedules
from rustok.modules.alloy import RUN
from rustok.testing import PlatformUnderTest
from tests.integration.cli.conftest import Cli

OWNER = "script:greeter"


@pytest.fixture
async def tenant(rustok: PlatformUnderTest) -> UUID:
    """A tenant with two schedules of one owner."""
    tenant = await rustok.create_tenant("acme")
    schedules = [
        NewSchedule(cron=cron, timezone="Europe/Berlin", kind=RUN, args={"script_id": str(uuid4())}, missed="skip")
        for cron in ("0 7 * * *", "0 8 * * *")
    ]
    async with rustok.platform.units.begin(rustok.context(tenant)) as uow:
        await set_schedules(uow, OWNER, schedules)
    return tenant


async def test_schedules_are_listed(cli: Cli, tenant: UUID) -> None:
    """With what their owner wrote, and what an operator made of it."""
    finished = await cli("schedule", "list", "--tenant", "acme", "--kind", "alloy.run", "--json")
    none = await cli("schedule", "list", "--owner", "script:nobody", "--json")

    first = json.loads(finished.out)[0]
    told = [
        first[name] for name in ("tenant_id", "owner", "kind", "cron", "timezone", "missed", "state", "last_due_at")
    ]
    assert told == [str(tenant), OWNER, "alloy.run", "0 7 * * *", "Europe/Berlin", "skip", "on", None]
    assert (first["due_at"] is not None, json.loads(none.out)) == (True, [])


@pytest.mark.usefixtures("tenant")
async def test_a_schedule_is_switched_off_and_on(cli: Cli) -> None:
    """One by its id, or all that an owner has."""

    async def states() -> list[tuple[str, str | None]]:
        found = json.loads((await cli("schedule", "list", "--json")).out)
        return [(row["state"], row["reason"]) for row in found]

    [first, _] = json.loads((await cli("schedule", "list", "--json")).out)
    off = await cli("schedule", "off", first["id"], "--reason", "it floods")
    one_off = await states()
    await cli("schedule", "off", "--owner", OWNER)
    all_off = await states()
    on = await cli("schedule", "on", "--tenant", "acme")

    assert (off.err.strip(), one_off) == ("1 schedules are off", [("off", "it floods"), ("on", None)])
    assert all_off == [("off", "it floods"), ("off", None)]
    assert (on.err.strip(), await states()) == ("2 schedules are on", [("on", None)] * 2)


async def test_a_job_is_made_now(cli: Cli, tenant: UUID) -> None:
    """Its id is printed, for `rustok jobs show`."""
    [first, _] = json.loads((await cli("schedule", "list", "--json")).out)

    finished = await cli("schedule", "run", first["id"])

    job = json.loads((await cli("jobs", "show", finished.out.strip())).out)
    assert (job["kind"], job["tenant_id"], "due_at" in job["args"]) == ("alloy.run", str(tenant), True)


@pytest.mark.usefixtures("tenant")
@pytest.mark.parametrize("verb", ["run", "off", "on"])
async def test_a_call_that_means_no_schedule_is_refused(cli: Cli, verb: str) -> None:
    """Nothing named is not everything, and what is not there is no success."""
    unnamed = await cli("schedule", verb)
    unknown = await cli("schedule", verb, str(uuid4()))
    misspelt = await cli("schedule", verb, "--kind", "alloy.rum")

    assert ("Name a schedule by its id" in unnamed.err, unnamed.code) == (True, 2)
    assert ("(schedule_not_found)" in unknown.err, unknown.code) == (True, 1)
    assert ("There is no kind 'alloy.rum'" in misspelt.err, misspelt.code) == (True, 2)
