"""Which errors an operation may answer: what its module declares, and what comes with HTTP."""

from api import faults
from api.entrances import Entrance
from api.graphql.errors import KINDS as OF_DOCUMENTS
from rustok.db.idempotency import IdempotencyKeyReused, RequestInProgress
from rustok.db.unit_of_work import TenantDisabled
from rustok.kernel import errors
from rustok.kernel.module import Command, Module, Query
from rustok.kernel.registry import Registry
from rustok.kernel.strict_json import MalformedJson
from rustok.modules.access import is_for_visitors

ErrorClass = type[errors.RustokError]

WITHOUT_ROUTE: tuple[ErrorClass, ...] = (
    faults.BadRequest,
    faults.RouteNotFound,
    faults.EventTypeNotFound,
    faults.MethodNotAllowed,
    faults.RequestTimeout,
    faults.HeadTooLarge,
    *OF_DOCUMENTS,
)
"""What is answered before a request has come to an operation."""

_ANY: tuple[ErrorClass, ...] = (
    errors.Unauthenticated,
    errors.Forbidden,
    faults.TenantMismatch,
    TenantDisabled,
    faults.RateLimited,
    errors.InvalidInput,
    faults.InternalError,
    errors.Unavailable,
    faults.Overloaded,
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
_ENTRANCE: tuple[ErrorClass, ...] = (
    MalformedJson,
    faults.InvalidHeader,
    faults.RequestTimeout,
    faults.BodyTooLarge,
    faults.UnsupportedMediaType,
    errors.InvalidInput,
    faults.InternalError,
    errors.Unavailable,
    faults.Overloaded,
)
_ADMISSION: tuple[ErrorClass, ...] = (faults.TooManyWrites,)
_POST: tuple[ErrorClass, ...] = (RequestInProgress, IdempotencyKeyReused)


def errors_of(registry: Registry, operation: Command | Query) -> tuple[ErrorClass, ...]:
    """Return the error classes that *operation* may answer with, each once."""
    common = (*_ANY, *_off(registry.module_of(registry.needed_module(operation))))
    if isinstance(operation, Query):
        lagging = (faults.ProjectionLagging,) if operation.reads else ()
        missing = (faults.TenantMissing,) if is_for_visitors(operation.permission) else ()
        return tuple(dict.fromkeys((*common, *_QUERY, *missing, *lagging, *operation.errors)))
    is_post = (operation.route or "").startswith("POST ")
    return tuple(
        dict.fromkeys(
            (
                *common,
                *_COMMAND,
                *(() if operation.is_critical else _ADMISSION),
                *(_POST if is_post else ()),
                *((errors.VersionRequired,) if operation.checks_version else ()),
                *operation.errors,
            )
        )
    )


def errors_of_batches(module: Module) -> tuple[ErrorClass, ...]:
    """Return the error classes that a batch of *module* may answer with: an atomic one as its item would."""
    of_items = (error for command in module.commands if command.route is not None for error in command.errors)
    of_any = (*_ANY, *_off(module), *_COMMAND, *_ADMISSION, *_POST, errors.VersionRequired)
    return tuple(dict.fromkeys((*of_any, *of_items)))


def errors_of_entrance(entrance: Entrance) -> tuple[ErrorClass, ...]:
    """Return the error classes that an entrance may answer with, each once."""
    return tuple(dict.fromkeys((*_ENTRANCE, *entrance.errors)))


def _off(module: Module) -> tuple[ErrorClass, ...]:
    return (errors.ModuleOff,) if module.kind.may_be_off else ()
