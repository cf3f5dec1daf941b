"""A client that retries with the same key gets the first answer, and changes nothing more."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, suppress
from uuid import UUID

import pytest
from sqlalchemy import text

from rustok.catalog import MODULES
from rustok.db.idempotency import (
    IdempotencyKey,
    IdempotencyKeyReused,
    KeptAnswer,
    RequestInProgress,
    find_answers,
    keep_answer,
)
from rustok.db.unit_of_work import UnitOfWork
from rustok.dispatch import Call, Outcome
from rustok.testing import Database, FixedClock, PlatformUnderTest

KEY = IdempotencyKey("key-1", "apikey:1 POST /products", b'{"title": "Lamp"}')


class Refused(Exception):
    """A rule of a service says no."""


class Shop:
    """A tenant whose clock is moved by hand."""

    def __init__(self, platform: PlatformUnderTest, clock: FixedClock, tenant_id: UUID) -> None:
        self.platform = platform
        self.clock = clock
        self.tenant_id = tenant_id

    async def create(self, key: IdempotencyKey, title: str = "Lamp") -> Outcome:
        product = {"translations": {"en": {"title": title}}}
        call = Call(self.platform.registry.commands["commerce.products.create"], product)
        return await self.platform.platform.dispatcher.run(call, self.platform.context(self.tenant_id), key)

    async def products(self) -> int:
        page = await self.platform.query("commerce.products.list", self.tenant_id)
        return len(page.data)

    def begin(self, tenant_id: UUID | None = None) -> AbstractAsyncContextManager[UnitOfWork]:
        context = self.platform.context(tenant_id or self.tenant_id)
        return self.platform.platform.units.begin(context)


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    clock = FixedClock()
    async with PlatformUnderTest.open(MODULES, database, clock) as platform:
        yield Shop(platform, clock, await platform.create_tenant())


async def look_up(uow: UnitOfWork, key: IdempotencyKey) -> object:
    """Return what there is for one key."""
    [found] = await find_answers(uow, [key])
    return found


async def answered(shop: Shop, key: IdempotencyKey, answer: str) -> None:
    """Let a first request with *key* run to its end."""
    async with shop.begin() as uow:
        assert await look_up(uow, key) is None
        keep_answer(uow, key, KeptAnswer(answer, None))


async def test_a_repeated_request_gets_the_first_answer(shop: Shop) -> None:
    """Byte for byte."""
    first = await shop.create(KEY)

    second = await shop.create(KEY)

    assert (second.body, second.token, second.replayed, first.replayed) == (first.body, first.token, True, False)


async def test_a_repeated_request_changes_nothing(shop: Shop) -> None:
    """One row and one set of events."""
    await shop.create(KEY)
    await shop.create(KEY)

    assert await shop.products() == 1


async def test_another_request_with_the_same_key_is_refused(shop: Shop) -> None:
    """The client has mixed up its keys."""
    await answered(shop, KEY, "{}")
    other = IdempotencyKey(KEY.key, KEY.scope, b'{"title": "Chair"}')

    async with shop.begin() as uow:
        assert isinstance(await look_up(uow, other), IdempotencyKeyReused)


@pytest.mark.parametrize(
    "other",
    [
        IdempotencyKey("key-2", KEY.scope, KEY.request),
        IdempotencyKey(KEY.key, "apikey:2 POST /products", KEY.request),
        IdempotencyKey("1", "apikey:1 POST /products\0key-", KEY.request),
    ],
    ids=["another key", "another principal", "the same letters cut elsewhere"],
)
async def test_a_key_means_something_in_its_scope_only(shop: Shop, other: IdempotencyKey) -> None:
    """Principal, method and route; tenants are told apart below."""
    await answered(shop, KEY, "{}")

    async with shop.begin() as uow:
        assert await look_up(uow, other) is None


async def test_the_same_key_of_another_tenant_is_another_key(shop: Shop) -> None:
    """Nobody gets a stranger's answer."""
    other = await shop.platform.create_tenant("other")
    await answered(shop, KEY, "{}")

    async with shop.begin(other) as uow:
        assert await look_up(uow, KEY) is None


async def test_a_request_that_comes_while_the_first_is_running_is_told_so(shop: Shop) -> None:
    """At once, instead of waiting in line behind it."""
    async with shop.begin() as first, shop.begin() as second:
        assert await look_up(first, KEY) is None

        assert isinstance(await look_up(second, KEY), RequestInProgress)


async def test_a_request_that_failed_leaves_its_key_free(shop: Shop) -> None:
    """A client may mend its input and try again with the same key."""
    with suppress(Refused):
        async with shop.begin() as first:
            assert await look_up(first, KEY) is None
            keep_answer(first, KEY, KeptAnswer("{}", None))
            raise Refused

    async with shop.begin() as second:
        assert await look_up(second, KEY) is None


async def test_a_request_that_waited_for_no_one_sees_what_the_first_has_just_committed(shop: Shop) -> None:
    """The look is a statement after the lock: whoever gets the lock sees what its last holder committed."""
    async with shop.begin() as late:
        async with shop.begin() as first:
            assert await look_up(first, KEY) is None
            keep_answer(first, KEY, KeptAnswer('{"id": 1}', None))

        assert await look_up(late, KEY) == KeptAnswer('{"id": 1}', None)


async def test_an_answer_is_kept_for_a_day(shop: Shop) -> None:
    """24 hours, by the platform's clock."""
    await answered(shop, KEY, "{}")
    shop.clock.advance(24 * 3600 - 1)

    async with shop.begin() as uow:
        assert await look_up(uow, KEY) == KeptAnswer("{}", None)


async def test_after_a_day_the_key_is_free_again(shop: Shop) -> None:
    """For any request; its answer takes the place of the old one."""
    await answered(shop, KEY, '{"id": 1}')
    shop.clock.advance(24 * 3600)
    other = IdempotencyKey(KEY.key, KEY.scope, b'{"title": "Chair"}')

    await answered(shop, other, '{"id": 2}')

    async with shop.begin() as uow:
        assert await look_up(uow, other) == KeptAnswer('{"id": 2}', None)


async def write_a_row(uow: UnitOfWork) -> None:
    """Do what a command does before its answer is kept."""
    await uow.execute(
        text(
            "INSERT INTO products (tenant_id, id, status, version, created_at, updated_at)"
            " VALUES (:tenant_id, :id, 'draft', 1, now(), now())"
        ),
        {"tenant_id": uow.tenant_id, "id": uow.new_id()},
    )
