"""Reads what many fields of a level ask for by one query."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

Fetch = Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]
"""Returns what there is of some keys, by key."""

_MOST = 100
"""Keys that are asked for together."""


class Loader:
    """Collects the keys that are asked for while the loop goes around once, and fetches each of them once.

    What was fetched is remembered: a loader is for one request.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._asked: dict[str, asyncio.Future[Any]] = {}
        self._waiting: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def load(self, key: str) -> Any:
        """Return what *key* names; None where nothing does. Raises as the fetch does."""
        if key not in self._asked:
            loop = asyncio.get_running_loop()
            self._asked[key] = loop.create_future()
            if not self._waiting:
                loop.call_soon(self._dispatch)
            self._waiting.append(key)
        return await asyncio.shield(self._asked[key])

    def _dispatch(self) -> None:
        keys, self._waiting = self._waiting, []
        for start in range(0, len(keys), _MOST):
            task = asyncio.create_task(self._resolve(keys[start : start + _MOST]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _resolve(self, keys: Sequence[str]) -> None:
        futures = [self._asked[key] for key in keys]
        try:
            found = await self._fetch(keys)
        except Exception as error:  # noqa: BLE001 - it is raised to everybody who has asked
            for future in futures:
                future.set_exception(error)
        else:
            for key, future in zip(keys, futures, strict=True):
                future.set_result(found.get(key))
