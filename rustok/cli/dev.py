"""`rustok dev`: the whole platform on this machine, with a demo tenant and real data."""

import asyncio
import json
import os
import secrets
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import typer
from rich.markup import escape

from rustok.cli.api import api_arguments
from rustok.cli.apikey import create_key
from rustok.cli.demo_hooks import DEMO_TENANT, install_hooks
from rustok.cli.environment import ENV_FILE, state_dir
from rustok.cli.imports import Shape, import_file
from rustok.cli.output import err, out
from rustok.cli.session import open_session
from rustok.cli.supervisor import ProcessSpec, Supervisor, roots_directory
from rustok.cli.tenancy import tenant_session
from rustok.cli.what_next import Place, what_next
from rustok.cli.worker import worker_processes
from rustok.db.migrate import migrate
from rustok.db.roles import Passwords, create_database, create_roles
from rustok.dispatch import Call
from rustok.embedded import EmbeddedServerError, provide_postgres, provide_redis
from rustok.events.figures import read_figures
from rustok.kernel.errors import Misconfigured, Unavailable
from rustok.kernel.ids import uuid7
from rustok.modules.tenants import TenantNotFound
from rustok.settings import load_settings

app = typer.Typer()

_DATABASE = "rustok"
_METRICS_PORT = 9100
_READY_TIMEOUT_S = 30.0
_SETTLE_TIMEOUT_S = 120.0


@app.callback(invoke_without_command=True)
def dev() -> None:
    """Run the whole platform with a demo tenant and real data, until Ctrl-C.

    Servers are embedded, unless RUSTOK_ADMIN_DATABASE_URL or RUSTOK_REDIS_URL name others. State is kept in
    RUSTOK_STATE_DIR, else in the XDG state directory; delete it to begin anew.
    """
    directory = state_dir()
    try:
        with ExitStack() as stack:
            _run(directory, stack)
    except EmbeddedServerError as error:
        raise Misconfigured(f"{error} ({error.code}). RUSTOK_STATE_DIR names the state directory.") from error


def _run(directory: Path, stack: ExitStack) -> None:
    settings = load_settings()
    with _step("PostgreSQL"):
        admin_url = stack.enter_context(provide_postgres(_text(settings.admin_database_url), directory))
    with _step("Redis"):
        redis_url = stack.enter_context(provide_redis(_text(settings.redis_url), directory))
    remembered = _remembered(directory)
    port = _free_port(settings.api_host, settings.api_port)
    environment = _environment(admin_url, redis_url, remembered, port)
    with _step("migrations"):
        asyncio.run(_prepare_database(admin_url, environment, remembered))
    stack.enter_context(_published(directory / ENV_FILE, environment))
    os.environ.update(environment)
    supervisor = Supervisor(os.environ)
    stack.callback(supervisor.stop)
    url = f"http://{settings.api_host}:{port}"
    with _step("API, relay and workers"):
        supervisor.start(ProcessSpec("api", ("-m", "uvicorn", *api_arguments(settings.api_host, port))))
        supervisor.start(ProcessSpec("relay", ("-m", "workers.relay")))
        for worker in worker_processes(settings.worker_processes, int(environment["RUSTOK_WORKER_METRICS_PORT"])):
            supervisor.start(worker)
        _wait_until_ready(url, supervisor)
    with _step("demo tenant"):
        token = asyncio.run(_demo_key(remembered))
        _remember(directory, remembered)
    sample = roots_directory() / "deploy" / "demo" / "catalog.jsonl.gz"
    with _step("real data through the write path"):
        progress = asyncio.run(import_file(sample, DEMO_TENANT, Shape.DEBIAN))
    with _step("projections"):
        asyncio.run(_settle())
    with _step("hooks"):
        hooks_missing = asyncio.run(_install_hooks())
    err.print(f"{progress.imported} products of the Debian package index, {progress.rejected} bad lines skipped")
    if hooks_missing:
        err.print(f"[yellow]Hooks do not run here[/]: {escape(hooks_missing)}", highlight=False)
    place = Place(url, token, int(environment["RUSTOK_RELAY_METRICS_PORT"]), directory)
    out.print(what_next(place, hooks=hooks_missing is None), highlight=False, markup=False)
    supervisor.run()


@contextmanager
def _step(name: str) -> Iterator[None]:
    started_s = time.perf_counter()
    yield
    err.print(f"[green]✓[/] {name} [dim]{time.perf_counter() - started_s:.1f} s[/]", highlight=False)


