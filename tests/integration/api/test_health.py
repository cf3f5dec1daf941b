"""What an orchestrator asks: is the process alive, can it serve, and what is wrong."""

import asyncio
from dataclasses import asdict
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette

from api.app import build_app
from api.health import Check, Finding, health_routes, overall
from rustok.catalog import MODULES
from rustok.db.engine import open_engine
from rustok.embedded import provide_redis, temporary_state_dir
from rustok.jobs.heartbeat import Heartbeat
from rustok.sandbox.contract import Level, Report
from rustok.sandbox.layers import LAYERS
from rustok.testing import Database, FixedClock
from tests.integration.api.support import administrator, serving, settings_for

NOBODY = "127.0.0.1:1"


async def report(database: Database, path: str = "/health/ready", **settings: Any) -> tuple[int, dict[str, Any]]:
    async with serving(build_app(settings_for(database, **settings))) as client:
        response = await client.get(path)
    assert response.headers["content-type"] == "application/json"
    return response.status_code, response.json()


async def beat(database: Database, level: Level) -> None:
    """Let a worker say that it lives, and what its cage is worth."""
    cage = asdict(Report(level=level, layers=dict.fromkeys(LAYERS, level == "A")))
    async with open_engine(database.system_url) as engine:
        await Heartbeat(engine, FixedClock(), lambda: cage).run_once()


def alloy(body: dict[str, Any]) -> dict[str, Any]:
    """Return the part of the module that needs workers."""
    [found] = [module for module in body["modules"] if module["name"] == "alloy"]
    return dict(found)


def statuses(body: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["status"] for check in body["checks"]}


class Looks:
    """A probe that finds nothing wrong and counts how often it looked."""

    count = 0

    async def __call__(self) -> None:
        self.count += 1


@pytest.mark.parametrize("path", ["/health/ready", "/health/modules"])
async def test_a_process_with_all_it_needs_is_ok(database: Database, path: str) -> None:
    """200 with every check, its latency, and every module."""
    await beat(database, "A")

    status, body = await report(database, path)

    assert (status, body["status"], body["degraded_reasons"]) == (200, "ok", [])
    latencies = [check.pop("latency_ms") for check in body["checks"]]
    assert all(latency > 0 for latency in latencies)
    assert body["checks"] == [
        {"name": name, "kind": kind, "criticality": criticality, "status": "ok", "reason": None}
        for name, kind, criticality in (
            ("postgresql", "dependency", "critical"),
            ("migrations", "dependency", "critical"),
            ("alloy", "module", "non_critical"),
        )
    ]
    assert {"name": "commerce", "kind": "domain", "status": "ok"} in body["modules"]
    assert len(body["modules"]) == len(MODULES)


async def test_redis_is_looked_at_where_it_is_set(database: Database) -> None:
    """A hint is only a hint, but an operator wants to know."""
    with temporary_state_dir() as state_dir, provide_redis(None, state_dir) as url:
        status, body = await report(database, redis_url=SecretStr(url))

    assert (status, statuses(body)["redis"]) == (200, "ok")


async def test_a_process_without_redis_is_degraded_and_serves(database: Database) -> None:
    """The relay mends what hints do not bring."""
    await beat(database, "A")

    status, body = await report(database, redis_url=SecretStr(f"redis://{NOBODY}"))

    assert (status, body["status"]) == (200, "degraded")
    assert body["degraded_reasons"] == ["redis: does not answer"]


async def test_a_process_without_postgresql_is_unhealthy(database: Database) -> None:
    """503, and the reason tells nothing of the inside; live stays 200, for a restart would not help."""
    app = build_app(settings_for(database))
    async with serving(app) as client:
        async with administrator(database) as admin:
            await admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
        ready, live = await client.get("/health/ready"), await client.get("/health/live")

    assert (ready.status_code, ready.json()["status"]) == (503, "unhealthy")
    assert ready.json()["degraded_reasons"][:2] == ["postgresql: does not answer", "migrations: does not answer"]
    assert {module["status"] for module in ready.json()["modules"]} == {"unhealthy"}
    assert (live.status_code, live.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE alembic_version SET version_num = 'm20261122_outbox_001'", "lacks migrations"),
        ("DELETE FROM alembic_version", "lacks migrations"),
        ("DROP TABLE alembic_version", "lacks migrations"),
        ("REVOKE SELECT ON alembic_version FROM rustok_app", "may not read alembic_version"),
    ],
)
async def test_a_database_behind_the_release_is_unhealthy(database: Database, statement: str, reason: str) -> None:
    """The reason names the command that mends it."""
    await beat(database, "A")
    async with administrator(database) as admin:
        await admin.execute(statement)

    status, body = await report(database)

    assert (status, statuses(body)) == (503, {"postgresql": "ok", "migrations": "unhealthy", "alloy": "ok"})
    assert reason in body["degraded_reasons"][0]
    assert "run `rustok db migrate`" in body["degraded_reasons"][0]


