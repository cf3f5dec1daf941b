"""Scripts and versions: who may push what, and what runs."""

from typing import Any

import pytest

from rustok.dispatch import Call
from rustok.jobs.schedule_desk import Choice, list_schedules
from rustok.kernel.errors import Forbidden, InvalidInput, VersionMismatch
from rustok.modules.alloy import errors
from rustok.testing import a_context
from tests.integration.alloy.workshop import Workshop, hook

pytestmark = pytest.mark.under_fire

CODE = hook("return 1")
FORK = """
for kind in ().__class__.__base__.__subclasses__():
    if kind.__name__ == "_wrap_close":
        kind.__init__.__globals__["fork"]()
"""


async def run_as(workshop: Workshop, permissions: set[str], command: str, **fields: Any) -> Any:
    """Run a command as somebody who may do no more than *permissions*."""
    context = a_context(workshop.tenant_id, frozenset(permissions))
    call = Call(workshop.platform.registry.commands[command], fields, fields.pop("seen", None))
    return (await workshop.platform.platform.dispatcher.run(call, context)).result


async def test_a_pushed_version_is_checked_by_a_worker_and_becomes_the_active_one(workshop: Workshop) -> None:
    """The push is answered before anything is compiled: its operation tells what came of it."""
    script = await workshop.run("alloy.scripts.create", name="greeter")
    pushed = await workshop.run("alloy.versions.push", script_id=str(script.id), code=CODE, activate=True)
    before = await workshop.query("alloy.versions.get", script_id=str(script.id), number="1")
    await workshop.work()

    operation = await workshop.query("jobs.operations.get", operation_id=str(pushed.operation_id))
    after = await workshop.query("alloy.versions.get", script_id=str(script.id), number="1")
    found = await workshop.find(script.id)
    assert (before.state, after.state, after.code) == ("checking", "ready", CODE)
    assert operation.result == {"accepted": True, "number": 1, "faults": []}
    assert (found.status, found.active_version, found.latest_version) == ("active", 1, 1)
    assert [e.envelope.type for e in await workshop.platform.events() if e.envelope.aggregate_id == script.id] == [
        "alloy.script.created",
        "alloy.script.pushed",
        "alloy.script.checked",
        "alloy.script.activated",
    ]


async def test_a_version_outside_the_language_is_rejected_with_its_faults(workshop: Workshop) -> None:
    """Each with line, column and hint; what was active stays active."""
    script = await workshop.script("return 1", on=None)

    operation = await workshop.push(script.id, "import os\nasync def handle(event, ctx): ().__class__\n", activate=True)

    assert operation.result["accepted"] is False
    assert [(f["code"], f["line"]) for f in operation.result["faults"]] == [
        ("forbidden_syntax", 1),
        ("forbidden_syntax", 2),
    ]
    version = await workshop.query("alloy.versions.get", script_id=str(script.id), number="2")
    assert (version.state, len(version.faults)) == ("rejected", 2)
    assert (await workshop.find(script.id)).active_version == 1


async def test_a_rejected_version_cannot_be_activated(workshop: Workshop) -> None:
    """Neither can one that does not exist."""
    script = await workshop.script("return 1", on=None)
    await workshop.push(script.id, "not a hook")

    with pytest.raises(errors.VersionNotReady):
        await workshop.run("alloy.scripts.activate", script_id=str(script.id), number=2)
    with pytest.raises(errors.ScriptVersionNotFound):
        await workshop.run("alloy.scripts.activate", script_id=str(script.id), number=3)


async def test_a_rollback_is_the_activation_of_an_earlier_version(workshop: Workshop) -> None:
    """Versions are kept for good."""
    script = await workshop.script("return 1", on=None)
    await workshop.push(script.id, hook("return 2"), activate=True)

    rolled_back = await workshop.run("alloy.scripts.activate", script_id=str(script.id), number=1)

    versions = await workshop.query("alloy.versions.list", script_id=str(script.id))
    assert (rolled_back.active_version, [v.number for v in versions.data]) == (1, [2, 1])


