"""What `/metrics` tells: of the process itself, and of the log, which every process of the platform shares."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest

from api.app import build_app
from rustok.jobs.heartbeat import WORKER_STATES, Heartbeat
from rustok.testing import FixedClock, PlatformUnderTest
from tests.integration.api.support import administrator, serving, settings_for

Scrape = Callable[[], Awaitable[dict[str, float]]]

_SAMPLE = re.compile(r"^(rustok_\S+) (\S+)$", re.MULTILINE)
_PRODUCTS = '{consumer="commerce.index_products"}'


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
async def scrape(rustok: PlatformUnderTest, clock: FixedClock) -> AsyncIterator[Scrape]:
    """Reads the API's metrics, each sample by its name and labels."""
    async with serving(build_app(settings_for(rustok.database), clock=clock)) as client:

        async def scrape() -> dict[str, float]:
            response = await client.get("/metrics")
            assert response.status_code == 200
            return {name: float(value) for name, value in _SAMPLE.findall(response.text)}

        yield scrape


async def test_the_log_is_told_of_as_a_role_that_cannot_read_it(rustok: PlatformUnderTest, scrape: Scrape) -> None:
    """Numbers over all tenants: what waits, where the log is, and how far behind each consumer is."""
    for slug in ("acme", "emca"):
        tenant = await rustok.create_tenant(slug)
        await rustok.run("commerce.products.create", tenant, translations={"en": {"title": "Kettle"}})
    await rustok.settle()
    await rustok.run("commerce.products.create", tenant, translations={"en": {"title": "Pot"}})
    async with administrator(rustok.database) as admin:
        await admin.execute("UPDATE outbox SET occurred_at = now() - interval '1 hour'")
        await admin.execute("UPDATE event_log SET recorded_at = now() - interval '2 hours'")
        await admin.execute("UPDATE checkpoints SET position = 0 WHERE consumer = 'commerce.index_products'")

    found = await scrape()

    assert (found["rustok_outbox_pending"], found["rustok_log_position"]) == (1, 4)
    assert found["rustok_outbox_oldest_age_seconds"] == pytest.approx(3600, abs=60)
    assert found[f"rustok_projection_lag_events{_PRODUCTS}"] == 4
    assert found[f"rustok_projection_lag_seconds{_PRODUCTS}"] == pytest.approx(7200, abs=60)
    assert found[f"rustok_dead_letters{_PRODUCTS}"] == 0
    assert found['rustok_projection_lag_events{consumer="content.index_content"}'] == 0


async def test_the_log_is_looked_at_once_a_second(rustok: PlatformUnderTest, clock: FixedClock, scrape: Scrape) -> None:
    """A storm of scrapes is one look, and none sees what is older."""
    await scrape()
    await rustok.create_tenant("acme")

    meanwhile = await scrape()
    clock.advance(1)
    later = await scrape()

    assert (meanwhile["rustok_outbox_pending"], later["rustok_outbox_pending"]) == (0, 1)


async def test_the_workers_are_counted_by_what_protects_them(
    rustok: PlatformUnderTest, clock: FixedClock, scrape: Scrape
) -> None:
    """Their number and levels are told from the list that they keep; none is 0, and a level without any is absent."""
    nobody = await scrape()
    for report in ({"level": "A"}, {"level": "A"}, {"level": "none"}):
        await Heartbeat(rustok.system_engine, clock, partial(dict, report)).run_once()
    clock.advance(1)

    found = await scrape()

    assert nobody["rustok_workers_online"] == 0
    assert found["rustok_workers_online"] == 3
    assert {state: found[f'rustok_workers{{state="{state}"}}'] for state in WORKER_STATES} == {
        "working": 0,
        "idle": 3,
        "quiet": 0,
        "stalled": 0,
        "lost": 0,
    }
    assert {name: count for name, count in found.items() if name.startswith("rustok_workers_sandbox")} == {
        'rustok_workers_sandbox{level="A"}': 2,
        'rustok_workers_sandbox{level="none"}': 1,
    }


async def test_without_the_database_a_process_tells_of_itself(rustok: PlatformUnderTest, scrape: Scrape) -> None:
    """What was not read is absent: 0 or the last value would say that all is well."""
    async with administrator(rustok.database) as admin:
        await admin.execute(f"ALTER DATABASE {rustok.database.name} CONNECTION LIMIT 0")
        await admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'rustok_api'"
        )

    found = await scrape()

    assert not any(
        name.startswith(("rustok_outbox", "rustok_log", "rustok_projection", "rustok_workers")) for name in found
    )
    assert any(name.startswith("rustok_http_request_seconds") for name in found)


async def test_a_log_in_memory_is_not_told_of(rustok: PlatformUnderTest) -> None:
    """The tables of the outbox are empty then, which says nothing."""
    settings = settings_for(rustok.database, event_transport="memory")
    async with serving(build_app(settings)) as client:
        response = await client.get("/metrics")

    assert response.status_code == 200
    assert "rustok_outbox" not in response.text


async def test_a_consumer_that_is_gone_is_not_told_of(
    rustok: PlatformUnderTest, clock: FixedClock, scrape: Scrape
) -> None:
    """Its last lag would stand still for ever."""
    await rustok.settle()
    before = await scrape()
    async with administrator(rustok.database) as admin:
        await admin.execute("DELETE FROM checkpoints WHERE consumer = 'commerce.index_products'")
    clock.advance(1)

    after = await scrape()

    assert f"rustok_projection_lag_events{_PRODUCTS}" in before
    assert f"rustok_projection_lag_events{_PRODUCTS}" not in after
