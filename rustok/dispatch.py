"""The single door for reads and writes: authorise, validate, then one transaction of rows and outbox."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from rustok.db.coalescer import Coalescer, RunApart
from rustok.db.engine import to_json
from rustok.db.idempotency import (
    IdempotencyKey,
    IdempotencyKeyReused,
    KeptAnswer,
    RequestInProgress,
    find_answers,
    keep_answer,
)
from rustok.db.unit_of_work import StaleAuthorization, TenantDisabled, UnitOfWork, UnitOfWorkFactory
from rustok.kernel.consistency import Tokens
from rustok.kernel.context import Context
from rustok.kernel.errors import InvalidInput, Misconfigured, RustokError, Unavailable, VersionRequired, Violation
from rustok.kernel.module import Command, Query, Result
from rustok.kernel.validation import invalid_input
from rustok.telemetry import deprecated_calls

log = structlog.get_logger(__name__)

Model = TypeVar("Model", bound=BaseModel)

_GROUP_SIZE = 32
"""Concurrent calls that share a transaction at most."""
_NEIGHBOURS = 100
"""Items of a batch that share a transaction at most."""
_BATCH_PATIENCE_S = 20.0
"""Items are not begun later than this after the batch."""
_GROUP_LOCK_TIMEOUT_MS = 200
_PATIENCE_S = 2.0
"""A call that has waited for its group for this long is refused, before anything was done."""

_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(slots=True)
class Call:
    """A command with its input.

    `expected_version` is the version of the aggregate that the caller has seen; ABSENT: there must not be one.
    `prepared` is what the handler gets: it is made once, however often the call is begun anew.
    """

    command: Command
    input: Mapping[str, Any] | BaseModel
    expected_version: int | None = None
    prepared: BaseModel | None = field(default=None, init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command returned; `body` is its JSON, byte for byte the same when it is `replayed`.

    `token` lets a reader wait until the index shows the write (`kernel/consistency.py`). `has_changed_rules`: the
    caller may have other rights now.
    """

    result: Result
    body: bytes
    token: str | None
    replayed: bool = False
    has_changed_rules: bool = False


Outcomes = Sequence[Outcome | RustokError]
RunWithRights = Callable[[Callable[[Context], Awaitable[Outcomes]]], Awaitable[Outcomes]]
"""Runs work with rights of the caller's that are in force, and again when it raises StaleAuthorization."""


class _Item(NamedTuple):
    call: Call
    key: IdempotencyKey | None


@dataclass(frozen=True, slots=True)
class _Job:
    """A call that was admitted."""

    call: Call
    data: BaseModel
    context: Context
    key: IdempotencyKey | None


class BatchTooLong(Unavailable):
    """The items of a batch that were done have taken all of its time: the others were not tried."""

    code = "batch_too_long"


_NO_ITEMS_FAULT = (Unavailable, TenantDisabled, Misconfigured, RequestInProgress, IdempotencyKeyReused)


class ItemFailed(Exception):
    """One of the commands of an atomic batch has failed, and nothing was done. `item` is its place, from 0."""

    def __init__(self, item: int, error: RustokError) -> None:
        super().__init__(f"item {item}: {error}")
        self.item = item
        self.error = error


