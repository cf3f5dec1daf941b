"""One request of GraphQL: runs the commands and queries of its fields, one at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import orjson

from api.caller import Caller
from api.faults import TenantMissing
from api.graphql.loaders import Loader
from api.graphql.meter import Meter
from api.routes import scoped
from rustok.db.unit_of_work import TenantDisabled
from rustok.dispatch import Call, Dispatcher, admit_query
from rustok.kernel.context import Context
from rustok.kernel.errors import RustokError, Unauthenticated
from rustok.kernel.module import Query, Result

T = TypeVar("T")

_OF_THE_CALLER = (Unauthenticated, TenantDisabled, TenantMissing)
"""What says that the caller has no rights any more, whatever it asks for."""


class Session:
    """`meter` is that of the answer, `tokens` are those of the writes so far.

    A request has one connection to the database at a time.
    """

    def __init__(self, caller: Caller, dispatcher: Dispatcher) -> None:
        self._caller = caller
        self._dispatcher = dispatcher
        self._turn = asyncio.Lock()
        self._loaders: dict[str, Loader] = {}
        self._refusal: RustokError | None = None
        self._may_have_written = False
        self.meter = Meter()
        self.tokens: list[str] = []

    def raise_refusal(self) -> None:
        """Raise what the caller was refused with, if that was before anything was written."""
        if self._refusal is not None and not self._may_have_written:
            raise self._refusal

    async def query(self, query: Query, arguments: Mapping[str, Any]) -> Result:
        """Answer *query*. Raises what the Dispatcher raises."""

        async def work(context: Context) -> Result:
            return await self._dispatcher.query(query, admit_query(query, arguments, context), context)

        return await self._run(work)

    async def run(self, call: Call, key: str | None) -> Any:
        """Run a command and return its result in JSON's form.

        *key* is the client's for this very command: with it a repeated one is done once.

        Raises:
            MutationNotRun: the answer is too large already.
            RustokError: what the Dispatcher raises.

        """
        self.meter.refuse_mutation()
        fields = {"input": call.input, "version": call.expected_version}
        scope = scoped(key, self._caller.actor, f"graphql {call.command.name}", fields, [call.command])
        try:
            outcome = await self._run(lambda context: self._dispatcher.run(call, context, scope))
        finally:
            self._may_have_written |= self._refusal is None
        self._loaders.clear()  # what was read before may be another thing now
        if outcome.token is not None:
            self.tokens.append(outcome.token)
        return orjson.loads(outcome.body)

    async def load(self, query: Query, key: str) -> Any:
        """Return what *query*, a list that takes `ids`, finds under one of them; None where it finds nothing."""

        async def fetch(keys: Sequence[str]) -> Mapping[str, Any]:
            page = await self.query(query, {"ids": keys, "limit": len(keys)})
            return {found["id"]: found for found in page.model_dump(mode="json")["data"]}

        if query.name not in self._loaders:
            self._loaders[query.name] = Loader(fetch)
        return await self._loaders[query.name].load(key)

    async def _run(self, work: Callable[[Context], Awaitable[T]]) -> T:
        async with self._turn:
            if self._refusal is not None:
                raise self._refusal
            try:
                return await self._caller.run(work)
            except _OF_THE_CALLER as refusal:
                self._refusal = refusal
                raise