async def test_a_database_ahead_of_the_release_is_healthy(database: Database) -> None:
    """A new release migrates while the old one still serves."""
    async with administrator(database) as admin:
        await admin.execute("UPDATE alembic_version SET version_num = 'm20991231_future_001'")

    assert (await report(database))[0] == 200


async def test_without_a_worker_the_scripts_wait(database: Database) -> None:
    """Nobody else runs them. The API serves all the same, and the other modules are well."""
    status, body = await report(database)

    assert (status, body["status"]) == (200, "degraded")
    assert body["degraded_reasons"] == ["alloy: no worker was heard of: scripts wait until `rustok worker` runs"]
    assert alloy(body) == {"name": "alloy", "kind": "extension", "status": "degraded", "sandbox": []}
    assert [module["name"] for module in body["modules"] if module["status"] != "ok"] == ["alloy"]


async def test_a_worker_that_fell_silent_is_none(database: Database) -> None:
    """It may be dead: what it said of itself counts for 20 s."""
    await beat(database, "A")
    async with administrator(database) as admin:
        await admin.execute("UPDATE workers SET seen_at = now() - interval '21 seconds'")

    _, body = await report(database)

    assert (alloy(body)["status"], alloy(body)["sandbox"]) == ("degraded", [])


@pytest.mark.parametrize(
    ("level", "status"), [("A", "ok"), ("B", "ok"), ("C", "ok"), ("none", "degraded"), ("unsafe-dev", "degraded")]
)
async def test_scripts_are_as_well_as_the_cages_of_the_workers(database: Database, level: Level, status: str) -> None:
    """Each worker is listed with its level and layers; a bad one among good ones is enough for an operator to know."""
    await beat(database, "A")
    await beat(database, level)

    _, body = await report(database)

    assert alloy(body)["status"] == status
    assert sorted(worker["level"] for worker in alloy(body)["sandbox"]) == sorted(["A", level])
    assert all(
        (worker.keys(), worker["layers"])
        == ({"host", "pid", "level", "layers"}, dict.fromkeys(LAYERS, worker["level"] == "A"))
        for worker in alloy(body)["sandbox"]
    )
    assert body["degraded_reasons"] == (
        [] if status == "ok" else [f"alloy: the sandbox of a worker has the level {level}: run `rustok doctor` there"]
    )


async def test_a_log_in_memory_has_no_workers_to_look_at(database: Database) -> None:
    """Nobody shall be woken for what an operator has chosen."""
    status, body = await report(database, event_transport="memory")

    assert (status, body["status"], body["degraded_reasons"]) == (200, "ok", [])
    assert alloy(body) == {"name": "alloy", "kind": "extension", "status": "ok"}


async def test_a_platform_without_scripts_has_no_workers_to_look_at(database: Database) -> None:
    """Taking alloy out of the build takes its check out as well."""
    app = build_app(settings_for(database), [module for module in MODULES if module.name != "alloy"])
    async with serving(app) as client:
        body = (await client.get("/health/ready")).json()

    assert body["status"] == "ok"
    assert statuses(body) == {"postgresql": "ok", "migrations": "ok"}


async def test_a_check_that_hangs_is_given_up() -> None:
    """And the others do not wait for it: they run at the same time."""
    ran = asyncio.Event()

    async def hang() -> None:
        await ran.wait()
        await asyncio.Event().wait()

    async def work() -> None:
        ran.set()

    checks = [
        Check(name="hangs", criticality="non_critical", probe=hang),
        Check(name="works", criticality="critical", probe=work),
    ]
    async with serving(Starlette(routes=health_routes(checks, [], FixedClock(), timeout_s=0.01))) as client:
        response = await client.get("/health/ready")

    assert statuses(response.json()) == {"hangs": "degraded", "works": "ok"}


async def test_a_storm_of_questions_is_one_look_a_second() -> None:
    """Each look opens connections: who asks ready or modules meanwhile gets what the last look has found."""
    looks, clock = Looks(), FixedClock()
    check = Check(name="counts", criticality="critical", probe=looks)

    async with serving(Starlette(routes=health_routes([check], [], clock))) as client:
        await asyncio.gather(*(client.get(path) for path in ("/health/ready", "/health/modules") * 10))
        assert looks.count == 1

        clock.advance(1)
        await client.get("/health/ready")
        assert looks.count == 2


@pytest.mark.parametrize(
    ("statuses_of_checks", "expected"),
    [([], "ok"), (["ok", "degraded"], "degraded"), (["degraded", "unhealthy", "ok"], "unhealthy")],
)
def test_the_worst_check_decides(statuses_of_checks: list[Any], expected: str) -> None:
    """One critical failure outweighs everything."""
    findings = [Finding("x", "dependency", "critical", status, 0, None) for status in statuses_of_checks]

    assert overall(findings) == expected
