"""Where a client's token comes from, and what a 401 does."""

import asyncio

import pytest

from rustok.client import Unauthenticated
from tests.integration.api.support import ApiUnderTest
from tests.integration.client.support import Written, a_product, client_of, written


class Tokens:
    """Gives these tokens, one after the other, the last for ever."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        return self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]


async def test_a_source_of_tokens_is_asked_before_the_first_call_and_no_more(api: ApiUnderTest) -> None:
    """A token is good until it is refused."""
    tokens = Tokens(await api.new_key())
    client = client_of(api, tokens)

    await a_product(client, "One")
    await a_product(client, "Two")

    assert tokens.asked == 1


async def test_a_token_that_is_refused_is_renewed_and_the_call_goes_on(api: ApiUnderTest) -> None:
    """As one that has expired: calls at the same time ask for one token, and each writes once."""
    tokens = Tokens("rtk_test_expired", await api.new_key())
    client = client_of(api, tokens)

    await asyncio.gather(*(a_product(client, f"Number {number}") for number in range(5)))

    assert tokens.asked == 2
    assert await written(api.database, api.tenant_id) == Written(rows=5, created=5)


async def test_a_new_token_that_is_refused_as_well_ends_the_call(api: ApiUnderTest) -> None:
    """Once a call: whoever gives tokens is not asked for ever."""
    tokens = Tokens("rtk_test_expired", "rtk_test_expired_too")

    with pytest.raises(Unauthenticated):
        await a_product(client_of(api, tokens))

    assert tokens.asked == 2


async def test_what_a_source_of_tokens_raises_is_raised(api: ApiUnderTest) -> None:
    """A sign-in that fails is the caller's."""

    async def sign_in() -> str:
        raise PermissionError("wrong password")

    with pytest.raises(PermissionError, match="wrong password"):
        await a_product(client_of(api, sign_in))


async def test_a_source_that_fails_fails_for_all_that_wait_and_is_asked_once(api: ApiUnderTest) -> None:
    """A wrong password is tried once, not once a call."""
    asked: list[None] = []

    async def sign_in() -> str:
        asked.append(None)
        await asyncio.sleep(0)
        raise PermissionError("wrong password")

    client = client_of(api, sign_in)
    failures = await asyncio.gather(*(a_product(client, f"Number {n}") for n in range(5)), return_exceptions=True)

    assert [type(failure) for failure in failures] == [PermissionError] * 5
    assert len(asked) == 1