async def test_a_check_that_ends_late_does_not_take_the_place_of_a_newer_version(workshop: Workshop) -> None:
    """Two pushes at once: the higher number stays active in whatever order they are checked."""
    script = await workshop.run("alloy.scripts.create", name="racer")
    first = await workshop.run("alloy.versions.push", script_id=str(script.id), code=CODE, activate=True)
    second = await workshop.run("alloy.versions.push", script_id=str(script.id), code=CODE, activate=True)

    await workshop.work_through(second.operation_id)
    await workshop.work_through(first.operation_id)

    versions = await workshop.query("alloy.versions.list", script_id=str(script.id))
    assert {version.state for version in versions.data} == {"ready"}
    assert (await workshop.find(script.id)).active_version == 2


async def test_nobody_grants_what_he_has_not(workshop: Workshop) -> None:
    """A script can never do what its owner may not."""
    mine = {"alloy.scripts.write", "commerce.products.read"}

    with pytest.raises(Forbidden):
        await run_as(workshop, mine, "alloy.scripts.create", name="greedy", grants=["commerce.products.write"])

    modest = await run_as(workshop, mine, "alloy.scripts.create", name="modest", grants=["commerce.products.read"])
    assert modest.grants == ["commerce.products.read"]


async def test_no_script_is_granted_rights_over_scripts(workshop: Workshop) -> None:
    """It could give itself, or another, all the rest."""
    with pytest.raises(errors.GrantNotAllowed):
        await workshop.run("alloy.scripts.create", name="king", grants=["alloy.scripts.write"])


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        ("alloy.versions.push", {"code": CODE}),
        ("alloy.scripts.activate", {}),
        ("alloy.canaries.set", {"number": 1, "percent": 5}),
        ("alloy.scripts.update", {"hosts": ["evil.example.com"]}),
    ],
)
async def test_who_decides_what_a_script_runs_must_hold_its_grants(
    workshop: Workshop, command: str, fields: dict[str, Any]
) -> None:
    """Else the code of one would run with the rights of another."""
    script = await workshop.script("return 1", on=None)
    seen = {"seen": script.version} if command == "alloy.scripts.update" else {}

    with pytest.raises(errors.BeyondGrants):
        await run_as(workshop, {"alloy.scripts.write"}, command, script_id=str(script.id), **fields, **seen)


async def test_only_who_may_use_secrets_decides_about_a_script_that_does(workshop: Workshop) -> None:
    """Else a push would read what its author may not."""
    script = await workshop.script("return 1", on=None, grants=[], secrets=["mail"])

    with pytest.raises(Forbidden):
        await run_as(workshop, {"alloy.scripts.write"}, "alloy.scripts.create", name="spy", secrets=["mail"])
    with pytest.raises(errors.BeyondGrants):
        await run_as(workshop, {"alloy.scripts.write"}, "alloy.versions.push", script_id=str(script.id), code=CODE)
    fields = {"seen": script.version, "hosts": ["evil.example.com"], "grants": []}
    with pytest.raises(Forbidden):
        await run_as(workshop, {"alloy.scripts.write"}, "alloy.scripts.update", script_id=str(script.id), **fields)


async def test_the_rights_of_a_script_end_with_those_of_its_owner(workshop: Workshop) -> None:
    """Its key is revoked: from the next run on the script may nothing."""
    key = await workshop.run("access.api_keys.create", name="author", role="owner")
    product = await workshop.product()
    body = f'ctx.update("commerce.products", "{product.id}", vendor="Acme")'
    script = await workshop.script_of(key, body, grants=["commerce.products.write"])
    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    await workshop.run("access.api_keys.revoke", key_id=key.key_id)
    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    assert [a.outcome for a in await workshop.attempts(script)] == ["succeeded", "effect_refused"]


