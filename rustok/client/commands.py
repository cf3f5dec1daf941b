"""Commands: values that are sent when they are awaited, alone or many in a batch."""

import warnings
from collections.abc import Generator, Mapping
from typing import Any, Generic, TypeVar
from uuid import uuid4

import msgspec

from rustok.client.answers import read_as
from rustok.client.calls import Request
from rustok.client.consistency import Conversation
from rustok.client.headers import header_text
from rustok.client.paths import filled

T = TypeVar("T")

ABSENT = 0
"""As `expected_version`: there must be nothing yet."""


class Command(Generic[T]):
    """Something to be done: `await` it, or give it to a batch of its module.

    A POST has an Idempotency-Key of its own, the same whenever this command is awaited: awaited again after a failure,
    within 24 hours, it is not done twice, and has the result of the first time. `idempotency_key` may be set, to one
    that outlives this process: 1 to 255 printable ASCII characters.

    It is sent in one way, since a batch has a key of its own: alone, as often as you like, or in one batch.
    """

    __slots__ = (
        "_batched",
        "_conversation",
        "_is_sent",
        "_made_key",
        "body",
        "idempotency_key",
        "method",
        "name",
        "parts",
        "path",
        "result",
        "version",
    )

    def __init__(
        self,
        conversation: Conversation,
        name: str,
        route: str,
        result: type[T],
        *,
        parts: Mapping[str, Any],
        body: Mapping[str, Any] | None,
        version: int | None,
    ) -> None:
        self._is_sent = self._batched = False
        self._conversation = conversation
        self.name = name
        self.method, _, self.path = route.partition(" ")
        self.result = result
        self.parts = parts
        self.body = None if body is None else {k: value for k, value in body.items() if value is not msgspec.UNSET}
        self.version = version
        self.idempotency_key = self._made_key = str(uuid4())

    def __await__(self) -> Generator[Any, None, T]:
        if self._batched:
            raise ValueError(f"{self.name} is in a batch, which has another key: await the batch again")
        self._is_sent = True
        return self._send().__await__()

    async def _send(self) -> T:
        response = await self._conversation.write(self._request())
        return read_as(self.name, response.content, self.result, may_be_done=True)

    def as_item(self) -> dict[str, Any]:
        """Return this command as an item of a batch, which is going to be sent.

        Raises:
            ValueError: it was sent before, or has a key that was set: with the key of the batch it might be done twice.

        """
        if self._is_sent or self.idempotency_key != self._made_key:
            raise ValueError(f"{self.name} was sent before, or has a key of its own: await it alone")
        self._is_sent = self._batched = True
        return {"command": self.name, "input": {**self.parts, **(self.body or {})}, "version": self.version}

    def _request(self) -> Request:
        headers = {}
        if self.method == "POST":
            headers["Idempotency-Key"] = header_text("idempotency_key", self.idempotency_key)
        if self.version == ABSENT:
            headers["If-None-Match"] = "*"
        elif self.version is not None:
            headers["If-Match"] = f'"{self.version}"'
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        return Request(
            self.name,
            self.method,
            filled(self.path, self.parts),
            is_repeatable=bool(headers.keys() & {"Idempotency-Key", "If-Match"}),
            content=None if self.body is None else msgspec.json.encode(self.body),
            headers=headers,
        )

    def __repr__(self) -> str:
        return f"<{self.name} {self.idempotency_key}>"

    def __del__(self) -> None:
        if not self._is_sent:
            warnings.warn(f"{self.name} was never sent: await it, or give it to a batch", RuntimeWarning, stacklevel=2)
