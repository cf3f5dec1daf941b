"""Whether this process can serve, part by part. What is wrong in detail is told to the log only."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.single_flight import SingleFlight
from rustok.db.failures import describe
from rustok.kernel.errors import RustokError
from rustok.kernel.module import Module
from rustok.kernel.ports import Clock

log = structlog.get_logger(__name__)

CHECK_TIMEOUT_S = 2.0

Status = Literal["ok", "degraded", "unhealthy"]


class NotReady(RustokError):
    """A check found what keeps this process from serving; the message is shown to everybody."""

    code = "not_ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`probe` raises when something is wrong. Without a non-critical thing this process still serves."""

    name: str
    kind: Literal["dependency", "module"] = "dependency"
    criticality: Literal["critical", "non_critical"]
    probe: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    kind: str
    criticality: str
    status: Status
    latency_ms: float
    reason: str | None


def health_routes(
    checks: Sequence[Check], modules: Sequence[Module], clock: Clock, timeout_s: float = CHECK_TIMEOUT_S
) -> list[Route]:
    """Return the routes that orchestrators ask (live, ready) and people read (modules).

    However often they are asked, the checks run once a second.
    """

    async def examine_all() -> Sequence[Finding]:
        return await asyncio.gather(*(_examine(check, clock, timeout_s) for check in checks))

    find = SingleFlight(examine_all, clock)

    async def live(_request: Request) -> Response:
        return _answer({"status": "ok"}, 200)

    async def report(_request: Request) -> Response:
        findings = await find()
        status = overall(findings)
        body = {
            "status": status,
            "checks": [asdict(finding) for finding in findings],
            "modules": [{"name": m.name, "kind": m.kind.value, "status": _of_module(status)} for m in modules],
            "degraded_reasons": [f"{f.name}: {f.reason}" for f in findings if f.status != "ok"],
        }
        return _answer(body, 503 if status == "unhealthy" else 200)

    return [
        Route("/health/live", live),
        Route("/health/ready", report),
        Route("/health/modules", report),
    ]


def overall(findings: Sequence[Finding]) -> Status:
    """Return the worst status of *findings*."""
    statuses = {finding.status for finding in findings}
    return "unhealthy" if "unhealthy" in statuses else "degraded" if "degraded" in statuses else "ok"


async def _examine(check: Check, clock: Clock, timeout_s: float) -> Finding:
    started_s = clock.monotonic_s()
    reason = None
    try:
        async with asyncio.timeout(timeout_s):
            await check.probe()
    except NotReady as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - a probe may fail in any way, and the report still goes out
        reason = "does not answer"
        log.warning("health_check_failed", check=check.name, error=describe(error))
    latency_ms = round((clock.monotonic_s() - started_s) * 1000, 1)
    return Finding(check.name, check.kind, check.criticality, _status(check, reason), latency_ms, reason)


def _status(check: Check, reason: str | None) -> Status:
    if reason is None:
        return "ok"
    return "unhealthy" if check.criticality == "critical" else "degraded"


def _of_module(status: Status) -> Status:
    """Return a module's status: it has no checks of its own yet, and fails with what everything needs."""
    return "unhealthy" if status == "unhealthy" else "ok"


def _answer(body: object, status: int) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
