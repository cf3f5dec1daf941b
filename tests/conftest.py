"""Servers for the whole session, and a database of its own for each test that asks for one."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings

from rustok.catalog import MODULES
from rustok.embedded import provide_postgres, provide_redis, temporary_state_dir
from rustok.testing import Database, DatabaseServer, PlatformUnderTest
from tests.faults import Faults
from tests.under_fire import PlatformUnderFire

# How long an example takes, or its making, says what else the machine does.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", type=int, metavar="SEED", help="run what is marked under_fire, with 3 %% of faults")


def pytest_configure(config: pytest.Config) -> None:
    seed = config.getoption("--faults")
    if seed is not None:
        config.pluginmanager.register(Faults(seed))


@pytest.fixture(scope="session")
def database_server() -> Iterator[DatabaseServer]:
    """A PostgreSQL server: the one that RUSTOK_ADMIN_DATABASE_URL names, else an embedded one."""
    url = os.environ.get("RUSTOK_ADMIN_DATABASE_URL")
    with temporary_state_dir(in_memory=True) as state_dir, provide_postgres(url, state_dir, durable=False) as admin_url:
        server = DatabaseServer(admin_url)
        asyncio.run(server.create_template())
        yield server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis server: the one that RUSTOK_REDIS_URL names, else an embedded one."""
    url = os.environ.get("RUSTOK_REDIS_URL")
    with temporary_state_dir(in_memory=True) as state_dir, provide_redis(url, state_dir, durable=False) as redis_url:
        yield redis_url


@pytest.fixture
async def database(database_server: DatabaseServer) -> AsyncIterator[Database]:
    """A migrated database that nobody else uses."""
    async with database_server.throw_away() as database:
        yield database


@pytest.fixture(scope="session")
def platform_class(request: pytest.FixtureRequest) -> type[PlatformUnderTest]:
    """What opens a platform: with `--faults` one whose connections fail now and then."""
    return PlatformUnderTest if request.config.getoption("--faults") is None else PlatformUnderFire


@pytest.fixture
async def rustok(database: Database, platform_class: type[PlatformUnderTest]) -> AsyncIterator[PlatformUnderTest]:
    """A whole platform on a database of its own."""
    async with platform_class.open(MODULES, database) as platform:
        yield platform
