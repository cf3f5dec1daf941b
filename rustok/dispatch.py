"""The single door for reads and writes: authorise, validate, then one transaction of rows and outbox."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from rustok.db.idempotency import IdempotencyKey, find_answer, keep_answer
from rustok.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from rustok.kernel.context import Context
from rustok.kernel.errors import InvalidInput, VersionRequired, Violation
from rustok.kernel.module import Command, Query, Result

Model = TypeVar("Model", bound=BaseModel)

_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


@dataclass(frozen=True, slots=True)
class Call:
    """A command with its input. `expected_version` is the version of the aggregate that the caller has seen."""

    command: Command
    input: Mapping[str, Any] | BaseModel
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command returned; `body` is its JSON, byte for byte the same when it is `replayed`."""

    result: Result
    body: bytes
    replayed: bool = False


class Dispatcher:
    def __init__(self, units: UnitOfWorkFactory) -> None:
        self._units = units

    async def run(self, call: Call, context: Context, key: IdempotencyKey | None = None) -> Outcome:
        """Run one command in one transaction.

        With *key*, a repeated call returns the first one's outcome and changes nothing.

        Raises:
            Forbidden: the principal lacks the command's permission.
            InvalidInput: the input does not fit; `violations` name each fault.
            VersionRequired: the command changes an aggregate and the call does not say which version.
            RustokError: what the command's own rules say.

        """
        data = _admit(call, context)
        async with self._units.begin(context) as uow:
            if key is not None and (kept := await find_answer(uow, key)) is not None:
                return Outcome(call.command.result.model_validate_json(kept), kept.encode(), replayed=True)
            result = await _handle(uow, call, data)
            body = result.model_dump_json()
            if key is not None:
                await keep_answer(uow, key, body)
        return Outcome(result, body.encode())

    async def run_all(self, calls: Sequence[Call], context: Context) -> list[Result]:
        """Run several commands in one transaction: all of them or none. Raises as `run` does."""
        inputs = [_admit(call, context) for call in calls]
        async with self._units.begin(context) as uow:
            return [await _handle(uow, call, data) for call, data in zip(calls, inputs, strict=True)]

    async def query(self, query: Query, arguments: Mapping[str, Any], context: Context) -> Result:
        """Answer a query in a read-only transaction; *arguments* are texts, as a URL has them."""
        context.require(query.permission)
        data = validate(query.input, arguments, strict=False)
        async with self._units.begin(context, read_only=True) as uow:
            return await query.handler(uow, data)


def validate(model: type[Model], values: Mapping[str, Any], *, strict: bool = True) -> Model:
    """Return *values* as *model*, by way of JSON: what arrived never reaches a handler as it was.

    Raises:
        InvalidInput: with one violation a fault.

    """
    try:
        raw = orjson.dumps(values)
    except TypeError as error:  # lone surrogates; anything else that has no JSON form
        raise InvalidInput("The input has no JSON form: a text holds a lone surrogate, perhaps.") from error
    if b"\\u0000" in raw and _ESCAPED_NUL.search(raw):
        fault = Violation("", "nul_character", "texts must not hold U+0000")
        raise InvalidInput("A text holds the character U+0000.", [fault])
    try:
        return model.model_validate_json(raw, strict=strict)
    except ValidationError as error:
        raise invalid_input(error) from error


def invalid_input(error: ValidationError) -> InvalidInput:
    """Return pydantic's findings as our error, without any value of the input."""
    violations = [
        Violation(_pointer(fault["loc"]), fault["type"], _detail(fault["type"], fault["msg"]))
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return InvalidInput("The input does not fit.", violations)


def _admit(call: Call, context: Context) -> BaseModel:
    context.require(call.command.permission)
    if call.command.checks_version and call.expected_version is None:
        raise VersionRequired("State the version you have seen: send its ETag in If-Match.")
    if isinstance(call.input, BaseModel):
        return call.input
    return validate(call.command.input, call.input)


async def _handle(uow: UnitOfWork, call: Call, data: BaseModel) -> Result:
    uow.expected_version = call.expected_version
    return await call.command.handler(uow, data)


def _pointer(location: tuple[int | str, ...]) -> str:
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in location if step != "[key]")
    return "".join(f"/{step}" for step in steps)


def _detail(kind: str, message: str) -> str:
    """Return pydantic's message, unless it quotes the input."""
    if kind.startswith("uuid_"):
        return "must be a UUID"
    if kind.startswith("datetime_"):
        return "must be a date and time with its offset (RFC 3339)"
    return message.removeprefix("Value error, ")
