"""Every hook of `scripts/` does in the cage what its cases say, and asks for no more than its manifest grants."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from rustok.catalog import MODULES
from rustok.dispatch import validate
from rustok.kernel.context import Context, Principal
from rustok.kernel.event import Envelope, matches
from rustok.kernel.ids import uuid7
from rustok.kernel.registry import build_registry, placeholders
from rustok.modules.alloy import documents
from rustok.modules.alloy.events import RunEmitted
from rustok.modules.alloy.schemas import SetValue
from rustok.modules.alloy.triggers import CronTrigger, event_triggers, is_triggered
from rustok.sandbox.cage import Cage, CageConfig
from rustok.sandbox.contract import Compiled, HostCall, Job, Outcome
from tests.integration.scripts.gallery import ROOT, Case, Hook, RecordedHost, SettledHost, cases, hooks, writes

REGISTRY = build_registry(MODULES)
PUBLISHED = {event_type for event_type, _ in REGISTRY.events}

each_hook = pytest.mark.parametrize("hook", hooks(), ids=lambda hook: hook.name)
each_case = pytest.mark.parametrize("case", cases(), ids=str)


@pytest.fixture(scope="module")
async def cage() -> AsyncIterator[Cage]:
    async with Cage(CageConfig()) as cage:
        yield cage


async def run(cage: Cage, case: Case, host: HostCall) -> Outcome:
    """Run the case's hook at the moment of its event."""
    compiled = await cage.compile(case.hook.source)
    assert isinstance(compiled, Compiled), compiled
    job = Job(
        bytecode=compiled.bytecode,
        event=case.event,
        now=case.event["occurred_at"],
        seed="gallery",
        run_id=str(uuid7()),
        tenant_id=case.event["tenant_id"],
        script=case.hook.name,
    )
    return await cage.run(job, host)


@each_case
async def test_a_hook_does_what_its_case_says(cage: Cage, case: Case) -> None:
    """The same questions in the same order, the same effects, result and log."""
    host = RecordedHost(case.answers)

    outcome = await run(cage, case, host)

    assert outcome.fault is None
    assert host.asked == [{"call": a["call"], "arguments": a["arguments"]} for a in case.answers]
    assert outcome.result == case.expected["result"]
    assert list(outcome.effects) == case.expected["effects"]
    assert list(outcome.logs) == case.expected["logs"]


@pytest.mark.parametrize("case", [case for case in cases() if writes(case.expected["effects"])], ids=str)
async def test_a_hook_has_nothing_to_do_after_its_own_run(cage: Cage, case: Case) -> None:
    """The events of its own changes come back to it: if it changed something again, it would never end."""
    outcome = await run(cage, case, SettledHost(case))

    assert outcome.fault is None
    assert writes(outcome.effects) == []


@each_hook
def test_the_grants_of_a_hook_are_those_that_its_cases_use(hook: Hook) -> None:
    """No right without a case that needs it, no case without its right; the same for hosts and secrets."""
    used = {command.permission for case in hook.cases for command, _ in case.commands(REGISTRY)}
    used |= {query.permission for case in hook.cases for _, query, _ in case.questions(REGISTRY)}
    calls = [effect for case in hook.cases for effect in case.effects("http")]
    secrets = {name for call in calls for name in (call["secret_headers"] or {}).values()}

    assert set(hook.manifest.grants) == used <= REGISTRY.permissions.keys()
    assert {f"https://{host}" for host in hook.manifest.hosts} == {origin(call["url"]) for call in calls}
    assert set(hook.manifest.secrets) == secrets


def origin(url: str) -> str:
    return f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"


@each_hook
def test_a_hook_waits_for_events_that_exist(hook: Hook) -> None:
    """A pattern that no published event matches would never start anything."""
    patterns = [trigger.pattern for trigger in event_triggers(hook.manifest.triggers)]

    unknown = [pattern for pattern in patterns if not any(matches(pattern, published) for published in PUBLISHED)]

    assert unknown == []


