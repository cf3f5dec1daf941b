"""Neither a relay nor a worker starts on a database that does not fence its tenants."""

import pytest
from pydantic import SecretStr

from rustok.kernel.errors import Misconfigured
from rustok.settings import Settings
from rustok.testing import Database
from tests.integration.events.log import connected
from workers.parts import StoppedEarly, open_parts
from workers.relay import run_relay


async def test_a_table_without_its_fence_is_refused(database: Database, settings: Settings) -> None:
    """By name, as the API does."""
    async with connected(database.admin_url) as admin:
        await admin.execute("ALTER TABLE products NO FORCE ROW LEVEL SECURITY")

    with pytest.raises(Misconfigured, match="enabled and forced on products"):
        await run_relay(settings)
    with pytest.raises(Misconfigured, match="enabled and forced on products"):
        async with open_parts(settings):
            pass


async def test_a_role_above_row_level_security_is_refused(database: Database, settings: Settings) -> None:
    """Scripts run as it."""
    above = settings.model_copy(update={"database_url": SecretStr(database.admin_url)})

    with pytest.raises(Misconfigured, match="RUSTOK_DATABASE_URL connects as "):
        async with open_parts(above):
            pass


async def test_a_worker_begins_nothing_before_its_databases_have_answered(settings: Settings) -> None:
    """What it could not check it does not work on; who stops it meanwhile does not wait for them."""
    away = settings.model_copy(
        update={"system_database_url": SecretStr("postgresql://rustok_system:system@127.0.0.1:1/rustok")}
    )
    is_stopped = iter([False, True])

    with pytest.raises(StoppedEarly):
        async with open_parts(away, lambda: next(is_stopped)):
            pass
