"""Failures of the servers are told from faults of the data: the one is waited for, the other counts."""

import asyncpg
import pytest
from sqlalchemy import exc

from rustok.db.failures import describe, is_transient, sqlstate, translated_failures
from rustok.kernel.errors import InvalidInput, Unavailable


class DriverError(Exception):
    """Stands for the adapter's error that SQLAlchemy puts around the driver's."""


def wrapped(cause: Exception, *, disconnected: bool = False) -> exc.DBAPIError:
    """Return *cause* as SQLAlchemy raises it."""
    adapted = DriverError(str(cause))
    adapted.__cause__ = cause
    return exc.DBAPIError("SELECT 1", {}, adapted, connection_invalidated=disconnected)


TRANSIENT = {
    "the server refuses connections": ConnectionRefusedError(),
    "the server does not answer in time": TimeoutError(),
    "no connection of the pool comes free": exc.TimeoutError(),
    "the connection is closed": wrapped(asyncpg.InterfaceError("connection is closed"), disconnected=True),
    "the server has said farewell": wrapped(asyncpg.InternalClientError("cannot switch to state 11")),
    "the connection is lost in the middle": wrapped(asyncpg.ConnectionDoesNotExistError("gone")),
    "the server shuts down": wrapped(asyncpg.AdminShutdownError("terminating connection")),
    "the server starts": asyncpg.CannotConnectNowError("the database system is starting up"),
    "too many connections": asyncpg.TooManyConnectionsError("sorry"),
    "the disk is full": wrapped(asyncpg.DiskFullError("no space left")),
    "a statement takes too long": wrapped(asyncpg.QueryCanceledError("statement timeout")),
    "a deadlock": wrapped(asyncpg.DeadlockDetectedError("deadlock")),
    "a serialisation failure": wrapped(asyncpg.SerializationError("could not serialize")),
    "the server was promoted elsewhere": wrapped(asyncpg.ReadOnlySQLTransactionError("read-only transaction")),
    "a lock that is not free": wrapped(asyncpg.LockNotAvailableError("lock")),
    "a unit of work that says so": Unavailable("gone"),
}

LASTING = {
    "a value of the wrong type": wrapped(asyncpg.InvalidTextRepresentationError("invalid input syntax")),
    "a violated constraint": wrapped(asyncpg.UniqueViolationError("duplicate key")),
    "a missing table": wrapped(asyncpg.UndefinedTableError("relation does not exist")),
    "a missing right": wrapped(asyncpg.InsufficientPrivilegeError("permission denied")),
    "a value that the driver itself refuses": asyncpg.DataError("value out of int32 range"),
    "a value that the driver cannot send": wrapped(asyncpg.DataError("an integer is required")),
    "a defect": KeyError("hub"),
}


@pytest.mark.parametrize("error", TRANSIENT.values(), ids=TRANSIENT)
def test_a_failure_of_the_server_is_transient(error: Exception) -> None:
    """The same work may succeed later, unchanged, so it never counts as an attempt."""
    assert is_transient(error)


@pytest.mark.parametrize("error", LASTING.values(), ids=LASTING)
def test_a_fault_of_the_data_is_not_transient(error: Exception) -> None:
    """Trying again for ever would stop everything behind it."""
    assert not is_transient(error)


def test_a_value_that_is_too_large_to_store_is_the_callers_fault() -> None:
    """It is lasting: a consumer parks it, a client is told."""
    error = wrapped(asyncpg.ProgramLimitExceededError("index row size 3112 exceeds maximum 2704"))

    with pytest.raises(InvalidInput), translated_failures():
        raise error

    assert not is_transient(error)


@pytest.mark.parametrize("error", TRANSIENT.values(), ids=TRANSIENT)
def test_a_failure_of_the_server_becomes_unavailable(error: Exception) -> None:
    """Callers know one error for all of them."""
    with pytest.raises(Unavailable), translated_failures():
        raise error


@pytest.mark.parametrize("error", LASTING.values(), ids=LASTING)
def test_a_fault_of_the_data_stays_as_it_is(error: Exception) -> None:
    """Services turn violated constraints into errors of their own."""
    with pytest.raises(type(error)), translated_failures():
        raise error


def test_the_sqlstate_is_found_behind_the_wrappings() -> None:
    """PostgreSQL's code, however deep it lies."""
    assert sqlstate(wrapped(asyncpg.UniqueViolationError("duplicate key"))) == "23505"


def test_an_error_without_a_sqlstate_has_none() -> None:
    """Not every failure is PostgreSQL's."""
    assert sqlstate(KeyError("hub")) is None


def test_an_error_is_described_in_one_short_line() -> None:
    """The rest may hold values of tenants."""
    assert describe(ValueError("x" * 1000 + "\nsecret")) == ("ValueError: " + "x" * 488)
