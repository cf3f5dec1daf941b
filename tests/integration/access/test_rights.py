"""What somebody may do later who acted before: `rights_of`, by whom scripts are bound."""

from uuid import UUID

import pytest

from rustok.modules.access import Rights, rights_of
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
