"""Many commands of a module in one request: `POST /api/v1/<module>:batch`."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from functools import partial
from typing import Annotated, Any, Literal, Self

import orjson
import structlog
from pydantic import Field, JsonValue
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from api.admission import Admission
from api.body import BodyLimits, read_fields
from api.caller import Callers
from api.deprecation import announce
from api.errors import problem_members, status_of, violations_of
from api.headers import idempotency_key
from api.in_progress import aside
from api.routes import PREFIX, scoped
from rustok.bootstrap import Platform
from rustok.db.failures import describe
from rustok.db.unit_of_work import ABSENT
from rustok.dispatch import Call, ItemFailed, Outcome, Outcomes, validate
from rustok.kernel.errors import InvalidInput, RustokError, Violation
from rustok.kernel.module import Command, Input, Module
from rustok.kernel.registry import Registry

log = structlog.get_logger(__name__)

MOST_ITEMS = 500
_SERVER_ERROR = 500
_TIMES_THE_BODY = 4
_VALUES_AN_ITEM = 100
_AT_A_TIME = 4
"""Batches that a process does at a time: each has a connection for as long as it takes."""


class Item(Input):
    """`input` has the fields of the command's body and of its path.

    `version` is what If-Match would say; 0 is `If-None-Match: *`: there must be nothing yet.
    """

    command: str
    input: dict[str, JsonValue] = {}
    version: Annotated[int, Field(ge=ABSENT, le=2**63 - 1)] | None = None


class Batch(Input):
    """`atomic`: all items or none. `independent`: each by itself. They are done in their order."""

    mode: Literal["atomic", "independent"]
    items: Annotated[list[Item], Field(min_length=1, max_length=MOST_ITEMS)]


def batch_routes(platform: Platform, callers: Callers, admission: Admission, limits: BodyLimits) -> list[Route]:
    """Return a route for each module that has commands over HTTP."""
    wide = BodyLimits(_TIMES_THE_BODY * limits.size_bytes, limits.timeout_s, MOST_ITEMS * _VALUES_AN_ITEM)
    modules = [module for module in platform.registry.modules if batch_commands(platform.registry, module)]
    turns = asyncio.Semaphore(_AT_A_TIME)
    return [_route(platform, callers, admission, wide, module, turns=turns) for module in modules]


def batch_path(module: Module) -> str:
    return f"{PREFIX}/{module.routes_path}:batch"


def batch_commands(registry: Registry, module: Module) -> Mapping[str, Command]:
    """Return the commands that a batch of *module* may have, by name: those with a route of their own."""
    commands = registry.commands.values()
    return {c.name: c for c in commands if c.route is not None and registry.module_of(c.name) is module}


def _route(
    platform: Platform,
    callers: Callers,
    admission: Admission,
    limits: BodyLimits,
    module: Module,
    *,
    turns: asyncio.Semaphore,
) -> Route:
    path, commands = batch_path(module), batch_commands(platform.registry, module)

    async def endpoint(request: Request) -> Response:
        async with callers.identified(request, module.name) as caller:
            key = idempotency_key(request)
            fields = await read_fields(request, limits, optional=False)
            batch = validate(Batch, fields)
            caller.owe(len(batch.items) - 1)
            announce(request, [commands[item.command] for item in batch.items if item.command in commands])
            calls = _calls(batch, commands)
            if counted := [call for call in calls if not call.command.is_critical]:
                admission.admit(counted[0].command, caller.tenant_id, len(counted))

            scope = scoped(key, caller.actor, f"POST {path}", fields, [call.command for call in calls])
            try:
                async with _Turn(turns, request.scope) as turn:
                    run = partial(caller.run, while_pausing=turn.given_back)
                    if batch.mode == "atomic":
                        outcomes = await run(lambda context: platform.dispatcher.run_atomic(calls, context, scope))
                    else:
                        outcomes = await platform.dispatcher.run_each(calls, run, scope)
            except ItemFailed as failed:
                raise _in_item(failed.error, failed.item) from failed
            _log_failures(outcomes)
            results = [_result(place, calls[place].command, outcome) for place, outcome in enumerate(outcomes)]
            return Response(orjson.dumps({"results": results}), 200, media_type="application/json")

    return Route(path, endpoint, methods=["POST"])


class _Turn:
    """One of those that batches take. Who waits for it does not count as in progress."""

    def __init__(self, turns: asyncio.Semaphore, scope: Scope) -> None:
        self._turns = turns
        self._scope = scope
        self._is_held = False

    async def __aenter__(self) -> Self:
        await self._take()
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._give_back()

    @asynccontextmanager
    async def given_back(self) -> AsyncIterator[None]:
        """Let others have it meanwhile."""
        self._give_back()
        yield
        await self._take()

    async def _take(self) -> None:
        with aside(self._scope):
            await self._turns.acquire()
        self._is_held = True

    def _give_back(self) -> None:
        if self._is_held:
            self._is_held = False
            self._turns.release()


def _calls(batch: Batch, commands: Mapping[str, Command]) -> Sequence[Call]:
    faults = [
        Violation(f"/items/{place}/command", "unknown_command", "must be a command of this module with a route")
        for place, item in enumerate(batch.items)
        if item.command not in commands
    ]
    if faults:
        raise InvalidInput("The input does not fit.", faults)
    return [Call(commands[item.command], item.input, item.version) for item in batch.items]


def _log_failures(outcomes: Outcomes) -> None:
    """Log why the server has failed, once: the answer as a whole looks well."""
    failed = [each for each in outcomes if isinstance(each, RustokError) and status_of(type(each)) >= _SERVER_ERROR]
    if failed:
        cause = describe(failed[0].__cause__) if failed[0].__cause__ else None
        log.warning("batch_items_failed", items=len(failed), code=failed[0].code, cause=cause)


def _result(place: int, command: Command, outcome: Outcome | RustokError) -> dict[str, Any]:
    if isinstance(outcome, RustokError):
        error = _in_item(outcome, place)
        members = problem_members(type(error), str(error))
        return {"status": members["status"], "problem": {**members, "errors": violations_of(error)}}
    return {
        "status": command.status,
        "body": orjson.Fragment(outcome.body),
        "consistency": outcome.token,
        "replayed": outcome.replayed,
    }


def _in_item(error: RustokError, place: int) -> RustokError:
    """Return *error* with its faults at their places in the batch; without any, the item is the place."""
    placed: Any = copy(error)
    faults = getattr(error, "violations", ()) or [Violation("", error.code, str(error))]
    item = f"/items/{place}"
    placed.violations = tuple(
        Violation(f"{item}/input{fault.pointer}" if fault.pointer else item, fault.code, fault.detail)
        for fault in faults
    )
    return placed  # type: ignore[no-any-return] # a copy of its own class
