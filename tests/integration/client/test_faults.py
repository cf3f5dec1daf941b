"""A typed client, a real API in a process of its own, and a bad network between them: nothing is written twice."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

import httpx2
import pytest

from rustok.catalog import MODULES
from rustok.client import (
    NoAnswer,
    NotFound,
    Retries,
    RustokClient,
    Unavailable,
    VersionMismatch,
)
from rustok.db.engine import create_engine
from rustok.embedded.process import free_port
from rustok.testing import DatabaseServer, PlatformUnderTest
from tests.chaos.proxy import Chunk, Fate, FaultProxy
from tests.integration.api.processes import api_process
from tests.integration.api.support import ApiUnderTest, administrator
from tests.integration.client.support import QUICK, Written, a_product, client_of, written

HASTY = replace(QUICK, timeout_s=0.5, attempts=50)


def once(fate: Fate, place: int = 1) -> Callable[[Chunk], Fate]:
    """Return the rule by which the chunk with this number meets *fate*, and no other."""
    return lambda chunk: fate if chunk.number == place else Fate.PASS


@pytest.fixture(scope="module")
async def server(
    database_server: DatabaseServer, platform_class: type[PlatformUnderTest]
) -> AsyncIterator[tuple[PlatformUnderTest, int]]:
    """A platform for all tests of this file, and the port of an API of it that dies when it is told to."""
    async with database_server.throw_away() as database, platform_class.open(MODULES, database) as platform:
        with api_process(database) as port:
            yield platform, port


@pytest.fixture
async def shop(server: tuple[PlatformUnderTest, int]) -> AsyncIterator["Shop"]:
    """A tenant of its own for each test, and a network of its own."""
    platform, port = server
    tenant_id = await platform.create_tenant(f"shop-{uuid4().hex}")
    key = await platform.run("access.api_keys.create", tenant_id, name="a key", role="owner")
    async with FaultProxy(port) as network:
        yield Shop(platform, port, network, tenant_id, key.token)


@pytest.fixture
async def client(shop: "Shop") -> AsyncIterator[RustokClient]:
    async with shop.client() as client:
        yield client


@dataclass(frozen=True, slots=True)
class Shop:
    """A tenant, and the network between its clients and the API."""

    platform: PlatformUnderTest
    port: int
    network: FaultProxy
    tenant_id: UUID
    token: str

    def client(self, retries: Retries = QUICK) -> RustokClient:
        return RustokClient(f"http://127.0.0.1:{self.network.port}", self.token, retries=retries)

    async def written(self) -> Written:
        return await written(self.platform.database, self.tenant_id)


@pytest.mark.parametrize("fate", [Fate.CUT, Fate.RESET])
async def test_a_request_that_is_lost_before_the_commit_is_sent_again(
    client: RustokClient, shop: Shop, fate: Fate
) -> None:
    """One row, one event."""
    shop.network.requests = once(fate)

    product = await a_product(client)

    assert shop.network.faults == 1
    assert await client.commerce.products.get(product.id) == product
    assert await shop.written() == Written(rows=1, created=1)


@pytest.mark.parametrize("fate", [Fate.CUT, Fate.RESET])
async def test_an_answer_that_is_lost_after_the_commit_is_asked_for_again(
    client: RustokClient, shop: Shop, fate: Fate
) -> None:
    """The key tells the repetition from a new product."""
    shop.network.replies = once(fate)

    product = await a_product(client)

    assert shop.network.faults == 1
    assert await client.commerce.products.get(product.id) == product
    assert await shop.written() == Written(rows=1, created=1)


async def test_an_answer_that_never_comes_is_waited_for_as_long_as_an_attempt_may_take(shop: Shop) -> None:
    """The connection stays open and silent: the timeout ends the attempt, not the call."""
    shop.network.replies = once(Fate.EAT)

    async with shop.client(HASTY) as hasty:
        await a_product(hasty)

    assert shop.network.faults == 1
    assert await shop.written() == Written(rows=1, created=1)


async def test_a_batch_whose_answer_is_lost_is_done_once(client: RustokClient, shop: Shop) -> None:
    """Its key stands for all of its commands."""
    shop.network.replies = once(Fate.CUT)

    products = await client.commerce.batch([a_product(client, "One"), a_product(client, "Two")], mode="independent")

    assert shop.network.faults == 1
    assert len(products) == 2
    assert await shop.written() == Written(rows=2, created=2)


async def test_a_server_that_dies_between_commit_and_answer_is_asked_again(shop: Shop) -> None:
    """The next process knows the key."""
    deaths = ["now"]

    async def die_once(request: httpx2.Request) -> None:
        if deaths:
            request.headers["X-Die"] = deaths.pop()

    async with httpx2.AsyncClient(event_hooks={"request": [die_once]}) as http:
        client = RustokClient(
            f"http://127.0.0.1:{shop.port}", shop.token, retries=replace(QUICK, attempts=1000), http=http
        )
        product = await a_product(client)

    assert (deaths, product.version) == ([], 1)
    assert await shop.written() == Written(rows=1, created=1)


async def test_an_update_whose_answer_is_lost_is_done_once_and_says_that_it_may_be(
    client: RustokClient, shop: Shop
) -> None:
    """The repetition expects the version of before: the 412 may be owed to the write itself, or to somebody else's."""
    product = await a_product(client)
    shop.network.replies = once(Fate.CUT, place=2)

    with pytest.raises(VersionMismatch, match="it may have been done") as raised:
        await client.commerce.products.update(product.id, expected_version=1, vendor="Acme")

    assert (raised.value.may_be_done, raised.value.attempts) == (True, 2)
    assert (await client.commerce.products.get(product.id)).vendor == "Acme"
    assert await shop.written() == Written(rows=1, created=1, updated=1)


