"""What can be wrong with a request as HTTP, before it is a command or a query."""

from collections.abc import Sequence

from rustok.kernel.errors import Forbidden, NotFound, RustokError, Unavailable, Violation


class BadRequest(RustokError):
    """The request does not follow the protocol."""

    code = "bad_request"


class InvalidHeader(BadRequest):
    """A header has a form that this API does not accept."""

    code = "invalid_header"


class InvalidParameters(BadRequest):
    """A query parameter is unknown, or given more than once."""

    code = "invalid_input"

    def __init__(self, message: str, violations: Sequence[Violation] = ()) -> None:
        super().__init__(message)
        self.violations = tuple(violations)


class HeadTooLarge(RustokError):
    """The address and the headers of the request are larger than this API reads."""

    code = "head_too_large"


class BodyTooLarge(RustokError):
    """The body is larger than this API reads."""

    code = "body_too_large"


class UnsupportedMediaType(RustokError):
    """The body is of a type that this route does not read."""

    code = "unsupported_media_type"


class RequestTimeout(RustokError):
    """The request took too long to arrive."""

    code = "request_timeout"
    retryable = True


class RouteNotFound(NotFound):
    """There is no such route."""

    code = "route_not_found"


class EventTypeNotFound(NotFound):
    """No module declares an event of this type in this version."""

    code = "event_type_not_found"


class MethodNotAllowed(RustokError):
    """The route exists and has no such method."""

    code = "method_not_allowed"


class InternalError(RustokError):
    """The server failed; the fault is not in the request."""


class TenantMismatch(Forbidden):
    """The credential belongs to another tenant than the request names."""

    code = "tenant_mismatch"


class RateLimited(RustokError):
    """The tenant has sent more requests than its quota: this one has done nothing."""

    code = "rate_limited"
    retryable = True

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TenantMissing(BadRequest):
    """The request has no credential and names no tenant whose storefront it would visit."""

    code = "tenant_missing"


class TooManyWrites(RustokError):
    """Events are delivered late, and the tenant sends more writes than its share: this request has done nothing."""

    code = "too_many_writes"
    retryable = True

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(Unavailable):
    """There is more to do than can be done: this request has done nothing."""

    code = "overloaded"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message, is_rolled_back=True)
        self.retry_after_s = retry_after_s


class ProjectionLagging(Unavailable):
    """The reader wants to see its writes, and the index does not show them yet."""

    code = "projection_lagging"
