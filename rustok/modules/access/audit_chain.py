"""The chain of hashes of a tenant's audit log, and what breaks it. Pure: rows come from anywhere.

docs/decisions/0038 says what it proves.
"""

import hashlib
import re
from typing import Any, NamedTuple
from uuid import UUID

import orjson

_FORMAT = "rustok audit 1"
_ANCHOR = re.compile(r"([1-9][0-9]{0,18}):([0-9a-f]{64})")


class Head(NamedTuple):
    """The newest row of a chain; kept elsewhere, it is an anchor: it says what the chain was, up to it."""

    number: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.hash.hex()}"


NO_ROW = Head(0, bytes(32))
"""What the first row of a chain is appended to."""


class AuditRow(NamedTuple):
    """A row, with all its columns. What PostgreSQL could print in several ways is the text of one of them.

    `occurred_at`: seconds since 1970-01-01 00:00 UTC, with six decimals. `payload`: a `jsonb` as text.
    """

    tenant_id: UUID
    number: int
    event_id: UUID
    type: str
    actor: str
    aggregate_type: str
    aggregate_id: UUID
    correlation_id: UUID
    causation_id: UUID
    occurred_at: str
    payload: str
    previous_hash: bytes
    hash: bytes = b""

    @property
    def head(self) -> Head:
        return Head(self.number, self.hash)

    def computed_hash(self) -> bytes:
        """Return SHA-256 of a JSON array, without spaces and with no more escapes than JSON asks for (RFC 8785).

        It has all the other columns in their order, ids in their usual text, bytes in hexadecimal digits. Two rows that
        differ have different arrays.
        """
        return hashlib.sha256(orjson.dumps([_FORMAT, *self[:-1]], default=_text)).digest()

    def sealed(self) -> "AuditRow":
        """Return the row with its hash."""
        return self._replace(hash=self.computed_hash())


class Fault(NamedTuple):
    """The first row by which a chain does not hold, and why."""

    number: int
    reason: str


class Verdict(NamedTuple):
    """How many rows hold, from the first one on, and what is wrong with the next; None: there is no more."""

    good: int
    fault: Fault | None


class ChainCheck:
    """Follows a chain from its first row, in the order of numbers.

    *anchor* is a head that the chain had once: it shows a tail that was cut off, and a chain that was computed anew.
    """

    def __init__(self, anchor: Head = NO_ROW) -> None:
        self._anchor = anchor
        self._last = NO_ROW
        self._fault: Fault | None = None

    def follow(self, row: AuditRow) -> bool:
        """Take the next row; tell whether the chain holds up to it. Once it does not, there is no more to ask."""
        self._fault = self._fault_of(row)
        self._last = row.head
        return self._fault is None

    def end(self) -> Verdict:
        """Return the verdict on all rows that were taken, after which there are no more."""
        if self._fault is None and self._last.number < self._anchor.number:
            seen = self._anchor.number
            self._fault = Fault(self._last.number + 1, f"missing: the anchor is of a chain of {seen} rows")
        return Verdict(self._last.number if self._fault is None else max(0, self._fault.number - 1), self._fault)

    def _fault_of(self, row: AuditRow) -> Fault | None:
        expected = self._last.number + 1
        if row.number < expected:
            return Fault(row.number, "a row too many: no row of a chain has this number, or another one has it")
        if row.number > expected:
            return Fault(expected, f"missing: the row after {self._last.number} is {row.number}")
        if row.hash != row.computed_hash():
            return Fault(row.number, "changed: its hash is not that of its fields")
        if row.previous_hash != self._last.hash:
            return self._misfit(row)
        if row.number == self._anchor.number and row.hash != self._anchor.hash:
            return Fault(row.number, "not the anchored row: it was computed anew, perhaps with rows before it")
        return None

    def _misfit(self, row: AuditRow) -> Fault:
        """Return whose fault it is that *row*, which holds in itself, does not fit: that of the row before it."""
        if self._last == NO_ROW:
            return Fault(row.number, "not the first row of its chain: it was appended to another one")
        return Fault(self._last.number, f"replaced: row {row.number} was appended to another one")


def read_anchor(text: str) -> Head:
    """Return the head that `str` has made *text* of.

    Raises:
        ValueError: it is not NUMBER:HASH.

    """
    found = _ANCHOR.fullmatch(text)
    if found is None:
        raise ValueError("An anchor is NUMBER:HASH, as `rustok audit head` prints it.")
    return Head(int(found[1]), bytes.fromhex(found[2]))


def _text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