class Dispatcher:
    """*needed_module* returns the name of the module that must be on for a query."""

    def __init__(self, units: UnitOfWorkFactory, needed_module: Callable[[Query], str]) -> None:
        self._units = units
        self._needed_module = needed_module
        self._coalescer = Coalescer(self._run_group, self._run_alone, most=_GROUP_SIZE, patience_s=_PATIENCE_S)

    async def run(self, call: Call, context: Context, key: IdempotencyKey | None = None) -> Outcome:
        """Run one command in one transaction, which concurrent calls share where the command says so.

        With *key*, a repeated call returns the first one's outcome and changes nothing.

        Raises:
            ModuleOff: the tenant has switched the command's module off.
            Forbidden: the principal lacks the command's permission.
            InvalidInput: the input does not fit; `violations` name each fault.
            VersionRequired: the command changes an aggregate and the call does not say which version.
            RustokError: what the command's own rules say.

        """
        job = _Job(call, await _admit(call, context), context, key)
        if call.command.coalesces:
            principal = context.principal
            lane = (context.tenant_id, principal.authz_version, principal.session_id)  # what BEGIN compares
            return await self._coalescer.submit(lane, job)
        return await self._run_alone(job)

    async def _run_alone(self, job: _Job) -> Outcome:
        [outcome] = await self._run_together([job])
        if isinstance(outcome, RustokError):
            raise outcome
        return outcome

    async def _run_group(
        self, jobs: Sequence[_Job], *, until_rules_change: bool = False
    ) -> Sequence[Outcome | Exception]:
        """Run *jobs* in one transaction, in which nobody waits long for a row that somebody else holds."""
        try:
            return await self._run_together(
                jobs, lock_timeout_ms=_GROUP_LOCK_TIMEOUT_MS, until_rules_change=until_rules_change
            )
        except (Misconfigured, TenantDisabled, StaleAuthorization):
            raise  # no job's own fault
        except Unavailable as error:
            if error.is_rolled_back:
                raise RunApart from error
            raise  # what became of the commit may be unknown: never run it again
        except Exception as error:
            if len(jobs) == 1:
                return [error]
            raise RunApart from error

    async def _run_together(
        self, jobs: Sequence[_Job], *, lock_timeout_ms: int = 0, until_rules_change: bool = False
    ) -> list[Outcome | RustokError]:
        """Run *jobs* of one tenant in one transaction; return what became of each.

        *until_rules_change*: those behind one that has changed the tenant's access rules are left undone.
        """
        first = jobs[0]
        is_about_tenant = first.call.command.is_about_tenant
        async with self._units.begin(
            first.context, lock_timeout_ms=lock_timeout_ms, is_about_tenant=is_about_tenant
        ) as uow:
            outcomes = []
            for job, found in zip(jobs, await find_answers(uow, [job.key for job in jobs]), strict=True):
                outcomes.append(await _outcome(uow, job, found))
                if until_rules_change and _has_changed_rules(outcomes[-1]):
                    break
                await asyncio.sleep(0)  # others have their turn between two large inputs
            return outcomes

    async def run_atomic(self, calls: Sequence[Call], context: Context, key: IdempotencyKey | None = None) -> Outcomes:
        """Run commands in their order in one transaction, and return what became of each; all are done, or none.

        The rights of the caller are those at its beginning, also behind a command that ends them. With *key*, a
        repeated batch does nothing again.

        Raises:
            ModuleOff: the tenant has switched the module of one of them off.
            Forbidden: the principal lacks the permission of one of the commands.
            ItemFailed: one of them has failed.
            IdempotencyKeyReused: the key was used for another request.
            RequestInProgress: a request with this key is running.

        """
        _require_all(calls, context)
        jobs = []
        for place, item in enumerate(_items(calls, key)):
            with _fault_of(place):
                jobs.append(_Job(item.call, await _admit(item.call, context), context, item.key))
            await asyncio.sleep(0)
        try:
            return await self._run_all_or_none(jobs)
        except _NO_ITEMS_FAULT:
            raise
        except RustokError:  # of which item is not known: what was inserted together has failed together
            return await self._run_all_or_none(jobs, names_the_item=True)

    async def _run_all_or_none(self, jobs: Sequence[_Job], *, names_the_item: bool = False) -> Sequence[Outcome]:
        async with self._units.begin(jobs[0].context) as uow:
            outcomes = []
            found = await find_answers(uow, [job.key for job in jobs])
            for item, job in enumerate(jobs):
                with _fault_of(item) if names_the_item else nullcontext():
                    outcome = await _outcome(uow, job, found[item])
                    if isinstance(outcome, RustokError):
                        raise outcome
                    if names_the_item:
                        await uow.insert_staged()
                outcomes.append(outcome)
                await asyncio.sleep(0)
            return outcomes

    async def run_each(self, calls: Sequence[Call], run: RunWithRights, key: IdempotencyKey | None = None) -> Outcomes:
        """Run commands in their order, each for itself, and return what became of each.

        Neighbours share a transaction, and are run apart as soon as one of them fails, or changes the access rules:
        *run* gives those behind it the rights that the caller has by then. With *key*, what was done before is not
        done again.

        Raises, before anything was done, what *run* raises, and:
            ModuleOff: the tenant has switched the module of one of them off.
            Forbidden: the principal lacks the permission of one of the commands.
            IdempotencyKeyReused: the key was used for another request.
            RequestInProgress: a request with this key is running.

        """
        items = _items(calls, key)
        until_s = time.monotonic() + _BATCH_PATIENCE_S
        outcomes: list[Outcome | RustokError] = []
        apart_until = 0
        while rest := items[len(outcomes) :]:
            group = rest[: 1 if len(outcomes) < apart_until else _NEIGHBOURS]
            try:
                if outcomes:
                    found = await run(partial(self._run_neighbours, group))
                else:
                    found = await run(partial(self._begin_batch, calls, key, group))
            except RunApart:
                found = []
            except Misconfigured:
                raise
            except RustokError as error:
                if not outcomes:
                    raise
                return [*outcomes, *[error] * len(rest)]
            if len(found) < len(group):
                apart_until = len(outcomes) + len(group)
            outcomes += found
            if end := _end_of_batch(found, until_s):
                return [*outcomes, *[end] * (len(items) - len(outcomes))]
        return outcomes

    async def _begin_batch(
        self, calls: Sequence[Call], key: IdempotencyKey | None, group: Sequence[_Item], context: Context
    ) -> Outcomes:
        """Run the first items of a batch, of which nothing is done if its caller may not do all of it.

        The key is bound to this batch: another one with it would do some of its items, and be answered others of this.
        """
        _require_all(calls, context)
        if key is not None:
            async with self._units.begin(context) as uow:
                [found] = await find_answers(uow, [key])
                if isinstance(found, RustokError):
                    raise found
                if found is None:
                    keep_answer(uow, key, KeptAnswer("", None))
        return await self._run_neighbours(group, context)

    async def _run_neighbours(self, items: Sequence[_Item], context: Context) -> Outcomes:
        """Run some items of a batch in one transaction; return what became of those up to one that changes the rules.

        Those behind it are refused, or done, by the rights that there are then.

        Raises:
            RunApart: one of several has failed, and nothing was done.

        """
        outcomes: dict[int, Outcome | RustokError] = {}
        jobs: dict[int, _Job] = {}
        for place, (call, key) in enumerate(items):
            try:
                jobs[place] = _Job(call, await _admit(call, context), context, key)
            except Misconfigured:
                raise
            except Exception as error:  # noqa: BLE001 - it is told of the one item
                outcomes[place] = _of_item(error, call)
            await asyncio.sleep(0)
        end = len(items)
        for place, outcome in zip(jobs, await self._run_jobs(list(jobs.values()), context), strict=False):
            outcomes[place] = _of_item(outcome, items[place].call)
            if _has_changed_rules(outcome):
                end = place + 1
        return [outcomes[place] for place in range(end)]

    async def _run_jobs(self, jobs: Sequence[_Job], context: Context) -> Sequence[Outcome | Exception]:
        if not jobs:
            await self._units.compare_rights(context)
            return []
        try:
            if len(jobs) > 1:
                return await self._run_group(jobs, until_rules_change=True)
            return [await self._run_alone(jobs[0])]
        except (Misconfigured, TenantDisabled, StaleAuthorization, RunApart):
            raise
        except Unavailable as error:
            return [error] * len(jobs)
        except Exception as error:  # noqa: BLE001 - it is told of the one item
            return [error]

    async def run_within(self, uow: UnitOfWork, call: Call) -> Result:
        """Run a command in a transaction that is somebody else's to commit: that of a script's effects.

        A call that names no version changes what is there. Raises as `run` does, but VersionRequired.
        """
        return await _handle(uow, call, await _prepared(call, uow.context))

    async def query(self, query: Query, arguments: Mapping[str, Any] | BaseModel, context: Context) -> Result:
        """Answer a query in a read-only transaction; *arguments*: texts, or what `admit_query` returned."""
        context.principal.require_module(self._needed_module(query))
        context.require(query.permission)
        data = arguments if isinstance(arguments, BaseModel) else admit_query(query, arguments, context)
        async with self._units.begin(context, read_only=True) as uow:
            return await query.handler(uow, data)


