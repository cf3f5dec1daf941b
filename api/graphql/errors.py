"""What can be wrong with a document, and how what goes wrong with its fields is told."""

from collections.abc import Sequence
from typing import Any

import structlog
from graphql import GraphQLError

from api.errors import INTERNAL, status_of, violations_of
from api.faults import BadRequest
from api.record import RequestRecord
from rustok.db.failures import describe
from rustok.kernel.errors import RustokError

log = structlog.get_logger(__name__)

_SERVER_ERROR = 500
_MESSAGE_LIMIT = 200
"""Characters of a message: graphql-core quotes what it does not understand."""
_UNPRINTABLE = "\ufffd"


class DocumentRefused(BadRequest):
    """The document does not fit the schema, or its variables do not."""

    code = "graphql_invalid"

    def __init__(self, message: str, found: list[GraphQLError] | None = None) -> None:
        super().__init__(message)
        self.found = found or [GraphQLError(message)]


class DocumentMalformed(DocumentRefused):
    """The document is not GraphQL."""

    code = "graphql_malformed"


class DocumentTooLong(DocumentRefused):
    """The document, or a name in it, has more characters, tokens or comments than this API reads."""

    code = "graphql_too_long"


class DocumentTooDeep(DocumentRefused):
    """Selections or values are nested more deeply than this API follows."""

    code = "graphql_too_deep"


class TooManyAliases(DocumentRefused):
    """The document renames or repeats more fields than this API allows."""

    code = "graphql_too_many_aliases"


class TooManyFragments(DocumentRefused):
    """The document uses fragments more often than this API allows."""

    code = "graphql_too_many_fragments"


class TooManyDirectives(DocumentRefused):
    """The document has more directives than this API allows."""

    code = "graphql_too_many_directives"


class TooManyRootFields(DocumentRefused):
    """The operation asks for more at once than this API does for a request."""

    code = "graphql_too_many_fields"


class DocumentTooCostly(DocumentRefused):
    """The answer has, or may have, more values or more bytes than this API returns for a request."""

    code = "graphql_too_costly"


class MutationNotRun(DocumentRefused):
    """The answer was too large before this mutation, which was not run."""

    code = "graphql_not_run"


class IntrospectionOff(DocumentRefused):
    """The schema is not told here."""

    code = "graphql_introspection_off"


class OperationUnknown(DocumentRefused):
    """The document has no such query or mutation, or several of which the request names none."""

    code = "graphql_operation_unknown"


KINDS: tuple[type[DocumentRefused], ...] = (
    DocumentRefused,
    DocumentMalformed,
    DocumentTooLong,
    DocumentTooDeep,
    TooManyAliases,
    TooManyFragments,
    TooManyDirectives,
    TooManyRootFields,
    DocumentTooCostly,
    MutationNotRun,
    IntrospectionOff,
    OperationUnknown,
)


def told(
    errors: Sequence[GraphQLError], record: RequestRecord, kind: type[RustokError] = DocumentRefused
) -> list[dict[str, Any]]:
    """Return *errors* as an answer has them; nothing is told of exceptions that nobody expected.

    Defects are logged, and that something does not answer: once of each kind of exception, with how many *others* of
    it there were, since a document may have the same field many times. *kind*: what an error is that is none of a
    field's.
    """
    found = [(error, _fault(error, kind)) for error in errors]
    _log_failures(found)
    record.error_code = record.error_code or found[0][1].code
    return [_told(error, fault, record) for error, fault in found]


def _fault(error: GraphQLError, kind: type[RustokError]) -> RustokError:
    cause = error.original_error
    if cause is None or isinstance(cause, GraphQLError):
        return kind("".join(c if c.isprintable() else _UNPRINTABLE for c in error.message[:_MESSAGE_LIMIT]))
    return cause if isinstance(cause, RustokError) and status_of(type(cause)) != _SERVER_ERROR else INTERNAL


def _log_failures(found: Sequence[tuple[GraphQLError, RustokError]]) -> None:
    of_kind: dict[type[Exception | None], list[tuple[GraphQLError, RustokError]]] = {}
    for error, fault in found:
        of_kind.setdefault(type(error.original_error), []).append((error, fault))
    for (error, fault), *others in of_kind.values():
        about = {"path": error.path, "others": len(others)}
        if fault is INTERNAL:
            log.error("graphql_field_failed", **about, exc_info=error.original_error)
        elif status_of(type(fault)) > _SERVER_ERROR:
            cause = describe(fault.__cause__) if fault.__cause__ else None
            log.warning("graphql_field_failed", **about, code=fault.code, cause=cause)


def _told(error: GraphQLError, fault: RustokError, record: RequestRecord) -> dict[str, Any]:
    extensions = {
        "code": fault.code,
        "request_id": record.request_id,
        "retryable": fault.retryable,
        "violations": violations_of(fault),
    }
    places = {"locations": [place.formatted for place in error.locations]} if error.locations else {}
    path = {"path": error.path} if error.path else {}
    return {"message": str(fault), **places, **path, "extensions": extensions}