async def test_a_script_outlives_the_rotation_of_the_key_that_has_installed_it(workshop: Workshop) -> None:
    """It goes on with the rights of the successor, until that one is revoked."""
    key = await workshop.run("access.api_keys.create", name="author", role="owner")
    product = await workshop.product()
    body = f'ctx.update("commerce.products", "{product.id}", vendor="Acme")'
    script = await workshop.script_of(key, body, grants=["commerce.products.write"])

    successor = await workshop.run("access.api_keys.rotate", key_id=key.key_id, overlap_s=0)
    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()
    await workshop.run("access.api_keys.revoke", key_id=successor.key_id)
    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    assert [a.outcome for a in await workshop.attempts(script)] == ["succeeded", "effect_refused"]


async def test_a_script_is_not_found_by_another_tenant(workshop: Workshop) -> None:
    """Neither to read, nor to push to, nor to start."""
    script = await workshop.script("return 1", on=None)
    stranger = await workshop.platform.create_tenant("stranger")

    with pytest.raises(errors.ScriptNotFound):
        await workshop.platform.query("alloy.scripts.get", stranger, script_id=str(script.id))
    with pytest.raises(errors.ScriptNotFound):
        await workshop.platform.run("alloy.versions.push", stranger, script_id=str(script.id), code=CODE)
    with pytest.raises(errors.ScriptNotFound):
        await workshop.platform.run("alloy.runs.start", stranger, script_id=str(script.id))


async def test_an_event_of_one_tenant_starts_no_script_of_another(workshop: Workshop) -> None:
    """Patterns mean the tenant's own events."""
    script = await workshop.script("return 1", on="*")
    stranger = await workshop.platform.create_tenant("foreigner")

    await workshop.platform.run("commerce.products.create", stranger, translations={"en": {"title": "Kettle"}})
    await workshop.settle()

    assert await workshop.attempts(script) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Not A Slug"},
        {"triggers": [{"kind": "event", "pattern": "Commerce.*.x"}]},
        {"triggers": [{"kind": "event"}]},
        {"triggers": [{"kind": "sometimes"}]},
        {"triggers": [{"kind": "event", "pattern": "a.b", "filter": {"payload.x": []}}]},
        {"grants": ["everything"]},
        {"grants": ["a.b.c", "a.b.c"]},
        {"hosts": ["https://example.com/path"]},
        {"secrets": ["not a name"]},
    ],
)
async def test_a_script_is_refused_with_the_place_of_each_fault(workshop: Workshop, fields: dict[str, Any]) -> None:
    """Nothing is created."""
    with pytest.raises(InvalidInput) as refused:
        await workshop.run("alloy.scripts.create", **{"name": "fine", **fields})

    assert refused.value.violations[0].pointer.startswith(f"/{next(iter(fields))}")


@pytest.mark.parametrize("expression", ["every day at noon", "99 7 * * *", "0 0 30 2 *"])
async def test_a_moment_that_never_comes_is_refused_when_it_is_written(workshop: Workshop, expression: str) -> None:
    """With the place of the trigger; not later, when a version is to be activated."""
    script = await workshop.script("return 1", on=None)
    triggers = [{"kind": "api"}, {"kind": "cron", "expression": expression}]

    with pytest.raises(InvalidInput) as created:
        await workshop.run("alloy.scripts.create", name="clock", triggers=triggers)
    with pytest.raises(InvalidInput) as updated:
        await workshop.run("alloy.scripts.update", seen=script.version, script_id=str(script.id), triggers=triggers)

    assert [e.value.violations[0].pointer for e in (created, updated)] == ["/triggers/1"] * 2


async def test_a_change_of_triggers_holds_at_once(workshop: Workshop) -> None:
    """Also the moments of a cron trigger."""
    script = await workshop.script("return event['type']", on=None)

    await workshop.run(
        "alloy.scripts.update",
        seen=script.version,
        script_id=str(script.id),
        triggers=[{"kind": "cron", "expression": "0 7 * * *"}],
    )
    await workshop.strike()
    await workshop.work()

    assert [a.result for a in await workshop.attempts(script)] == ["alloy.cron"]


