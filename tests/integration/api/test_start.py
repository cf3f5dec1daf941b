"""How the process starts, stops, and refuses to start."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from api.app import build_app
from rustok.kernel.errors import Misconfigured
from rustok.settings import Settings
from rustok.testing import Database, PlatformUnderTest
from tests.integration.api.support import PRODUCTS, a_product, administrator, bearer, serving, settings_for

ROOT = Path(__file__).parents[3]


async def start(settings: Settings) -> list[dict[str, Any]]:
    """Begin the lifespan as a server does, and return what the application sent; it must not raise."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    await build_app(settings)({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)
    return sent


async def test_an_unreachable_database_is_told_in_one_line(database: Database) -> None:
    """Where it was looked for, and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        url = SecretStr(f"postgresql://rustok_app:secret@127.0.0.1:{port}/rustok")

        sent = await start(settings_for(database).model_copy(update={"database_url": url}))

    assert sent == [
        {
            "type": "lifespan.startup.failed",
            "message": f"unavailable: PostgreSQL at 127.0.0.1:{port} does not answer: "
            "start it, or correct RUSTOK_DATABASE_URL.",
        }
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("rustok_app:app", "rustok_app:wrong"), "refuses the login"),
        (("/rustok_", "/nothing_"), "has no such database"),
    ],
)
async def test_a_refused_login_is_told_in_one_line(database: Database, change: tuple[str, str], message: str) -> None:
    """The password is not part of the line."""
    url = SecretStr(database.app_url.replace(*change))

    [sent] = await start(settings_for(database).model_copy(update={"database_url": url}))

    assert sent["message"].startswith("misconfigured: PostgreSQL at ")
    assert message in sent["message"]
    assert "wrong" not in sent["message"]


async def test_a_role_above_row_level_security_is_refused(database: Database) -> None:
    """Every fence between tenants would be open."""
    url = SecretStr(database.admin_url)

    [sent] = await start(settings_for(database).model_copy(update={"database_url": url}))

    assert sent["message"].startswith("misconfigured: RUSTOK_DATABASE_URL connects as ")
    assert "\n" not in sent["message"]


@pytest.mark.parametrize("table", ["products", "outbox", "tenants"])
@pytest.mark.parametrize("gap", ["NO FORCE", "DISABLE"])
async def test_a_table_without_its_fence_is_refused(database: Database, table: str, gap: str) -> None:
    """By name, and before anybody is served."""
    async with administrator(database) as admin:
        await admin.execute(f"ALTER TABLE {table} {gap} ROW LEVEL SECURITY")

    [sent] = await start(settings_for(database))

    assert sent["message"].startswith(f"misconfigured: Row level security is not enabled and forced on {table}, ")
    assert "\n" not in sent["message"]


@pytest.mark.parametrize("field", ["database_url", "secret"])
async def test_a_missing_setting_is_named(database: Database, field: str) -> None:
    """Before anything is connected."""
    settings = settings_for(database).model_copy(update={field: None})

    with pytest.raises(Misconfigured, match=f"RUSTOK_{field.upper()}"):
        build_app(settings)


async def test_an_address_that_is_none_is_refused(database: Database) -> None:
    """Before anything is connected."""
    settings = settings_for(database).model_copy(update={"database_url": SecretStr("localhost")})

    with pytest.raises(Misconfigured, match="RUSTOK_DATABASE_URL is no address of PostgreSQL"):
        build_app(settings)


def test_the_server_ends_with_one_line_where_the_environment_does_not_fit() -> None:
    """No traceback: the line is what an operator reads."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RUSTOK_")}
    command = [sys.executable, "-m", "uvicorn", "--factory", "api.app:create_app"]

    ended = subprocess.run(  # noqa: S603 - our own command
        command,
        cwd=ROOT,
        env={**environment, "RUSTOK_EVENT_TRANSPORT": "kafka"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("misconfigured: ")
    assert "RUSTOK_EVENT_TRANSPORT" in line


async def test_the_memory_transport_brings_events_to_the_index_in_one_process(rustok: PlatformUnderTest) -> None:
    """L0: what was committed is handled by the time the process has stopped."""
    tenant_id = await rustok.create_tenant()
    token = await rustok.run("access.api_keys.create", tenant_id, name="a key", role="owner")
    app = build_app(settings_for(rustok.database, event_transport="memory"))

    async with serving(app) as client:
        response = await client.post(PRODUCTS, json=a_product(status="active"), headers=bearer(token.token))

    found = await rustok.query("index.products.search", tenant_id, locale="en")
    assert [str(hit.product_id) for hit in found.data] == [response.json()["id"]]
