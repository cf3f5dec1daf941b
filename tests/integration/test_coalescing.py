"""Concurrent creates of a tenant share a transaction, and each caller gets what it would have got alone."""

import asyncio
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from rustok.db.idempotency import IdempotencyKey, RequestInProgress
from rustok.db.unit_of_work import StaleAuthorization
from rustok.dispatch import Call, Outcome
from rustok.kernel.context import Context, Principal
from rustok.kernel.errors import Forbidden, Unavailable
from rustok.modules.commerce import errors
from rustok.testing import PlatformUnderTest, a_context

CREATE = "commerce.products.create"


class Shop:
    """One tenant; `create_all` sends products at the same time."""

    def __init__(self, rustok: PlatformUnderTest, tenant_id: UUID) -> None:
        self.rustok = rustok
        self.tenant_id = tenant_id

    def context(self, *without: str) -> Context:
        return a_context(self.tenant_id, frozenset(self.rustok.registry.permissions) - {*without})

    async def create(
        self, title: str, context: Context | None = None, key: IdempotencyKey | None = None, **fields: Any
    ) -> Outcome:
        product = {"translations": {"en": {"title": title}}, **fields}
        call = Call(self.rustok.registry.commands[CREATE], product)
        return await self.rustok.platform.dispatcher.run(call, context or self.context(), key)

    async def ask(self, question: str) -> list[Any]:
        """Return the first column of what an administrator reads."""
        admin = await asyncpg.connect(self.rustok.database.admin_url)
        rows = await admin.fetch(question)
        await admin.close()
        return [row[0] for row in rows]

    async def transactions(self) -> int:
        """Return how many transactions wrote the products that there are."""
        [count] = await self.ask("SELECT count(DISTINCT xmin::text) FROM products")
        return int(count)

    async def titles(self) -> list[str]:
        return await self.ask("SELECT title FROM product_translations ORDER BY title")


@pytest.fixture
async def shop(rustok: PlatformUnderTest) -> Shop:
    return Shop(rustok, await rustok.create_tenant())


async def test_creates_that_come_together_share_a_transaction(shop: Shop) -> None:
    """One commit for twenty; each answer tells of its own product."""
    titles = [f"Bicycle {n}" for n in range(20)]

    outcomes = await asyncio.gather(*(shop.create(title) for title in titles))

    assert await shop.transactions() == 1
    assert [outcome.result.translations["en"].title for outcome in outcomes] == titles  # type: ignore[attr-defined]


async def test_creates_one_after_the_other_do_not(shop: Shop) -> None:
    """There is nobody to share with, and nothing to wait for."""
    await shop.create("One")
    await shop.create("Two")

    assert await shop.transactions() == 2


async def test_a_create_that_fails_takes_nobody_with_it(shop: Shop) -> None:
    """Its rows and events are not there; the others' are."""
    await shop.create("Taken")

    outcomes = await asyncio.gather(
        *(shop.create(title) for title in ("A", "B", "Taken", "C", "D")), return_exceptions=True
    )

    assert [type(outcome) for outcome in outcomes] == [Outcome, Outcome, errors.DuplicateHandle, Outcome, Outcome]
    assert await shop.titles() == ["A", "B", "C", "D", "Taken"]
    assert await shop.ask("SELECT count(*) FROM outbox WHERE type = 'commerce.product.created'") == [5]