@each_case
def test_a_case_begins_with_an_event_that_starts_the_hook(case: Case) -> None:
    """A published event that a trigger means, with a payload that its class takes; or a due moment; or a request."""
    event, triggers = case.event, case.hook.manifest.triggers
    match event["type"]:
        case documents.CRON:
            [cron] = [trigger for trigger in triggers if isinstance(trigger, CronTrigger)]
            assert is_due(cron, datetime.fromisoformat(event["payload"]["due_at"]))
        case documents.MANUAL | documents.API as asked:
            assert asked.removeprefix("alloy.") in {trigger.kind for trigger in triggers}
        case published:
            payload = REGISTRY.validate_event(published, event["version"], event["payload"])
            assert event["aggregate_type"] == payload.aggregate
            assert any(is_triggered(trigger, envelope(event)) for trigger in event_triggers(triggers))


@each_case
def test_an_event_is_as_alloy_hands_it_over(case: Case) -> None:
    """Every field, in the same form."""
    event = case.event
    kind, _, name = event["actor"].partition(":")
    context = Context(
        tenant_id=UUID(event["tenant_id"]),
        principal=Principal(kind, name, frozenset()),
        correlation_id=UUID(event["correlation_id"]),
        causation_id=UUID(event["causation_id"]),
    )
    run_id, now = UUID(event["id"]), datetime.fromisoformat(event["occurred_at"])

    match event["type"]:
        case documents.CRON:
            handed = documents.cron_event(run_id, context.tenant_id, event["actor"], event["payload"]["due_at"])
        case documents.MANUAL | documents.API as asked:
            handed = documents.of_start(asked, run_id, context, now, event["payload"])
        case _:
            handed = documents.of_event(envelope(event))

    assert event == handed


def is_due(cron: CronTrigger, moment: datetime) -> bool:
    just_before = (moment - timedelta(seconds=1)).astimezone(ZoneInfo(cron.timezone))
    return next(CronSim(cron.expression, just_before)) == moment


def envelope(event: dict[str, Any]) -> Envelope:
    ids = {name: UUID(event[name]) for name in ("tenant_id", "aggregate_id", "correlation_id", "causation_id")}
    return Envelope(
        event_id=UUID(event["id"]),
        type=event["type"],
        schema_version=event["version"],
        aggregate_type=event["aggregate_type"],
        aggregate_version=event["aggregate_version"],
        traceparent=None,
        actor=event["actor"],
        occurred_at=datetime.fromisoformat(event["occurred_at"]),
        payload=event["payload"],
        **ids,
    )


@each_case
def test_the_answers_of_a_case_are_what_the_queries_say(case: Case) -> None:
    """Arguments that fit the query's input; values that have every field of its result, or none for what is gone."""
    for answer, query, arguments in case.questions(REGISTRY):
        validate(query.input, arguments, strict=False)
        value = answer.get("value")
        assert "error" in answer or value is not None or answer["call"] == "get"
        assert value is None or query.result.model_validate(value).model_dump(mode="json") == value


@each_case
def test_the_effects_of_a_case_are_what_the_platform_takes(case: Case) -> None:
    """Inputs fit their commands; what is kept, and what is said, fits alloy."""
    script_id = str(uuid7())

    for command, data in case.commands(REGISTRY):
        validate(command.input, data)
    for kept in case.effects("kv.set"):
        validate(SetValue, {"script_id": script_id, "key": kept["key"], "value": kept["value"], "ttl_s": kept["ttl_s"]})
    for said in case.effects("emit"):
        validate(RunEmitted, {"script_id": script_id, "name": said["name"], "data": said["data"]}, strict=False)


@each_case
def test_a_hook_has_read_what_it_changes(case: Case) -> None:
    """A command that wants a version gets the one that was read with `ctx.get`."""
    read = {answer["arguments"]["id"] for answer in case.answers if answer["call"] == "get" and answer["value"]}

    blind = [
        command.name
        for command, data in case.commands(REGISTRY)
        if command.checks_version and data[placeholders(command.route or "")[0]] not in read
    ]

    assert blind == []


@each_hook
def test_a_hook_has_two_cases_and_in_one_of_them_it_acts(hook: Hook) -> None:
    """What it does, and where it leaves off."""
    cases = hook.cases

    assert len(cases) >= 2
    assert any(case.expected["effects"] for case in cases)


@each_hook
def test_a_hook_is_called_the_same_everywhere(hook: Hook) -> None:
    """Folder, manifest, page and table have one name and one description."""
    name, description = hook.manifest.name, hook.manifest.description

    assert name == hook.name
    assert (hook.folder / "README.md").read_text().startswith(f"# {name}\n\n{description}\n")
    assert f"| [{name}]({name}/README.md) | {description} |" in (ROOT / "README.md").read_text()
