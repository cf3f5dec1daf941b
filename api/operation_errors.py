"""Which errors an operation may answer: what its module declares, and what comes with HTTP."""

from api import faults
from rustok.db.idempotency import IdempotencyKeyReused, RequestInProgress
from rustok.db.unit_of_work import TenantDisabled
from rustok.kernel import errors
from rustok.kernel.module import Command, Query
from rustok.kernel.strict_json import MalformedJson

ErrorClass = type[errors.RustokError]

ROUTER: tuple[ErrorClass, ...] = (faults.RouteNotFound, faults.MethodNotAllowed)

_ANY: tuple[ErrorClass, ...] = (
    errors.Unauthenticated,
    errors.Forbidden,
    faults.TenantMismatch,
    TenantDisabled,
    errors.InvalidInput,
    faults.InternalError,
    errors.Unavailable,
)
_QUERY: tuple[ErrorClass, ...] = (faults.InvalidParameters, faults.InvalidHeader)
_COMMAND: tuple[ErrorClass, ...] = (
    MalformedJson,
    faults.InvalidHeader,
    faults.RequestTimeout,
    faults.BodyTooLarge,
    faults.UnsupportedMediaType,
    errors.VersionMismatch,
)
_ADMISSION: tuple[ErrorClass, ...] = (faults.TooManyWrites, faults.Overloaded)
_POST: tuple[ErrorClass, ...] = (RequestInProgress, IdempotencyKeyReused)


def errors_of(operation: Command | Query) -> tuple[ErrorClass, ...]:
    """Return the error classes that *operation* may answer with, each once."""
    if isinstance(operation, Query):
        lagging = (faults.ProjectionLagging,) if operation.reads else ()
        return tuple(dict.fromkeys((*_ANY, *_QUERY, *lagging, *operation.errors)))
    is_post = (operation.route or "").startswith("POST ")
    return tuple(
        dict.fromkeys(
            (
                *_ANY,
                *_COMMAND,
                *(() if operation.is_critical else _ADMISSION),
                *(_POST if is_post else ()),
                *((errors.VersionRequired,) if operation.checks_version else ()),
                *operation.errors,
            )
        )
    )


def errors_of_batches() -> tuple[ErrorClass, ...]:
    """Return the error classes that a batch may answer with, beside those of its items."""
    return tuple(dict.fromkeys((*_ANY, *_COMMAND, *_ADMISSION, *_POST, errors.VersionRequired)))
