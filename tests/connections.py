"""Another class of connections in the place of asyncpg's own, under everything that opens an engine in this process."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import Engine

Choose = Callable[[Mapping[str, Any]], type[asyncpg.Connection] | None]
"""Picks the class for a connection with these arguments of `asyncpg.connect`; None: asyncpg's own."""


@contextmanager
def connections_chosen(choose: Choose) -> Iterator[None]:
    """Have *choose* pick the class of every connection that an engine opens meanwhile."""

    def pick(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
        chosen = choose(parameters)
        if chosen is not None:
            parameters["connection_class"] = chosen

    event.listen(Engine, "do_connect", pick)
    try:
        yield
    finally:
        event.remove(Engine, "do_connect", pick)
