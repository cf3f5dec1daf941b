"""Structured logs: one event a line, past tense, with fields; the context's ids ride along."""

import json
import logging
import sys
import traceback
from collections import deque
from contextlib import suppress
from typing import Any, Literal, Protocol, TextIO, cast
from uuid import UUID

import orjson
import structlog

from rustok.kernel.errors import RustokError
from rustok.kernel.ids import trace_id_of

_MOST_ERRORS = 50
"""Told of one failure: groups and causes may be many, and may lead in circles."""


def configure_logging(log_format: Literal["json", "console"], level: str) -> None:
    """Send our logs and the libraries' to standard error, in one format. Call once, in a root."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_traceback),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(_to_json)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # the default wants to format them itself
        )
    )
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=_Logger,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


class Caused(Protocol):
    """A request, event or job: it belongs to a chain of causes, and perhaps to somebody's trace."""

    @property
    def correlation_id(self) -> UUID: ...

    @property
    def traceparent(self) -> str | None: ...


def chain_of(cause: Caused) -> dict[str, str]:
    """Return the fields by which a line of the log is found from the root of its chain, and from its trace."""
    fields = {"correlation_id": str(cause.correlation_id)}
    trace_id = trace_id_of(cause.traceparent)
    return fields if trace_id is None else {**fields, "trace_id": trace_id}


class _Stderr:
    """Standard error, or nowhere: a full disk or a closed pipe behind it must not become the work's own failure."""

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()


_STDERR = cast("TextIO", _Stderr())


class _Logger(structlog.WriteLogger):
    """Writes our own lines past the standard library's logging, which costs more than all the rest of a line."""

    def __init__(self, name: str = "rustok") -> None:
        super().__init__(_STDERR)
        self.name = name


def _to_json(event: structlog.typing.EventDict, **options: Any) -> str:
    try:
        return orjson.dumps(event, **options).decode()
    except TypeError:  # half a surrogate pair, in the text of an error perhaps
        return json.dumps(event, skipkeys=True, **options)


def _traceback(exc_info: structlog.typing.ExcInfo) -> str:
    return "\n".join(_told(error) for error in reversed(_chain(exc_info[1])))


def _chain(error: BaseException) -> list[BaseException]:
    """Return *error* and what led to it, the latest first and each once; of very many, the nearest."""
    found: dict[int, BaseException] = {}
    waiting = deque([error])
    while waiting and len(found) < _MOST_ERRORS:
        each = waiting.popleft()
        if id(each) not in found:
            found[id(each)] = each
            led_here = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
            waiting.extend([*filter(None, [led_here]), *getattr(each, "exceptions", ())])
    return list(found.values())


def _told(error: BaseException) -> str:
    """Return where *error* was raised, and its type; its message if it is ours or the system's: others quote values."""
    code = getattr(error, "sqlstate", None) or getattr(getattr(error, "orig", None), "sqlstate", None)
    message = str(error) if isinstance(error, RustokError | OSError) else code
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    return "".join(traceback.format_tb(error.__traceback__)) + (f"{kind}: {message}" if message else kind)
