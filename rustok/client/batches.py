"""Many commands of a module in one request."""

import warnings
from collections.abc import Generator, Sequence
from typing import Any, Generic, Literal, TypeVar
from uuid import uuid4

import msgspec

from rustok.client.answers import read_as
from rustok.client.calls import Request
from rustok.client.commands import Command
from rustok.client.consistency import Conversation
from rustok.client.headers import header_text
from rustok.client.problems import ProblemDocument, UnexpectedAnswer, problem_of

Mode = Literal["atomic", "independent"]
R = TypeVar("R")


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    body: msgspec.Raw = msgspec.Raw()
    consistency: str | None = None
    problem: ProblemDocument | None = None


class _Results(msgspec.Struct, frozen=True, kw_only=True):
    results: tuple[_Result, ...]


class Batch(Generic[R]):
    """Up to 500 commands; `await` it for their results, in their order.

    It has an Idempotency-Key of its own: awaited again, it does nothing twice, and tries again what had failed.
    """

    __slots__ = ("_commands", "_content", "_conversation", "_is_sent", "_name", "_path", "idempotency_key")

    def __init__(
        self, conversation: Conversation, name: str, path: str, commands: Sequence[Command[Any]], mode: Mode
    ) -> None:
        self._is_sent = True  # as long as there is nothing to send
        self._conversation = conversation
        self._name = name
        self._path = path
        self._commands = tuple(commands)
        self._content = msgspec.json.encode({"mode": mode, "items": [command.as_item() for command in self._commands]})
        self.idempotency_key = str(uuid4())
        self._is_sent = False

    def __await__(self) -> Generator[Any, None, list[R]]:
        self._is_sent = True
        return self._send().__await__()

    async def _send(self) -> list[R]:
        key = header_text("idempotency_key", self.idempotency_key)
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        request = Request(self._name, "POST", self._path, is_repeatable=True, content=self._content, headers=headers)
        response = await self._conversation.write(request)
        results = read_as(self._name, response.content, _Results, may_be_done=True).results
        for result in results:
            self._conversation.remember(result.consistency)
        if len(results) != len(self._commands):
            raise UnexpectedAnswer(self._name, "the answer has another number of results", may_be_done=True)
        return [_outcome(command, result) for command, result in zip(self._commands, results, strict=True)]

    def __del__(self) -> None:
        if not self._is_sent:
            text = f"{self._name} of {len(self._commands)} commands was never sent: await it"
            warnings.warn(text, RuntimeWarning, stacklevel=2)


def _outcome(command: Command[Any], result: _Result) -> Any:
    if result.problem is not None:
        return problem_of(command.name, result.problem)
    return read_as(command.name, result.body, command.result, may_be_done=True)
