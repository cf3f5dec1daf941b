"""Errors that a caller can act on: a stable code, a message that names the thing and the fix.

HTTP statuses live in `api/errors.py` only. A module adds its own by subclassing one of these kinds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Violation:
    """One fault in an input: `pointer` is a JSON Pointer (RFC 6901) into the request, never its value."""

    pointer: str
    code: str
    detail: str


class RustokError(Exception):
    """Base of every error with a code. `retryable`: the same call may succeed later, unchanged."""

    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False


class InvalidInput(RustokError):
    """The input does not fit its schema or a rule; each fault is named with its place."""

    code = "invalid_input"

    def __init__(self, message: str, violations: Sequence[Violation] = ()) -> None:
        super().__init__(message)
        self.violations = tuple(violations)


class NotFound(RustokError):
    """There is no such thing for this tenant; another tenant's thing reads the same."""

    code = "not_found"


class ModuleOff(RustokError):
    """The module that does this is switched off for the tenant."""

    code = "module_off"


class Gone(RustokError):
    """It was there, and is kept no more."""

    code = "gone"


class Conflict(RustokError):
    """The write contradicts what is stored."""

    code = "conflict"


class VersionMismatch(RustokError):
    """The caller expected another version of the aggregate than the stored one."""

    code = "version_mismatch"


class VersionRequired(RustokError):
    """The command changes an existing aggregate and wants the version the caller has seen."""

    code = "version_required"


class Unauthenticated(RustokError):
    """There is no credential, or it is unknown, revoked or expired. Which one is not told."""

    code = "unauthenticated"


class Forbidden(RustokError):
    """The principal is known and may not do this."""

    code = "permission_denied"


class Busy(RustokError):
    """Somebody is doing this very thing now."""

    code = "busy"
    retryable = True


class Unavailable(RustokError):
    """A server that this needs does not answer."""

    code = "unavailable"
    retryable = True

    def __init__(self, message: str, *, is_rolled_back: bool = False) -> None:
        """Make the error; *is_rolled_back*: it is certain that nothing was written."""
        super().__init__(message)
        self.is_rolled_back = is_rolled_back


class Misconfigured(RustokError):
    """The process cannot start as it is configured; the message names the setting and the fix."""

    code = "misconfigured"