def _environment(admin_url: str, redis_url: str, remembered: Mapping[str, Any], port: int) -> dict[str, str]:
    """Return the settings of the processes; what the operator has set stays."""
    server = urlsplit(admin_url)
    urls = {
        role: f"postgresql://rustok_{role}:{remembered['passwords'][role]}@{server.hostname}:{server.port}/{_DATABASE}"
        for role in ("owner", "app", "system")
    }
    ours = {
        "RUSTOK_ENVIRONMENT": "dev",
        "RUSTOK_DATABASE_URL": urls["app"],
        "RUSTOK_SYSTEM_DATABASE_URL": urls["system"],
        "RUSTOK_OWNER_DATABASE_URL": urls["owner"],
        "RUSTOK_REDIS_URL": redis_url,
        "RUSTOK_SECRET": remembered["secret"],
        "RUSTOK_LOG_FORMAT": "console",
        "RUSTOK_LOG_LEVEL": "WARNING",
        "RUSTOK_RELAY_METRICS_PORT": str(_free_port("127.0.0.1", _METRICS_PORT)),
        "RUSTOK_WORKER_METRICS_PORT": str(_free_port("127.0.0.1", _METRICS_PORT) + 1),
    }
    return {name: os.environ.get(name, value) for name, value in ours.items()} | {"RUSTOK_API_PORT": str(port)}


def _remembered(directory: Path) -> dict[str, Any]:
    """Return the secrets of this installation, made at the first start."""
    file = directory / "dev.json"
    if file.exists():
        found: dict[str, Any] = json.loads(file.read_text())
        return found
    fresh = {
        "passwords": {role: secrets.token_hex(16) for role in ("owner", "app", "system")},
        "secret": secrets.token_hex(32),
    }
    _remember(directory, fresh)
    return fresh


def _remember(directory: Path, facts: Mapping[str, Any]) -> None:
    _write_private(directory / "dev.json", json.dumps(facts))


@contextmanager
def _published(file: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Let other commands on this machine find the servers while they run."""
    _write_private(file, "".join(f"{name}={value}\n" for name, value in environment.items()))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _write_private(file: Path, text: str) -> None:
    """Replace *file* at one go, readable by its owner alone."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as content:
        content.write(text)
    draft.replace(file)


async def _prepare_database(admin_url: str, environment: Mapping[str, str], remembered: Mapping[str, Any]) -> None:
    connection = await asyncpg.connect(admin_url)
    try:
        await create_roles(connection, Passwords(**remembered["passwords"]))
        await create_database(connection, _DATABASE)
    finally:
        await connection.close()
    await migrate(environment["RUSTOK_OWNER_DATABASE_URL"])


def _free_port(host: str, wanted: int) -> int:
    for port in range(wanted, wanted + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise Misconfigured(f"No free port from {wanted} on: set RUSTOK_API_PORT.")


def _wait_until_ready(url: str, supervisor: Supervisor) -> None:
    deadline_s = time.monotonic() + _READY_TIMEOUT_S
    reason = "it does not answer"
    while time.monotonic() < deadline_s:
        if ended := supervisor.ended():
            raise Unavailable(f"These did not start: {', '.join(ended)}; why, they say above.")
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=2):  # noqa: S310 - our own URL
                return
        except urllib.error.HTTPError as error:
            reason = error.read(2000).decode()
        except OSError as error:
            reason = str(error)
        time.sleep(0.1)
    raise Unavailable(f"The API did not become ready within {_READY_TIMEOUT_S:.0f} s: {reason}")


async def _demo_key(remembered: dict[str, Any]) -> str:
    """Create the demo tenant and its key, unless they are there; return the key's token."""
    async with open_session() as session:
        try:
            await session.tenant_id(DEMO_TENANT)
        except TenantNotFound:
            fields = {"slug": DEMO_TENANT, "name": "Demo"}
            call = Call(session.platform.registry.commands["tenants.tenants.create"], fields)
            await session.platform.dispatcher.run(call, await session.operator(uuid7()))
            remembered.pop("demo_token", None)
        if "demo_token" not in remembered:
            remembered["demo_token"] = await create_key(session, DEMO_TENANT, "owner", "demo")
    return str(remembered["demo_token"])


async def _settle() -> None:
    """Wait until every projection has seen what was committed so far."""
    deadline_s = time.monotonic() + _SETTLE_TIMEOUT_S
    async with open_session() as session:
        while True:
            figures = await read_figures(session.system_engine)
            if not figures.outbox_pending and not any(c.lag_events for c in figures.consumers):
                return
            if time.monotonic() > deadline_s:
                raise Unavailable("The projections did not catch up: look at `rustok index status`.")
            await asyncio.sleep(0.2)


async def _install_hooks() -> str | None:
    async with open_session() as session:
        tenant = await tenant_session(session, await session.tenant_id(DEMO_TENANT))
        return await install_hooks(tenant, roots_directory() / "scripts")


def _text(value: Any) -> str | None:
    return None if value is None else str(value.get_secret_value())