async def test_of_two_that_want_the_same_handle_one_gets_it(shop: Shop) -> None:
    """As if the other had come later."""
    outcomes = await asyncio.gather(shop.create("Same"), shop.create("Same"), return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {Outcome, errors.DuplicateHandle}
    assert await shop.titles() == ["Same"]


async def test_a_permission_that_one_caller_lacks_is_that_callers(shop: Shop) -> None:
    """Each call runs in its own context."""
    visitor = shop.context("commerce.products.publish")

    outcomes = await asyncio.gather(
        shop.create("Mine", status="active"),
        shop.create("Theirs", visitor, status="active"),
        return_exceptions=True,
    )

    assert [type(outcome) for outcome in outcomes] == [Outcome, Forbidden]


async def test_events_tell_of_the_request_they_came_from(shop: Shop) -> None:
    """Its correlation id, though the transaction is shared."""
    contexts = [shop.context() for _ in range(3)]

    await asyncio.gather(*(shop.create(f"T{n}", context) for n, context in enumerate(contexts)))

    logged = await shop.ask("SELECT correlation_id FROM outbox WHERE type = 'commerce.product.created'")
    assert set(logged) == {context.correlation_id for context in contexts}
    assert await shop.transactions() == 1


async def test_a_key_among_others_is_replayed(shop: Shop) -> None:
    """Byte for byte, while its neighbours are created."""
    key = IdempotencyKey("1", "somebody POST /products", b"{}")
    first = await shop.create("First", key=key)

    again, other = await asyncio.gather(shop.create("First", key=key), shop.create("Other"))

    assert (again.body, again.replayed, other.replayed) == (first.body, True, False)
    assert await shop.titles() == ["First", "Other"]


async def test_a_key_sent_twice_at_the_same_time_is_done_once(shop: Shop) -> None:
    """The second is told that the first is running, as it would be by another process."""
    key = IdempotencyKey("1", "somebody POST /products", b"{}")

    first, second = await asyncio.gather(
        shop.create("Lamp", key=key), shop.create("Lamp", key=key), return_exceptions=True
    )

    assert (type(first), type(second)) == (Outcome, RequestInProgress)
    assert await shop.titles() == ["Lamp"]


async def test_a_create_that_waits_for_a_row_keeps_nobody_waiting(shop: Shop) -> None:
    """Somebody holds the handle that it wants; the others are done meanwhile, and it is done when it may."""
    await shop.create("Rival")
    admin = await asyncpg.connect(shop.rustok.database.admin_url)
    holder = admin.transaction()
    await holder.start()
    await admin.execute("UPDATE product_translations SET handle = 'hot'")

    waiting = asyncio.create_task(shop.create("Hot"))
    outcomes = await asyncio.gather(*(shop.create(f"Other {n}") for n in range(5)))
    was_done = waiting.done()
    await holder.rollback()
    await admin.close()

    assert [type(outcome) for outcome in outcomes] == [Outcome] * 5
    assert not was_done
    assert isinstance(await waiting, Outcome)


async def test_a_transaction_whose_commit_may_have_been_heard_is_not_run_again(shop: Shop) -> None:
    """The connection breaks at the commit: everybody is told, and nothing is done twice."""
    admin = await asyncpg.connect(shop.rustok.database.admin_url)
    await admin.execute(
        """
        CREATE SEQUENCE commits;
        CREATE FUNCTION break_connection() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
            BEGIN PERFORM nextval('public.commits'), pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER break_connection AFTER INSERT ON products
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION break_connection();
        """
    )

    outcomes = await asyncio.gather(*(shop.create(f"T{n}") for n in range(4)), return_exceptions=True)
    commits = await admin.fetchval("SELECT last_value FROM commits")
    await admin.close()

    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 4
    assert commits == 1


async def test_rights_that_have_changed_are_told_to_everybody(shop: Shop) -> None:
    """Each caller reads its rights again; none is run with the old ones."""
    everything = frozenset(shop.rustok.registry.permissions)
    stale = Context(tenant_id=shop.tenant_id, principal=Principal("operator", "somebody", everything, authz_version=99))

    outcomes = await asyncio.gather(*(shop.create(f"T{n}", stale) for n in range(3)), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [StaleAuthorization] * 3
    assert await shop.titles() == []


async def test_tenants_share_nothing(shop: Shop) -> None:
    """A transaction is bound to one of them."""
    globex = Shop(shop.rustok, await shop.rustok.create_tenant("globex"))

    await asyncio.gather(*(one.create(f"Lamp {n}") for n, one in enumerate((shop, globex, shop, globex))))

    owners = await shop.ask("SELECT tenant_id FROM products")
    assert sorted(owners) == sorted([shop.tenant_id, globex.tenant_id] * 2)
    assert await shop.transactions() == 2
