"""Whether this process can serve, part by part. What is wrong in detail is told to the log only."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

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


Facts = Mapping[str, Any]
"""What the report tells of a module besides its status."""


class NotReady(RustokError):
    """A check found what keeps this process, or a module, from working; message and facts are shown to everybody."""

    code = "not_ready"

    def __init__(self, message: str, facts: Facts | None = None) -> None:
        super().__init__(message)
        self.facts = facts or {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """`probe` raises when something is wrong. Without a non-critical thing this process still serves.

    A check of the kind `module` has the name of the module whose status it is; its probe answers with facts.
    """

    name: str
    kind: Literal["dependency", "module"] = "dependency"
    criticality: Literal["critical", "non_critical"]
    probe: Callable[[], Awaitable[Facts | None]]


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    kind: str
    criticality: str
    status: Status
    latency_ms: float
    reason: str | None
    facts: Facts = field(default_factory=dict)


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
            "checks": [_without_facts(finding) for finding in findings],
            "modules": [_of_module(module, status, findings) for module in modules],
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
    reason, facts = None, None
    try:
        async with asyncio.timeout(timeout_s):
            facts = await check.probe()
    except NotReady as error:
        reason, facts = str(error), error.facts
    except Exception as error:  # noqa: BLE001 - a probe may fail in any way, and the report still goes out
        reason = "does not answer"
        log.warning("health_check_failed", check=check.name, error=describe(error))
    latency_ms = round((clock.monotonic_s() - started_s) * 1000, 1)
    return Finding(check.name, check.kind, check.criticality, _status(check, reason), latency_ms, reason, facts or {})


def _status(check: Check, reason: str | None) -> Status:
    if reason is None:
        return "ok"
    return "unhealthy" if check.criticality == "critical" else "degraded"


def _without_facts(finding: Finding) -> dict[str, Any]:
    return {name: value for name, value in asdict(finding).items() if name != "facts"}


def _of_module(module: Module, overall_status: Status, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return a module's part of the report: a module fails with what everything needs, and by its own check."""
    own = next((f for f in findings if (f.kind, f.name) == ("module", module.name)), None)
    status: Status = "unhealthy" if overall_status == "unhealthy" else own.status if own else "ok"
    return {"name": module.name, "kind": module.kind.value, "status": status, **(own.facts if own else {})}


def _answer(body: object, status: int) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
