"""Tells failures of the servers (come back later) from faults of the data (somebody must look)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import asyncpg
from sqlalchemy import exc

from rustok.kernel.errors import InvalidInput, Misconfigured, RustokError, Unavailable

# SQLSTATE classes and codes (PostgreSQL appendix A): connection exceptions, insufficient resources,
# operator intervention (shutdown, cancel), and the serialisation failure and deadlock that a retry mends. A transaction
# is read only where a fail-over has left us with the server that was: nothing else here writes in one.
_TRANSIENT_CLASSES = ("08", "53", "57")
_TRANSIENT_CODES = ("25006", "40001", "40P01", "55P03")
_STATEMENT_CANCELLED = "57014"
# With these PostgreSQL itself has given the transaction up: read only transaction, serialisation failure, deadlock,
# lock not available, statement cancelled.
_ROLLED_BACK = ("25006", "40001", "40P01", "55P03", _STATEMENT_CANCELLED)
_REFUSED_LOGIN = ("28", "3D")  # invalid authorization, invalid catalog name
_REFUSED_VALUE = ("22001", "22003", "54")  # too long, out of range, program limit exceeded
_CONNECTION_ERRORS = (OSError, TimeoutError, exc.TimeoutError, asyncpg.InterfaceError)
# What asyncpg raises between the server's farewell and the end of the connection: it has no SQLSTATE, and
# SQLAlchemy does not take it for a disconnect. Without it a restart of PostgreSQL looks like a defect.
_FAREWELL = asyncpg.InternalClientError
# A migration changed what a prepared statement returns; the connection prepares it anew the next time.
_OUTDATED = asyncpg.InvalidCachedStatementError


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE behind *error*, if PostgreSQL gave one."""
    states = (getattr(found, "sqlstate", None) for found in _chain(error))
    return next((state for state in states if isinstance(state, str)), None)


def is_transient(error: BaseException) -> bool:
    """Tell whether the same work may succeed later, unchanged: such a failure never counts as an attempt."""
    if isinstance(error, (Unavailable, *_CONNECTION_ERRORS)):
        return True
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return True
    if any(isinstance(found, (_FAREWELL, _OUTDATED)) for found in _chain(error)):
        return True
    state = sqlstate(error)
    return state is not None and (state.startswith(_TRANSIENT_CLASSES) or state in _TRANSIENT_CODES)


def is_refused_login(error: BaseException) -> bool:
    """Tell whether PostgreSQL answers, and refuses the role, its password or the database."""
    return (sqlstate(error) or "").startswith(_REFUSED_LOGIN)


def is_statement_cancelled(error: BaseException) -> bool:
    """Tell whether PostgreSQL has cancelled the statement, as one that takes too long above all."""
    return sqlstate(error) == _STATEMENT_CANCELLED


def describe(error: BaseException) -> str:
    """Return the error as one line of at most 500 characters, without values of the statement."""
    origin = getattr(error, "orig", None) or error
    return f"{type(origin).__name__}: {origin}".split("\n", 1)[0][:500]


Conflicts = Mapping[str, tuple[type[RustokError], str]]
"""A module's own error, with its message, by the name of the constraint whose violation it is."""


@contextmanager
def conflicts_named(conflicts: Conflicts) -> Iterator[None]:
    """Raise a module's own error, with its message, in the place of a violated constraint that *conflicts* names."""
    try:
        yield
    except exc.IntegrityError as error:
        names = (getattr(found, "constraint_name", None) for found in _chain(error))
        known = next((name for name in names if name in conflicts), None)
        if known is None:
            raise
        kind, message = conflicts[known]
        raise kind(message) from error


@contextmanager
def translated_failures() -> Iterator[None]:
    """Raise a coded error in the place of what PostgreSQL, or the way to it, has raised.

    Raises:
        Unavailable: the server or the connection failed; whether a commit was heard of is not known, unless it
            `is_rolled_back`.
        Misconfigured: the server refuses the login.
        InvalidInput: a value is larger than the server can store.
    """
    try:
        yield
    except RustokError:
        raise
    except Exception as error:
        if is_refused_login(error):
            raise Misconfigured(f"PostgreSQL refuses the login: {describe(error)}.") from error
        if (sqlstate(error) or "").startswith(_REFUSED_VALUE):
            raise InvalidInput("PostgreSQL cannot store a value of the input: it is too large.") from error
        if is_transient(error):
            raise Unavailable(
                "PostgreSQL does not answer now: repeat the call, with the same Idempotency-Key.",
                is_rolled_back=sqlstate(error) in _ROLLED_BACK,
            ) from error
        raise


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what it wraps, down to what the driver raised."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = getattr(found, "orig", None) or found.__cause__
