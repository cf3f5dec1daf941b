"""What scripts keep, and secrets."""

from typing import Any

import pytest
from sqlalchemy import text

from rustok.db.transaction import run_alone
from rustok.kernel.errors import VersionMismatch
from rustok.modules.alloy import errors
from tests.integration.alloy.workshop import Workshop

pytestmark = pytest.mark.under_fire

_EXPIRE = text("UPDATE script_values SET expires_at = now() - interval '1 second' WHERE expires_at IS NOT NULL")
_SPOIL_KEYS = text("UPDATE script_data_keys SET wrapped_key = sha256(wrapped_key)")
_SEALED = text("SELECT sealed FROM script_secrets WHERE tenant_id = :tenant_id")


async def test_a_value_is_there_until_its_time_is_over(workshop: Workshop) -> None:
    """Then it reads as if it had never been, and can be written as a new one."""
    script = await workshop.script("return await ctx.kv.get('seen', 'nothing')", on=None)
    await workshop.run("alloy.kv.set", script_id=str(script.id), key="seen", value={"n": 1}, ttl_s=60)
    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    await run_alone(workshop.platform.system_engine, _EXPIRE)
    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()
    anew = await workshop.run("alloy.kv.set", script_id=str(script.id), key="seen", value=2, expected_version=0)

    assert [a.result for a in await workshop.attempts(script)] == [{"n": 1}, "nothing"]
    assert (anew.value, anew.expires_at) == (2, None)


async def test_a_value_is_compared_and_set(workshop: Workshop) -> None:
    """By its version, which no later value of the key has again."""
    script = await workshop.script("return 1", on=None)
    at: dict[str, Any] = {"script_id": str(script.id), "key": "k"}
    first = await workshop.run("alloy.kv.set", **at, value=1, expected_version=0)

    second = await workshop.run("alloy.kv.set", **at, value=2, expected_version=first.version)
    for stale in (0, first.version):
        with pytest.raises(VersionMismatch):
            await workshop.run("alloy.kv.set", **at, value=3, expected_version=stale)
    await workshop.run("alloy.kv.delete", **at)
    anew = await workshop.run("alloy.kv.set", **at, value=1, expected_version=0)

    assert len({first.version, second.version, anew.version}) == 3


async def test_scripts_do_not_see_what_others_keep(workshop: Workshop) -> None:
    """Keys belong to a script."""
    writer = await workshop.script("ctx.kv.set('k', 'mine')", on=None)
    reader = await workshop.script("return await ctx.kv.get('k')", on=None)

    for script in (writer, reader):
        await workshop.run("alloy.runs.start", script_id=str(script.id))
        await workshop.work()

    assert [a.result for a in await workshop.attempts(reader)] == [None]
    page = await workshop.query("alloy.kv.list", script_id=str(writer.id))
    assert [(v.key, v.value) for v in page.data] == [("k", "mine")]


async def test_a_script_writes_and_deletes_in_order(workshop: Workshop) -> None:
    """Later effects build on earlier ones, also after a read."""
    body = "await ctx.kv.get('a')\nctx.kv.set('a', 1)\nctx.kv.set('a', 2)\nctx.kv.set('b', 3)\nctx.kv.delete('b')"
    script = await workshop.script(body, on=None)

    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    page = await workshop.query("alloy.kv.list", script_id=str(script.id))
    assert [(v.key, v.value) for v in page.data] == [("a", 2)]


async def test_a_script_keeps_only_so_much(workshop: Workshop) -> None:
    """The effect is refused, with the limit."""
    await workshop.limits(values_a_script=1, value_bytes=100)
    many = await workshop.script("ctx.kv.set('a', 1)\nctx.kv.set('b', 1)", on=None)
    large = await workshop.script("ctx.kv.set('a', 'x' * 200)", on=None)

    for script in (many, large):
        await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    for script, told in ((many, "keeps 1 values"), (large, "at most 100 bytes")):
        [attempt] = await workshop.attempts(script)
        assert attempt.error is not None
        assert told in attempt.error["message"]