async def test_the_author_says_what_becomes_of_missed_moments(workshop: Workshop) -> None:
    """The usual is not stored: a process of an older release reads triggers, and refuses fields unknown to it."""
    plain = {"kind": "cron", "expression": "0 7 * * *", "timezone": "UTC"}
    triggers = [{**plain, "missed": "latest"}, {**plain, "expression": "0 8 * * *", "missed": "all"}]

    script = await workshop.script("return event['type']", triggers=triggers)

    schedules = await list_schedules(workshop.platform.system_engine, Choice(owner=f"script:{script.id}"))
    assert [(row.cron, row.missed) for row in schedules] == [("0 7 * * *", "latest"), ("0 8 * * *", "all")]
    assert script.triggers == [plain, triggers[1]]


async def test_a_change_says_which_version_it_has_seen(workshop: Workshop) -> None:
    """Two people who change a script at once are told."""
    script = await workshop.script("return 1", on=None)
    await workshop.run("alloy.scripts.update", seen=script.version, script_id=str(script.id), description="new")

    with pytest.raises(VersionMismatch):
        await workshop.run("alloy.scripts.update", seen=script.version, script_id=str(script.id), description="old")


async def test_names_are_unique_within_a_tenant(workshop: Workshop) -> None:
    """A script is known by its name."""
    await workshop.run("alloy.scripts.create", name="only-one")

    with pytest.raises(errors.DuplicateScriptName):
        await workshop.run("alloy.scripts.create", name="only-one")


async def test_a_tenant_has_so_many_scripts_and_versions(workshop: Workshop) -> None:
    """What is beyond is refused with the number."""
    await workshop.limits(scripts=1, versions_a_script=1)
    script = await workshop.script("return 1", on=None)

    with pytest.raises(errors.QuotaExceeded, match="1 scripts"):
        await workshop.run("alloy.scripts.create", name="second")
    with pytest.raises(errors.QuotaExceeded, match="1 versions"):
        await workshop.run("alloy.versions.push", script_id=str(script.id), code=CODE)


async def test_a_violation_of_the_policy_disables_the_version(workshop: Workshop) -> None:
    """It got past the check and tried what the kernel forbids: nothing of it runs again, and an operator is told."""
    script = await workshop.script("return 1", on=None)
    await workshop.break_in(script, FORK)

    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    [attempt] = await workshop.attempts(script)
    version = await workshop.query("alloy.versions.get", script_id=str(script.id), number="1")
    found = await workshop.find(script.id)
    assert (attempt.outcome, version.state) == ("policy_violation", "disabled")
    assert (found.status, found.status_reason) == ("disabled", "policy_violation")
    with pytest.raises(errors.VersionNotReady):
        await workshop.run("alloy.scripts.activate", script_id=str(script.id), number=1)


async def test_a_late_violation_of_an_old_version_leaves_its_successor_alone(workshop: Workshop) -> None:
    """Only the version that broke out is disabled."""
    script = await workshop.script("return 1", on=None)
    await workshop.break_in(script, FORK)
    await workshop.push(script.id, hook("return 2"))
    await workshop.run("alloy.runs.start", script_id=str(script.id))

    async def replace() -> None:
        await workshop.run("alloy.scripts.activate", script_id=str(script.id), number=2)

    workshop.before_effects(replace, times=1)
    await workshop.work()

    found = await workshop.find(script.id)
    versions = await workshop.query("alloy.versions.list", script_id=str(script.id))
    assert (found.status, found.active_version) == ("active", 2)
    assert [(v.number, v.state) for v in versions.data] == [(2, "ready"), (1, "disabled")]


async def test_a_version_is_compiled_anew_for_another_policy_or_python(workshop: Workshop) -> None:
    """An upgrade of the platform: what was compiled before fits no more, and nobody has to push again."""
    script = await workshop.script("return 'anew'", on=None)
    await workshop.forget_compiled()

    await workshop.run("alloy.runs.start", script_id=str(script.id))
    workshop.runner = workshop.fresh_runner()
    await workshop.work()

    assert [a.result for a in await workshop.attempts(script)] == ["anew"]