async def test_an_update_that_is_lost_before_the_commit_is_sent_again(client: RustokClient, shop: Shop) -> None:
    """The version makes it safe."""
    product = await a_product(client)
    shop.network.requests = once(Fate.CUT, place=2)

    changed = await client.commerce.products.update(product.id, expected_version=1, vendor="Acme")

    assert (shop.network.faults, changed.vendor) == (1, "Acme")
    assert await shop.written() == Written(rows=1, created=1, updated=1)


async def test_a_post_that_expects_a_version_is_repeated_by_its_key(client: RustokClient, shop: Shop) -> None:
    """The key is looked at before the version: the repetition is no late one."""
    product = await a_product(client)
    shop.network.replies = once(Fate.CUT, place=2)

    published = await client.commerce.products.publish(product.id, expected_version=1)

    assert (shop.network.faults, published.status, published.version) == (1, "active", 2)


async def test_a_deletion_whose_answer_is_lost_says_that_it_may_be_done(client: RustokClient, shop: Shop) -> None:
    """What is gone is not found: the caller decides whether that is what was wanted."""
    product = await a_product(client)
    shop.network.replies = once(Fate.CUT, place=2)

    with pytest.raises(NotFound) as raised:
        await client.commerce.products.delete(product.id, expected_version=1)

    assert (raised.value.may_be_done, raised.value.attempts) == (True, 2)


async def test_a_write_with_neither_key_nor_version_is_not_repeated_into_the_unknown(
    client: RustokClient, shop: Shop
) -> None:
    """Somebody else may have written since: the repetition would undo that."""
    script = await client.alloy.scripts.create(name="counter")
    shop.network.replies = once(Fate.CUT, place=2)

    with pytest.raises(NoAnswer, match=r"alloy\.kv\.set: the connection broke.*may have been done") as raised:
        await client.alloy.kv.set(script.id, "visits", value=1)

    assert (raised.value.may_be_done, raised.value.attempts) == (True, 1)
    assert (await client.alloy.kv.get(script.id, "visits")).version == 1