async def test_a_secret_is_read_by_scripts_that_name_it_and_by_nobody_else(workshop: Workshop) -> None:
    """It is kept encrypted, listed without its value, and blotted out of whatever the script says."""
    await workshop.run("alloy.secrets.set", name="mail", value="hunter2-hunter2")
    body = "s = await ctx.secret('mail')\nctx.log(f'it is {s}', s=[s])\nreturn {'len': len(s), 's': s}"
    named = await workshop.script(body, on=None, secrets=["mail"])
    other = await workshop.script(body, on=None)

    for script in (named, other):
        await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    [told] = await workshop.attempts(named)
    [refused] = await workshop.attempts(other)
    assert told.result == {"len": 15, "s": "***"}
    assert told.logs == [{"level": "info", "message": "it is ***", "fields": {"s": ["***"]}}]
    assert refused.error is not None
    assert "secret_not_granted" in refused.error["message"]
    sealed = await run_alone(workshop.platform.system_engine, _SEALED, {"tenant_id": workshop.tenant_id})
    assert b"hunter2" not in sealed.one().sealed
    listed = await workshop.query("alloy.secrets.list")
    assert [s.name for s in listed.data] == ["mail"]


async def test_a_secret_that_was_made_anew_has_another_version_than_before(workshop: Workshop) -> None:
    """Whoever has seen the old one, and names its version, does not overwrite the new one."""
    first = await workshop.run("alloy.secrets.set", name="token", value="hunter2-hunter2")
    await workshop.run("alloy.secrets.delete", name="token")
    anew = await workshop.run("alloy.secrets.set", name="token", value="hunter3-hunter3")

    assert anew.version != first.version
    with pytest.raises(VersionMismatch):
        await workshop.run("alloy.secrets.set", seen=first.version, name="token", value="hunter4-hunter4")


async def test_an_error_that_quotes_a_secret_is_told_without_it(workshop: Workshop) -> None:
    """An exception's message is shown to people who may not see the secret."""
    await workshop.run("alloy.secrets.set", name="mail", value="hunter2-hunter2")
    script = await workshop.script("raise ValueError(await ctx.secret('mail'))", on=None, secrets=["mail"])

    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    [attempt] = await workshop.attempts(script)
    operation = await workshop.query("jobs.operations.get", operation_id=str(attempt.run_id))
    assert attempt.error is not None
    assert attempt.error["message"] == "ValueError: ***"
    assert operation.error["message"] == "ValueError: ***"


async def test_an_expired_value_takes_no_place(workshop: Workshop) -> None:
    """Nobody has to wait until it is swept away."""
    await workshop.limits(values_a_script=1)
    script = await workshop.script("return 1", on=None)
    await workshop.run("alloy.kv.set", script_id=str(script.id), key="old", value=1, ttl_s=60)
    await run_alone(workshop.platform.system_engine, _EXPIRE)

    await workshop.run("alloy.kv.set", script_id=str(script.id), key="new", value=2)

    page = await workshop.query("alloy.kv.list", script_id=str(script.id))
    assert [v.key for v in page.data] == ["new"]


async def test_secrets_that_another_platform_secret_hides_are_set_again(workshop: Workshop) -> None:
    """After a change of RUSTOK_SECRET what was kept is lost, and what is set then can be read."""
    await workshop.run("alloy.secrets.set", name="mail", value="hunter2-hunter2")
    await run_alone(workshop.platform.system_engine, _SPOIL_KEYS)
    script = await workshop.script("return len(await ctx.secret('mail'))", on=None, secrets=["mail"])
    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    await workshop.run("alloy.secrets.set", name="mail", value="fresh")
    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    lost, found = await workshop.attempts(script)
    assert lost.error is not None
    assert "set it again" in lost.error["message"]
    assert found.result == 5


async def test_a_script_reads_no_secret_when_its_owner_may_not_any_more(workshop: Workshop) -> None:
    """Its key is revoked: so ends whatever somebody could learn with it."""
    key = await workshop.run("access.api_keys.create", name="author", role="owner")
    await workshop.run("alloy.secrets.set", name="mail", value="hunter2-hunter2")
    script = await workshop.script_of(key, "return len(await ctx.secret('mail'))", secrets=["mail"])
    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    await workshop.run("access.api_keys.revoke", key_id=key.key_id)
    await workshop.run("alloy.runs.start", script_id=str(script.id))
    await workshop.work()

    before, after = await workshop.attempts(script)
    assert before.result == 15
    assert after.error is not None
    assert "permission_denied" in after.error["message"]


async def test_a_secret_is_replaced_and_deleted(workshop: Workshop) -> None:
    """The next run has the new one; then there is none."""
    script = await workshop.script("return len(await ctx.secret('mail'))", on=None, secrets=["mail"])
    for value in ("four", "seventh"):
        await workshop.run("alloy.secrets.set", name="mail", value=value)
        await workshop.run("alloy.runs.start", script_id=str(script.id))
        await workshop.work()

    await workshop.run("alloy.secrets.delete", name="mail")

    assert [a.result for a in await workshop.attempts(script)] == [4, 7]
    with pytest.raises(errors.SecretNotFound):
        await workshop.run("alloy.secrets.delete", name="mail")
