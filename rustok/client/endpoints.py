"""What the generated operations have in common."""

from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar, overload

from rustok.client.answers import read_as
from rustok.client.batches import Batch, Mode
from rustok.client.calls import Request
from rustok.client.commands import Command
from rustok.client.consistency import Conversation
from rustok.client.pages import Page, Pages
from rustok.client.paths import filled
from rustok.client.problems import Problem

T = TypeVar("T")

_NOTHING: Mapping[str, Any] = {}


class Endpoint:
    """Operations on one kind of thing, such as `commerce.products`."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def _command(
        self,
        name: str,
        route: str,
        result: type[T],
        *,
        parts: Mapping[str, Any] = _NOTHING,
        body: Mapping[str, Any] | None = None,
        version: int | None = None,
    ) -> Command[T]:
        return Command(self._conversation, name, route, result, parts=parts, body=body, version=version)

    async def _get(
        self,
        name: str,
        path: str,
        result: type[T],
        *,
        parts: Mapping[str, Any] = _NOTHING,
        query: Mapping[str, Any] = _NOTHING,
        of_index: bool = False,
    ) -> T:
        given = {parameter: value for parameter, value in query.items() if value is not None}
        request = Request(name, "GET", filled(path, parts), is_repeatable=True, query=given or None)
        read = self._conversation.read_index if of_index else self._conversation.read
        return read_as(name, (await read(request)).content, result, may_be_done=False)

    def _list(
        self,
        name: str,
        path: str,
        thing: type[T],
        *,
        parts: Mapping[str, Any] = _NOTHING,
        query: Mapping[str, Any] = _NOTHING,
        after: str | None,
        of_index: bool = False,
    ) -> Pages[T]:
        page: Any = Page[thing]  # type: ignore[valid-type] # a type, though one that only run time knows

        def read(after: str | None) -> Coroutine[Any, Any, Page[T]]:
            asked = {**query, "after": after}
            return self._get(name, path, page, parts=parts, query=asked, of_index=of_index)

        return Pages(read, after)


class Module(Endpoint):
    """The kinds of things of one module."""

    name: ClassVar[str]
    batch_path: ClassVar[str]

    @overload
    def batch(self, commands: Sequence[Command[T]], *, mode: Literal["atomic"]) -> Batch[T]: ...

    @overload
    def batch(self, commands: Sequence[Command[T]], *, mode: Literal["independent"]) -> Batch[T | Problem]: ...

    def batch(self, commands: Sequence[Command[Any]], *, mode: Mode) -> Batch[Any]:
        """Return up to 500 commands of this module as one request; await it for their results, in their order.

        `atomic`: all are done, or none, and the problem of the one that failed is raised. `independent`: each is done
        by itself, and the result of one that failed is its problem.
        """
        return Batch(self._conversation, f"{self.name}.batch", self.batch_path, commands, mode)
