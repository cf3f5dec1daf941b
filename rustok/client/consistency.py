"""Read your writes: tokens of writes go with the next reads of the index, until those have shown them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import httpx2

from rustok.client.calls import Calls, Request
from rustok.client.problems import InvalidInput

TOKEN = "RusToK-Consistency"  # noqa: S105 - the name of a header
MOST_IN_A_REQUEST = 16
MOST_KEPT = 512
"""More than a batch has."""


@dataclass(frozen=True, slots=True)
class ReadYourWrites:
    """How reads of the index care for what this client has written: they wait up to `wait_s` seconds, 10 at most.

    What is not shown by then is missing from the answer, or, with `is_strict`, the read is repeated and fails with
    `Unavailable` at last.
    """

    wait_s: int = 2
    is_strict: bool = False

    @property
    def prefer(self) -> str:
        return f"wait={self.wait_s}, handling=strict" if self.is_strict else f"wait={self.wait_s}"


class Writes:
    """The tokens of the newest writes, numbered, and up to which each kind of read has shown them."""

    def __init__(self) -> None:
        self._tokens: dict[int, str] = {}
        self._written = 0
        self._shown: dict[str, int] = {}

    def add(self, token: str) -> None:
        self._written += 1
        self._tokens[self._written] = token
        self._tokens.pop(self._written - MOST_KEPT, None)

    def missing(self, operation: str) -> Sequence[tuple[int, str]]:
        """Return what no read by *operation* has shown yet, oldest first."""
        shown = self._shown.get(operation, 0)
        if shown == self._written:
            return ()
        return [(number, token) for number, token in self._tokens.items() if number > shown]

    def has_shown(self, operation: str, number: int) -> None:
        """Note that *operation* shows all writes up to *number*."""
        self._shown[operation] = max(number, self._shown.get(operation, 0))

    def forget(self) -> None:
        self._tokens.clear()


class Conversation:
    """Sends what the API is asked, as somebody who remembers what was written."""

    def __init__(self, calls: Calls, wanted: ReadYourWrites | None) -> None:
        self._calls = calls
        self._wanted = wanted
        self._writes = Writes()

    async def write(self, request: Request) -> httpx2.Response:
        response = await self._calls.send(request)
        self.remember(response.headers.get(TOKEN))
        return response

    def remember(self, token: str | None) -> None:
        """Have the next reads of the index show the write that was answered *token*, where it was answered one."""
        if token is not None:
            self._writes.add(token)

    async def read(self, request: Request) -> httpx2.Response:
        """Return an answer out of the source, which always shows what was written."""
        return await self._calls.send(request)

    async def read_index(self, request: Request) -> httpx2.Response:
        """Return an answer that shows the writes, as far as `ReadYourWrites` wants it to.

        A request takes 16 tokens: after more writes the same is read several times, and the last answer shows all.
        """
        missing = self._writes.missing(request.operation) if self._wanted else ()
        if not missing or not self._wanted:
            return await self.read(request)
        for start in range(0, len(missing), MOST_IN_A_REQUEST):
            shown = missing[start : start + MOST_IN_A_REQUEST]
            response = await self._look(request, [token for _, token in shown], self._wanted)
            if response.headers.get("RusToK-Freshness") != "fresh":
                break
            self._writes.has_shown(request.operation, shown[-1][0])
        return response

    async def _look(self, request: Request, tokens: Sequence[str], wanted: ReadYourWrites) -> httpx2.Response:
        headers = {**request.headers, TOKEN: ",".join(tokens), "Prefer": wanted.prefer}
        try:
            return await self._calls.send(replace(request, headers=headers, patience_s=wanted.wait_s))
        except InvalidInput as refused:
            if refused.code == "invalid_header":  # tokens of an older secret: they would be refused for ever
                self._writes.forget()
            raise