def admit_query(query: Query, arguments: Mapping[str, Any], context: Context) -> BaseModel:
    """Return the input of a query; *arguments* are texts, as a URL has them. Raises Forbidden and InvalidInput."""
    context.require(query.permission)
    deprecated_calls.notice(query, context)
    return validate(query.input, arguments, strict=False)


def validate(model: type[Model], values: Mapping[str, Any], *, strict: bool = True) -> Model:
    """Return *values* as *model*, by way of JSON: what arrived never reaches a handler as it was.

    Raises:
        InvalidInput: with one violation a fault.

    """
    try:
        raw = to_json(values).encode()
    except TypeError as error:  # lone surrogates; anything else that has no JSON form
        raise InvalidInput("The input has no JSON form: a text holds a lone surrogate, perhaps.") from error
    if b"\\u0000" in raw and _ESCAPED_NUL.search(raw):
        fault = Violation("", "nul_character", "texts must not hold U+0000")
        raise InvalidInput("A text holds the character U+0000.", [fault])
    try:
        return model.model_validate_json(raw, strict=strict)
    except ValidationError as error:
        raise invalid_input(error) from error


async def _admit(call: Call, context: Context) -> BaseModel:
    """Return what the handler gets, once it is known that the caller may ask for it."""
    if call.command.checks_version and not call.expected_version:  # nor may it be about what is not there
        context.require(call.command.permission)
        raise VersionRequired("State the version you have seen: send its ETag in If-Match.")
    return await _prepared(call, context)


