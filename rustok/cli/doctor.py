"""`rustok doctor` tells whether this installation is as it should be."""

import asyncio
import platform
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import typer
from redis.asyncio import Redis
from sqlalchemy import text

from rustok.cli.doctor_cage import examine_cage, worker_findings
from rustok.cli.environment import cli_settings
from rustok.cli.finding import Finding
from rustok.cli.output import print_rows
from rustok.cli.tenant import Json
from rustok.db.engine import open_engine
from rustok.db.fences import refuse_open_fences
from rustok.db.migrate import migration_status
from rustok.jobs.heartbeat import living_workers
from rustok.settings import Settings, required

app = typer.Typer()

_OLDEST_POSTGRESQL = 150_000
_CLOCK_SKEW_LIMIT_S = 1.0
_SNAPSHOT_AGE_LIMIT_S = 600
_DATABASE = text(
    """
    SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS shown,
           current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
           abs(extract(epoch FROM clock_timestamp() - :now)) AS skew_s,
           coalesce((SELECT max(extract(epoch FROM clock_timestamp() - xact_start)) FROM pg_stat_activity
                      WHERE backend_xmin IS NOT NULL AND datname = current_database()), 0) AS snapshot_age_s,
           to_tsvector('russian', 'Игра') @@ to_tsquery('russian', 'игры') AS folds_case,
           (SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'outbox') AS dead_outbox_rows
    """
)


@app.callback(invoke_without_command=True)
def doctor(*, as_json: Json = False) -> None:
    """Check versions, servers, roles, migrations, clocks, workers and the cage; exit code 1 when something is wrong."""
    findings = asyncio.run(_examine(cli_settings()))
    rows = [{**asdict(finding), "ok": finding.ok if as_json else "✓" if finding.ok else "✗"} for finding in findings]
    print_rows(rows, ("ok", "check", "detail"), as_json=as_json)
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


async def _examine(settings: Settings) -> list[Finding]:
    findings = [Finding("python", sys.version_info >= (3, 11), platform.python_version())]
    findings.append(Finding("rustok", ok=True, detail=version("rustok")))
    for name, check in (
        ("postgresql", _postgresql),
        ("app role", _app_role),
        ("system role", _system_role),
        ("migrations", _migrations),
        ("redis", _redis),
        ("workers", _workers),
        ("cage", _cage),
    ):
        findings += await _guarded(name, check, settings)
    return findings


async def _guarded(
    name: str, check: Callable[[Settings], Awaitable[list[Finding]]], settings: Settings
) -> list[Finding]:
    try:
        return await asyncio.wait_for(check(settings), 10)
    except Exception as error:  # noqa: BLE001 - a check that fails is a finding
        return [Finding(name, ok=False, detail=str(error).split("\n", 1)[0] or type(error).__name__)]


async def _postgresql(settings: Settings) -> list[Finding]:
    async with (
        open_engine(required(settings.system_database_url, "system_database_url")) as engine,
        engine.connect() as connection,
    ):
        row = (await connection.execute(_DATABASE, {"now": datetime.now(UTC)})).one()
    return [
        Finding("postgresql", row.version >= _OLDEST_POSTGRESQL, row.shown),
        Finding(
            "durability",
            row.fsync == row.full_page_writes == "on",
            f"fsync {row.fsync}, full_page_writes {row.full_page_writes}",
        ),
        Finding("clock", row.skew_s < _CLOCK_SKEW_LIMIT_S, f"{row.skew_s:.3f} s apart from PostgreSQL's"),
        Finding("oldest snapshot", row.snapshot_age_s < _SNAPSHOT_AGE_LIMIT_S, f"{row.snapshot_age_s:.0f} s old"),
        Finding(
            "locale",
            row.folds_case,
            "folds upper and lower case"
            if row.folds_case
            else "search tells Игра from игра: create the database with LOCALE_PROVIDER builtin LOCALE 'C.UTF-8'",
        ),
        Finding("outbox", ok=True, detail=f"{row.dead_outbox_rows} dead rows"),
    ]


async def _app_role(settings: Settings) -> list[Finding]:
    return [await _bound("app role", "RUSTOK_DATABASE_URL", required(settings.database_url, "database_url"))]


async def _system_role(settings: Settings) -> list[Finding]:
    url = required(settings.system_database_url, "system_database_url")
    return [await _bound("system role", "RUSTOK_SYSTEM_DATABASE_URL", url)]


async def _bound(name: str, setting: str, url: str) -> Finding:
    async with open_engine(url) as engine:
        await refuse_open_fences(engine, setting)
    return Finding(name, ok=True, detail="bound by row level security, which every table that it may touch forces")


async def _migrations(settings: Settings) -> list[Finding]:
    status = await migration_status(required(settings.owner_database_url, "owner_database_url"))
    return [Finding("migrations", not status.pending, f"{len(status.applied)} applied, {len(status.pending)} pending")]


async def _redis(settings: Settings) -> list[Finding]:
    async with Redis.from_url(required(settings.redis_url, "redis_url"), socket_timeout=2) as client:
        info: dict[str, Any] = await client.info()
    policy = info.get("maxmemory_policy", "unknown")
    return [
        Finding("redis", ok=True, detail=str(info.get("valkey_version") or info.get("redis_version"))),
        Finding(
            "redis memory policy",
            policy == "noeviction",
            policy if policy == "noeviction" else f"{policy}: set noeviction, or hints vanish",
        ),
    ]


async def _workers(settings: Settings) -> list[Finding]:
    async with open_engine(required(settings.system_database_url, "system_database_url")) as engine:
        return worker_findings(await living_workers(engine))


async def _cage(settings: Settings) -> list[Finding]:
    return await examine_cage(settings.sandbox)
