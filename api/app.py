"""ROOT 1: `uvicorn --factory api.app:create_app`."""

import logging
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from api.batches import batch_routes
from api.body import BodyLimits
from api.caller import Callers
from api.checks import scripts_check, server_checks
from api.cross_origin import cross_origin, parse_origins
from api.docs_page import docs_route
from api.error_docs import error_docs_route
from api.errors import on_error, on_http_exception
from api.event_types import event_types_routes
from api.graphql.route import PATH as GRAPHQL_PATH
from api.graphql.route import graphql_route
from api.health import health_routes
from api.in_progress import InProgress
from api.metrics import metrics_route
from api.middleware import Guarded, Observed
from api.openapi import openapi_route
from api.operations import operation_events_route
from api.parts import assemble
from api.rate_limits import RateLimits
from api.routes import PREFIX, api_routes
from api.sign_in import sign_in_routes
from api.startup import PlainStartFailure
from rustok.catalog import MODULES
from rustok.kernel.errors import RustokError
from rustok.kernel.module import Module
from rustok.kernel.ports import Clock
from rustok.kernel.quota import read_quota
from rustok.kernel.transport import EventTransport
from rustok.runtime import SystemClock, freeze_heap
from rustok.settings import Settings, load_settings
from rustok.telemetry.logging import configure_logging

BODY_TIMEOUT_S = 15.0


def create_app() -> Starlette:
    """Return the application that the environment describes; a fault in it ends the process with one line."""
    try:
        settings = load_settings()
        configure_logging(settings.log_format, settings.log_level)
        _adopt_server_logs()
        app = build_app(settings)
    except RustokError as error:
        sys.exit(f"{error.code}: {error}")
    freeze_heap()
    return app


def build_app(
    settings: Settings,
    modules: Sequence[Module] = MODULES,
    *,
    clock: Clock | None = None,
    engine: AsyncEngine | None = None,
    transport: EventTransport | None = None,
    body_timeout_s: float = BODY_TIMEOUT_S,
) -> Starlette:
    """Return the application of *modules*; it connects when its lifespan begins.

    A given *engine* or *transport* takes the place of the one that the settings ask for.

    Raises:
        Misconfigured: a setting is missing, or the modules do not add up.

    """
    clock = clock or SystemClock()
    parts = assemble(settings, modules, clock, engine, transport)
    registry = parts.platform.registry
    redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
    checks = server_checks(parts.database_url, redis_url)
    if parts.log_engine is not None and any(module.name == "alloy" for module in registry.modules):
        checks.append(scripts_check(parts.log_engine))

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with parts.running():
            yield

    rate_limits = RateLimits(read_quota(settings.request_quota), clock)
    callers = Callers(parts.platform.units, parts.platform.authenticator, parts.directory, rate_limits, clock)
    limits = BodyLimits(settings.body_limit_bytes, body_timeout_s)
    app = Starlette(
        routes=[
            *api_routes(parts.platform, callers, parts.admission, parts.read_your_writes, limits),
            *batch_routes(parts.platform, callers, parts.admission, limits),
            *sign_in_routes(parts.platform, parts.logins, parts.directory, limits),
            graphql_route(
                parts.platform,
                callers,
                parts.admission,
                parts.read_your_writes,
                limits,
                allows_introspection=settings.tells_graphql_schema,
            ),
            operation_events_route(parts.platform, callers, clock),
            openapi_route(registry),
            *event_types_routes(registry),
            docs_route(registry),
            error_docs_route(registry),
            *health_routes(checks, registry.modules, clock),
            metrics_route(parts.log_engine, clock),
        ],
        middleware=[
            Middleware(PlainStartFailure),
            Middleware(Observed, clock),
            *cross_origin(parse_origins(settings.allowed_origins)),
            Middleware(Guarded),
            Middleware(InProgress, (PREFIX, GRAPHQL_PATH), settings.requests_in_progress),
        ],
        exception_handlers={HTTPException: on_http_exception, RustokError: on_error},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    return app


def _adopt_server_logs() -> None:
    """Let uvicorn's messages take our format, and drop its line a request: `middleware.py` writes a better one."""
    logging.getLogger("uvicorn").handlers.clear()
    logging.getLogger("uvicorn").propagate = True
    logging.getLogger("uvicorn.access").handlers.clear()
    logging.getLogger("uvicorn.access").propagate = False
