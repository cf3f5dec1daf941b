"""Whoever changes a tenant's access rules waits for others who do, and goes on with the same rights or not at all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg
import pytest

from rustok.db.unit_of_work import StaleAuthorization
from rustok.dispatch import Call
from rustok.kernel.context import Context
from rustok.testing import PlatformUnderTest
from tests.waiting import eventually_async

Who = Callable[[PlatformUnderTest], Awaitable[Context]]

_HOLD = "UPDATE tenants SET authz_version = authz_version + 1"
_WAITS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
_SESSION = """
    INSERT INTO sessions (tenant_id, id, principal_id, method, generation, rotated_at, expires_at, version, created_at)
    SELECT tenant_id, id, id, 'password', 1, now(), now() + interval '1 day', 1, now() FROM principals
"""
"""Of a session whose id is its user's."""


async def a_holder_of_a_key(rustok: PlatformUnderTest) -> Context:
    tenant_id = await rustok.create_tenant()
    key = await rustok.run("access.api_keys.create", tenant_id, name="Till", role="owner")
    identity = await rustok.platform.authenticator.authenticate(key.token)
    return Context(tenant_id=tenant_id, principal=identity.principal)


async def somebody_signed_in(rustok: PlatformUnderTest) -> Context:
    """Return who acts by a session, the rights as they are read from a key of the same user's."""
    tenant_id = await rustok.create_tenant()
    user = await rustok.run("access.users.create", tenant_id, email="ada@example.com", name="Ada", roles=["owner"])
    key = await rustok.run("access.api_keys.create", tenant_id, name="hers", principal_id=user.id)
    admin = await asyncpg.connect(rustok.database.admin_url)
    await admin.execute(_SESSION)
    await admin.close()
    held = (await rustok.platform.authenticator.authenticate(key.token)).principal
    return Context(tenant_id=tenant_id, principal=replace(held, kind="user", id=str(user.id), session_id=user.id))


@asynccontextmanager
async def changing_rules(rustok: PlatformUnderTest) -> AsyncIterator[asyncpg.Connection]:
    """Change the rules of the tenant, and commit at the end."""
    admin = await asyncpg.connect(rustok.database.admin_url)
    try:
        async with admin.transaction():
            await admin.execute(_HOLD)
            yield admin
    finally:
        await admin.close()


async def create_role_after(rustok: PlatformUnderTest, context: Context, change: str) -> None:
    """Create a role that has to wait while somebody else changes the rules by *change*."""
    call = Call(rustok.registry.commands["access.roles.create"], {"name": "clerk"})
    watcher = await asyncpg.connect(rustok.database.admin_url)

    async def waits() -> bool:
        return bool(await watcher.fetchval(_WAITS))

    try:
        async with changing_rules(rustok) as admin:
            created = asyncio.create_task(rustok.platform.dispatcher.run(call, context))
            await eventually_async(waits)
            await admin.execute(change)
        await created
    finally:
        await watcher.close()


@pytest.mark.parametrize("who", [a_holder_of_a_key, somebody_signed_in])
async def test_whose_rights_have_stayed_goes_on(rustok: PlatformUnderTest, who: Who) -> None:
    """A change that does not concern the caller costs no second attempt, whatever the credential is."""
    context = await who(rustok)

    await create_role_after(rustok, context, "SELECT")

    assert (await rustok.events())[-1].envelope.type == "access.role.created"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("UPDATE principal_roles SET role = 'admin'", id="other roles"),
        pytest.param("UPDATE principals SET is_active = false", id="a disabled principal"),
        pytest.param("UPDATE api_keys SET revoked_at = now()", id="a revoked key"),
        pytest.param("UPDATE api_keys SET expires_at = created_at", id="an expired key"),
        pytest.param("UPDATE api_keys SET scopes = '{access.roles.write}'", id="scopes"),
        pytest.param("DELETE FROM api_keys", id="a deleted key"),
        pytest.param("UPDATE tenants SET is_active = false", id="a disabled tenant"),
        pytest.param(
            "INSERT INTO module_absences (tenant_id, module, off_at, off_by, kinds_on)"
            " SELECT id, 'blog', now(), 'operator:anna', '{}' FROM tenants",
            id="a module that is off",
        ),
    ],
)
async def test_whose_rights_have_changed_does_nothing(rustok: PlatformUnderTest, change: str) -> None:
    """Also where the new ones would be enough: the caller begins anew, with them."""
    context = await a_holder_of_a_key(rustok)

    with pytest.raises(StaleAuthorization):
        await create_role_after(rustok, context, change)

    assert "access.role.created" not in [event.envelope.type for event in await rustok.events()]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("UPDATE sessions SET revoked_at = now()", id="closed"),
        pytest.param("UPDATE sessions SET expires_at = created_at", id="expired"),
    ],
)
async def test_whose_session_has_ended_does_nothing(rustok: PlatformUnderTest, change: str) -> None:
    """Although the user may do what before."""
    context = await somebody_signed_in(rustok)

    with pytest.raises(StaleAuthorization):
        await create_role_after(rustok, context, change)


async def test_a_script_begins_anew(rustok: PlatformUnderTest) -> None:
    """What it may do comes from its owner's credential and from its grants: whoever runs it reads both."""
    context = await a_holder_of_a_key(rustok)
    script = replace(context.principal, kind="script")

    with pytest.raises(StaleAuthorization):
        await create_role_after(rustok, replace(context, principal=script), "SELECT")


async def test_what_one_has_changed_oneself_is_no_change_by_others(rustok: PlatformUnderTest) -> None:
    """As where a script switches a module off and makes a role, in one transaction."""
    context = await a_holder_of_a_key(rustok)
    commands, dispatcher = rustok.registry.commands, rustok.platform.dispatcher
    script = replace(context, principal=replace(context.principal, kind="script"))

    async with rustok.platform.units.begin(script) as uow:
        off = {"module": "blog", "is_enabled": False}
        await dispatcher.run_within(uow, Call(commands["tenants.modules.switch"], off))
        await dispatcher.run_within(uow, Call(commands["access.roles.create"], {"name": "clerk"}))

    told = [event.envelope.type for event in await rustok.events()]
    assert told[-2:] == ["tenants.module.disabled", "access.role.created"]