async def _prepared(call: Call, context: Context) -> BaseModel:
    context.require(call.command.permission)
    if call.prepared is None:
        deprecated_calls.notice(call.command, context)
        data = call.input if isinstance(call.input, BaseModel) else validate(call.command.input, call.input)
        call.prepared = data if call.command.prepare is None else await call.command.prepare(data)
    return call.prepared


async def _outcome(uow: UnitOfWork, job: _Job, found: KeptAnswer | RustokError | None) -> Outcome | RustokError:
    """Run *job* unless an answer was *found* for its key."""
    if isinstance(found, RustokError):
        return found
    if found is not None:
        result = job.call.command.result.model_validate_json(found.result)
        return Outcome(result, found.result.encode(), found.token, replayed=True)
    unit = uow.alongside(job.context)
    result = await _handle(unit, job.call, job.data)
    body = result.model_dump_json()
    token = Tokens(uow.secrets).issue(uow.tenant_id, unit.emitted, uow.now)
    if job.key is not None:
        keep_answer(uow, job.key, KeptAnswer(body, token))
    return Outcome(result, body.encode(), token, has_changed_rules=uow.has_raised_rules)


async def _handle(uow: UnitOfWork, call: Call, data: BaseModel) -> Result:
    with uow.expecting(call.expected_version), uow.acting_by(call.command.permission):
        return await call.command.handler(uow, data)


@contextmanager
def _fault_of(item: int) -> Iterator[None]:
    """Name the item of a batch that has failed, if the fault is an item's."""
    try:
        yield
    except _NO_ITEMS_FAULT:
        raise
    except RustokError as error:
        raise ItemFailed(item, error) from error


def _items(calls: Sequence[Call], key: IdempotencyKey | None) -> Sequence[_Item]:
    return [_Item(call, None if key is None else key.of_item(place)) for place, call in enumerate(calls)]


def _require_all(calls: Sequence[Call], context: Context) -> None:
    for call in calls:
        context.require(call.command.permission)


def _has_changed_rules(found: Outcome | Exception) -> bool:
    return isinstance(found, Outcome) and found.has_changed_rules


def _of_item(found: Outcome | Exception, call: Call) -> Outcome | RustokError:
    if isinstance(found, Outcome | RustokError):
        return found
    log.error("batch_item_failed", command=call.command.name, exc_info=found)
    return RustokError("Something went wrong here with this item. The log has it under the id of the request.")


def _end_of_batch(found: Outcomes, until_s: float) -> RustokError | None:
    """Return what is told of the items behind *found*, if they must not be tried.

    They would wait for a server that is away, too; or somebody else is at this batch, and does them in their order.
    """
    for outcome in found:
        if isinstance(outcome, Unavailable) and not outcome.is_rolled_back:
            return outcome
        if isinstance(outcome, RequestInProgress):
            return outcome
    if time.monotonic() > until_s:
        return BatchTooLong("The items before this one took too long: send the rest again.")
    return None
