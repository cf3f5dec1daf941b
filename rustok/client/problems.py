"""What a call raises: every failure says what was called, how often, and whether it may have been done."""

from http import HTTPStatus

from msgspec import Struct


class Fault(Struct, frozen=True, kw_only=True):
    """What is wrong at one place of the input; `pointer` is a JSON Pointer such as `#/price/amount`."""

    pointer: str
    code: str
    detail: str


class ProblemDocument(Struct, frozen=True, kw_only=True):
    """A problem as it is sent: RFC 9457, with members of ours."""

    status: int
    code: str
    detail: str
    request_id: str | None = None
    trace_id: str | None = None
    retryable: bool = False
    errors: tuple[Fault, ...] = ()


class CallFailed(Exception):
    """A call that has no result.

    `may_be_done`: an attempt whose outcome nobody has heard may have been done, this one or one before. Await the same
    command again, or read the thing and compare. `attempts`: how many requests were sent.
    """

    retryable = False

    def __init__(self, operation: str, reason: str, *, may_be_done: bool) -> None:
        super().__init__(operation, reason)
        self.operation = operation
        self.reason = reason
        self.may_be_done = may_be_done
        self.attempts = 1
        self.retry_after_s = 0.0

    def __str__(self) -> str:
        doubt = "; it may have been done" if self.may_be_done else ""
        return f"{self.operation}: {self.reason}{doubt}"


class NoAnswer(CallFailed):
    """The connection could not be made or broke, or the time was up."""

    retryable = True


class UnexpectedAnswer(CallFailed):
    """The answer is none that this version of the client can read."""


class Problem(CallFailed):
    """The API has refused, or failed. Decide by the class, or by `code`, which is stable; `detail` is for people."""

    def __init__(self, operation: str, document: ProblemDocument, *, may_be_done: bool = False) -> None:
        places = "".join(f"; {fault.pointer} {fault.detail}" for fault in document.errors)
        reason = f"{document.status} {document.code}: {document.detail}{places} (request {document.request_id})"
        super().__init__(operation, reason, may_be_done=may_be_done)
        self.status = document.status
        self.code = document.code
        self.detail = document.detail
        self.request_id = document.request_id
        self.trace_id = document.trace_id
        self.retryable = document.retryable
        self.errors = document.errors


class InvalidInput(Problem):
    """400, 422: correct the call; `errors` has the places."""


class Unauthenticated(Problem):
    """401: no valid credential."""


class Forbidden(Problem):
    """403: the credential may not do this."""


class NotFound(Problem):
    """404: not there, or another tenant's."""


class Conflict(Problem):
    """409: what is stored speaks against it."""


class VersionMismatch(Conflict):
    """412: another version is stored. With `may_be_done` it may be the one that this call has made itself."""


class RateLimited(Problem):
    """429: too many requests, longer than the retries last."""


class Unavailable(Problem):
    """502, 503, 504: the platform cannot answer, longer than the retries last."""


_BY_STATUS: dict[int, type[Problem]] = {
    HTTPStatus.BAD_REQUEST: InvalidInput,
    HTTPStatus.UNAUTHORIZED: Unauthenticated,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.PRECONDITION_FAILED: VersionMismatch,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidInput,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimited,
    HTTPStatus.BAD_GATEWAY: Unavailable,
    HTTPStatus.SERVICE_UNAVAILABLE: Unavailable,
    HTTPStatus.GATEWAY_TIMEOUT: Unavailable,
}
_DONE_NOTHING = frozenset({"overloaded", "projection_lagging"})
"""Problems with a status of the server that promise to have done nothing."""


def problem_of(operation: str, document: ProblemDocument) -> Problem:
    """Return the exception for *document*: by its status, whether or not its code is known here."""
    may_be_done = document.status >= HTTPStatus.INTERNAL_SERVER_ERROR and document.code not in _DONE_NOTHING
    return _BY_STATUS.get(document.status, Problem)(operation, document, may_be_done=may_be_done)
