"""Relay and worker move committed events to the index, whatever becomes of the hints between them."""

from uuid import UUID

import pytest
import redis
from pydantic import SecretStr

from rustok.kernel.errors import Misconfigured
from rustok.settings import Settings
from rustok.testing import PlatformUnderTest
from tests.integration.workers.conftest import relaying, working
from tests.waiting import eventually_async
from workers.main import refuse_memory_transport

pytestmark = pytest.mark.under_fire


async def found(rustok: PlatformUnderTest, tenant: UUID) -> list[str]:
    hits = await rustok.query("index.products.search", tenant, locale="en")
    return sorted(hit.title for hit in hits.data)


async def create(rustok: PlatformUnderTest, tenant: UUID, title: str) -> None:
    await rustok.run("commerce.products.create", tenant, status="active", translations={"en": {"title": title}})


async def test_a_committed_product_reaches_the_index_by_itself(rustok: PlatformUnderTest, settings: Settings) -> None:
    """Nobody waits for anybody: the relay sequences and hints, a worker projects."""
    tenant = await rustok.create_tenant()

    async with relaying(settings):
        with working(settings):
            await create(rustok, tenant, "Kettle")

            await eventually_async(lambda: _equals(rustok, tenant, ["Kettle"]))


async def test_a_lost_hint_is_mended_by_the_sweep(rustok: PlatformUnderTest, settings: Settings) -> None:
    """Redis holds hints only: emptied while no worker runs, it costs a second, not an event."""
    tenant = await rustok.create_tenant()
    async with relaying(settings):
        await create(rustok, tenant, "Kettle")
        await eventually_async(lambda: _sequenced(rustok))
        with redis.Redis.from_url(settings.redis_url.get_secret_value() if settings.redis_url else "") as client:
            client.flushall()

        with working(settings):
            await eventually_async(lambda: _equals(rustok, tenant, ["Kettle"]))


async def test_the_relay_sequences_while_redis_is_away(rustok: PlatformUnderTest, settings: Settings) -> None:
    """Writes never depend on Redis, and neither does the order of events."""
    tenant = await rustok.create_tenant()
    nowhere = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})

    async with relaying(nowhere):
        await create(rustok, tenant, "Kettle")
        await eventually_async(lambda: _sequenced(rustok))

    async with relaying(settings):
        with working(settings):
            await eventually_async(lambda: _equals(rustok, tenant, ["Kettle"]))


def test_relay_and_workers_refuse_the_memory_transport() -> None:
    """Under L0 the log is inside the API process: a worker would wait for ever and say nothing."""
    with pytest.raises(Misconfigured, match="RUSTOK_EVENT_TRANSPORT=memory"):
        refuse_memory_transport(Settings(event_transport="memory"))


async def _equals(rustok: PlatformUnderTest, tenant: UUID, titles: list[str]) -> bool:
    return await found(rustok, tenant) == titles


async def _sequenced(rustok: PlatformUnderTest) -> bool:
    async with rustok.system_engine.connect() as connection:
        pending = await connection.exec_driver_sql("SELECT count(*) FROM outbox")
        return int(pending.scalar_one()) == 0
