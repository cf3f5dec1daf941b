"""What is told of a schedule while it is replayed: commits, and the logs of the platform's own code."""

import asyncio
import logging
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn
from uuid import UUID

import structlog

from tests.chaos.simulator.database import Change
from tests.chaos.simulator.timeline import ProcessLoop


def change_told(change: Change) -> str:
    """Return one line about a committed row."""
    table, key, before, after = change
    if is_dataclass(before) and type(before) is type(after):
        changed = [f.name for f in fields(before) if getattr(before, f.name) != getattr(after, f.name)]
        told = (f"{n} {_short(getattr(before, n))} -> {_short(getattr(after, n))}" for n in changed)
        return f"{table} {_short(key)}: {', '.join(told)}"
    return f"{table} {_short(key)}: {_short(before)} -> {_short(after)}"


@contextmanager
def logs_to(note: Callable[[str], None] | None) -> Iterator[None]:
    """Hand what is logged meanwhile to *note*; without it logs cost nothing and say nothing."""

    def tell(_logger: object, _method: str, event: MutableMapping[str, Any]) -> NoReturn:
        if note:
            loop = asyncio._get_running_loop()
            name = loop.name if isinstance(loop, ProcessLoop) else ""
            values = " ".join(f"{field}={value}" for field, value in event.items() if field != "event")
            note(f"{name}: {event['event']} {values}")
        raise structlog.DropEvent

    before = structlog.get_config()
    level = logging.DEBUG if note else logging.CRITICAL
    structlog.configure(processors=[tell], wrapper_class=structlog.make_filtering_bound_logger(level))
    try:
        yield
    finally:
        structlog.configure(**before)


def _short(value: Any, *, is_outer: bool = True) -> str:
    """Return a value in few words: of ids the end, of what stands inside of a row what names it."""
    if isinstance(value, UUID):
        return value.hex[-4:]
    if isinstance(value, tuple):
        return "(" + ", ".join(_short(each, is_outer=False) for each in value) + ")"
    if is_dataclass(value):
        names = [field.name for field in fields(value)]
        told = {name: getattr(value, name) for name in (names if is_outer else names[:1])}
        inner = ", ".join(f"{name}={_short(each, is_outer=False)}" for name, each in told.items() if each is not None)
        return f"{type(value).__name__}({inner})"
    return str(value)
