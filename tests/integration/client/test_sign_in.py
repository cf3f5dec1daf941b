"""A client that acts for a user: it signs in, keeps the session, and ends it."""

import pytest

from rustok.client import RateLimited, SignIn, Unauthenticated
from rustok.testing import FixedClock, PlatformUnderTest
from tests.integration.api.support import ApiUnderTest
from tests.integration.client.support import QUICK, client_of

EMAIL, PASSWORD = "ada@example.com", "correct horse battery staple"


async def a_user(api: ApiUnderTest) -> str:
    user = await api.rustok.run("access.users.create", api.tenant_id, email=EMAIL, name="Ada", roles=["manager"])
    await api.rustok.run("access.users.set_password", api.tenant_id, user_id=str(user.id), password=PASSWORD)
    return str(user.id)


def sign_in_to(api: ApiUnderTest, password: str = PASSWORD, device: str | None = None) -> SignIn:
    return SignIn("http://api.test", EMAIL, password, tenant="acme", device=device, retries=QUICK, http=api.client)


async def block(api: ApiUnderTest) -> None:
    """Try as many wrong passwords as are looked at."""
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await sign_in_to(api, "a guess")()


async def test_a_client_acts_for_a_user(rustok: PlatformUnderTest) -> None:
    """Also when the access token has ended, and when the session has: it signs in again."""
    clock = FixedClock()
    async with ApiUnderTest.open(rustok, clock=clock) as api:
        user_id = await a_user(api)
        client = client_of(api, sign_in_to(api))

        for pause_s in (0, 3600, 40 * 86_400):
            clock.advance(pause_s)
            assert (await client.access.me.get()).actor == f"user:{user_id}"

        opened = [e for e in await rustok.events() if e.envelope.type == "access.session.opened"]
        assert len(opened) == 2


async def test_another_password_is_refused(api: ApiUnderTest) -> None:
    """With the code of it."""
    await a_user(api)

    with pytest.raises(Unauthenticated) as refusal:
        await client_of(api, sign_in_to(api, "another password")).access.me.get()

    assert refusal.value.code == "sign_in_refused"


async def test_who_signs_out_has_no_session_any_more(api: ApiUnderTest) -> None:
    """From the next request on."""
    await a_user(api)
    signed_in = sign_in_to(api)
    token = await signed_in()
    client = client_of(api, token)
    await client.access.me.get()

    await signed_in.sign_out()

    with pytest.raises(Unauthenticated):
        await client.access.me.get()


async def test_nobody_keeps_out_a_client_that_has_signed_in_before(rustok: PlatformUnderTest) -> None:
    """Nor one that is made anew with the device that it had."""
    clock = FixedClock()
    async with ApiUnderTest.open(rustok, clock=clock) as api:
        user_id = await a_user(api)
        signed_in = sign_in_to(api)
        client = client_of(api, signed_in)
        await client.access.me.get()
        clock.advance(40 * 86_400)
        await block(api)

        assert (await client.access.me.get()).actor == f"user:{user_id}"
        assert await sign_in_to(api, device=signed_in.device)()
        with pytest.raises(RateLimited):
            await sign_in_to(api)()