async def test_a_server_that_nobody_can_reach_is_tried_as_often_as_allowed(shop: Shop) -> None:
    """No attempt was done, and the caller is told."""
    unreachable = RustokClient(f"http://127.0.0.1:{free_port()}", shop.token, retries=replace(QUICK, attempts=4))

    async with unreachable as client:
        with pytest.raises(NoAnswer, match="cannot connect") as raised:
            await a_product(client)

    assert (raised.value.attempts, raised.value.may_be_done) == (4, False)


async def test_the_budget_ends_a_call_before_its_attempts_do(shop: Shop) -> None:
    """A wait that would not end in time is not begun. Awaited again, the command finds what it has done."""
    shop.network.replies = lambda _chunk: Fate.CUT
    short = Retries(attempts=1000, budget_s=0.5, first_wait_s=0.01, longest_wait_s=0.02)

    async with shop.client(short) as client:
        command = a_product(client)
        with pytest.raises(NoAnswer) as raised:
            await command
        shop.network.replies = lambda _chunk: Fate.PASS
        product = await command

    assert raised.value.may_be_done
    assert product.version == 1
    assert await shop.written() == Written(rows=1, created=1)


async def test_a_commit_whose_confirmation_postgresql_could_not_give_is_done_once(rustok: PlatformUnderTest) -> None:
    """The API answers 503, and does not know either; the repetition does."""
    target = rustok.database.app_url
    port = int(target.rpartition(":")[2].partition("/")[0])
    async with FaultProxy(port) as network:
        engine = create_engine(target.replace(f":{port}/", f":{network.port}/"))
        async with ApiUnderTest.open(rustok, engine=engine) as api, client_of(api) as client:
            tenant_id = api.tenant_id
            await client.commerce.products.list().first()
            cuts = iter([Fate.CUT])
            network.replies = lambda chunk: next(cuts, Fate.PASS) if b"COMMIT" in chunk.asked else Fate.PASS

            product = await a_product(client)

            assert network.faults == 1
            assert await client.commerce.products.get(product.id) == product
    assert await written(rustok.database, tenant_id) == Written(rows=1, created=1)


async def test_a_database_that_is_away_for_a_while_costs_time(api: ApiUnderTest) -> None:
    """503 and Retry-After, then the write."""
    refusals = 0

    async def let_in_after_a_refusal(response: httpx2.Response) -> None:
        nonlocal refusals
        if response.status_code == 503:
            refusals += 1
            await admin.execute(f"ALTER DATABASE {api.database.name} CONNECTION LIMIT -1")

    async with administrator(api.database) as admin:
        await shut_out(api)
        api.client.event_hooks = {"response": [let_in_after_a_refusal]}
        await a_product(client_of(api))

    assert refusals == 1
    assert await written(api.database, api.tenant_id) == Written(rows=1, created=1)


async def test_a_database_that_stays_away_is_told_at_the_end_of_the_attempts(api: ApiUnderTest) -> None:
    """With the code, and how often it was asked."""
    async with administrator(api.database) as admin:
        await shut_out(api)
        with pytest.raises(Unavailable, match="503 unavailable") as raised:
            await a_product(client_of(api, retries=replace(QUICK, attempts=2)))
        await admin.execute(f"ALTER DATABASE {api.database.name} CONNECTION LIMIT -1")

    assert (raised.value.attempts, raised.value.code, raised.value.may_be_done) == (2, "unavailable", True)
    assert await written(api.database, api.tenant_id) == Written(rows=0, created=0)


async def shut_out(api: ApiUnderTest) -> None:
    """Let the API's role open no further connection, and end those that it has."""
    async with administrator(api.database) as admin:
        await admin.execute(f"ALTER DATABASE {api.database.name} CONNECTION LIMIT 0")
        await admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'rustok_api'"
        )
