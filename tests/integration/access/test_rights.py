"""What somebody may do later who acted before: `rights_of`, by whom scripts are bound."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from rustok.modules.access import Rights, rights_of
from rustok.modules.access.errors import ApiKeyRotated
from rustok.modules.access.roles import Roles
from rustok.testing import PlatformUnderTest


async def rights(rustok: PlatformUnderTest, tenant_id: UUID, actor: str) -> Rights:
    async with rustok.platform.units.begin(rustok.context(tenant_id), read_only=True) as uow:
        return await rights_of(uow, actor, rustok.registry.permissions.values())


async def test_an_operator_may_what_an_owner_may(rustok: PlatformUnderTest) -> None:
    """Whoever it is: operators are nobody of the tenant."""
    found = await rights(rustok, await rustok.create_tenant("acme"), "operator:anna")

    assert found.permissions == Roles(rustok.registry.permissions.values()).built_in("owner")


@pytest.mark.parametrize(
    "actor", ["visitor:anonymous", "script:019a7c00-0000-7000-8000-000000000001", "operators:x", ""]
)
async def test_who_is_neither_a_key_nor_a_user_nor_an_operator_may_nothing(
    rustok: PlatformUnderTest, actor: str
) -> None:
    """A kind of actor that is new has no rights until somebody gives it some."""
    found = await rights(rustok, await rustok.create_tenant("acme"), actor)

    assert found.permissions == frozenset()


class TestWhoActedByAKey:
    """Has the rights of the newest key that has come of it; whoever sends the old one is refused as ever."""

    async def a_key(self, rustok: PlatformUnderTest) -> tuple[UUID, Any]:
        tenant_id = await rustok.create_tenant("acme")
        return tenant_id, await rustok.run("access.api_keys.create", tenant_id, name="Till", role="manager")

    async def successor(self, rustok: PlatformUnderTest, tenant_id: UUID, key: Any, overlap_s: int = 0) -> Any:
        return await rustok.run("access.api_keys.rotate", tenant_id, key_id=key.key_id, overlap_s=overlap_s)

    async def may(self, rustok: PlatformUnderTest, tenant_id: UUID, key: Any) -> bool:
        return bool((await rights(rustok, tenant_id, f"apikey:{key.id}")).permissions)

    async def test_goes_on_when_it_is_rotated(self, rustok: PlatformUnderTest) -> None:
        """However often."""
        tenant_id, first = await self.a_key(rustok)
        before = await rights(rustok, tenant_id, f"apikey:{first.id}")

        second = await self.successor(rustok, tenant_id, first)
        third = await self.successor(rustok, tenant_id, second)

        for key in (first, second, third):
            after = await rights(rustok, tenant_id, f"apikey:{key.id}")
            assert (after.permissions, after.expires_at) == (before.permissions, None)

    async def test_may_what_the_successor_may_and_as_long(self, rustok: PlatformUnderTest) -> None:
        """Its scopes and its expiry count, not those of the key that was."""
        tenant_id, first = await self.a_key(rustok)
        second = await self.successor(rustok, tenant_id, first)
        admin = await asyncpg.connect(rustok.database.admin_url)
        change = "UPDATE api_keys SET {} WHERE id = $1"
        await admin.execute(change.format("scopes = '{commerce.products.read}'"), second.id)
        bounded = await rights(rustok, tenant_id, f"apikey:{first.id}")
        await admin.execute(change.format("expires_at = now()"), second.id)
        await admin.close()

        assert bounded.permissions == {"commerce.products.read"}
        assert not await self.may(rustok, tenant_id, first)

    async def test_ends_with_the_newest_key(self, rustok: PlatformUnderTest) -> None:
        """Not with one in between."""
        tenant_id, first = await self.a_key(rustok)
        second = await self.successor(rustok, tenant_id, first)
        third = await self.successor(rustok, tenant_id, second)

        await rustok.run("access.api_keys.revoke", tenant_id, key_id=second.key_id)
        between = await self.may(rustok, tenant_id, first)
        await rustok.run("access.api_keys.revoke", tenant_id, key_id=third.key_id)

        assert (between, await self.may(rustok, tenant_id, first)) == (True, False)

    async def test_ends_with_the_key_itself(self, rustok: PlatformUnderTest) -> None:
        """It was revoked, and not just rotated: perhaps it was stolen."""
        tenant_id, first = await self.a_key(rustok)
        second = await self.successor(rustok, tenant_id, first, overlap_s=60)

        await rustok.run("access.api_keys.revoke", tenant_id, key_id=first.key_id)

        assert [await self.may(rustok, tenant_id, key) for key in (first, second)] == [False, True]

    async def test_has_one_successor(self, rustok: PlatformUnderTest) -> None:
        """Another would have the expiry of a key that is on its way out, and take over what goes on by the first."""
        tenant_id, first = await self.a_key(rustok)
        second = await self.successor(rustok, tenant_id, first, overlap_s=60)

        with pytest.raises(ApiKeyRotated, match=second.key_id):
            await self.successor(rustok, tenant_id, first, overlap_s=60)

        third = await self.successor(rustok, tenant_id, second, overlap_s=60)
        with pytest.raises(ApiKeyRotated, match=third.key_id):
            await self.successor(rustok, tenant_id, first, overlap_s=60)
        assert third.expires_at is None
