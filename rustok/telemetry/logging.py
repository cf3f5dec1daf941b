"""Structured logs: one event a line, past tense, with fields; the context's ids ride along."""

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Literal, Protocol, TextIO, cast
from uuid import UUID

import orjson
import structlog

from rustok.kernel.ids import trace_id_of


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
    return "\n".join(_errors(exc_info[1]))


def _errors(error: BaseException) -> Iterator[str]:
    """Yield *error* after what led to it; of its message the first line, because the others tell of values."""
    led_here = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for other in (*filter(None, [led_here]), *getattr(error, "exceptions", ())):
        yield from _errors(other)
    message, *_values = traceback.format_exception_only(error)[0].splitlines()
    yield "".join(traceback.format_tb(error.__traceback__)) + message
