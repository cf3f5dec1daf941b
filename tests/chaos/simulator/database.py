"""A stand-in for PostgreSQL: tables, transactions that see what is committed, row locks, and crashes.

Everything here happens at one instant; how requests and answers travel, and get lost, is the matter of `link.py`.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

Answer = TypeVar("Answer")
Rows = dict[Any, Any]
Change = tuple[str, Any, Any, Any]
"""Table, key, row before, row after; None where there is none."""

_FLUSHED_AFTER = timedelta(seconds=0.6)
"""What commits without waiting for the disk is there three rounds of the WAL writer (200 ms) later at the latest."""


class RowLocked(Exception):
    """Another transaction holds the row: PostgreSQL would let the statement wait for its end."""

    def __init__(self, holder: "Transaction") -> None:
        self.holder = holder


class Transaction:
    """READ COMMITTED: it sees what is committed by now, and its own writes."""

    def __init__(self, database: "Database", *, is_durable: bool) -> None:
        self.now = database.now()
        self._number = database.next_number("transactions")
        self.is_open = True
        self.is_durable = is_durable
        self._database = database
        self._writes: dict[str, Rows] = {}
        self._locked: set[tuple[str, Any]] = set()
        self._waiting: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"transaction {self._number}"

    def get(self, table: str, key: Any) -> Any:
        """Return a row; None when there is none."""
        own = self._writes.get(table)
        if own is not None and key in own:
            return own[key]
        return self._database.tables[table].get(key)

    def rows(self, table: str) -> Iterator[tuple[Any, Any]]:
        """Yield keys and rows, in no order that means anything."""
        own = self._writes.get(table, {})
        yield from ((key, row) for key, row in self._database.tables[table].items() if key not in own)
        yield from ((key, row) for key, row in own.items() if row is not None)

    def put(self, table: str, key: Any, row: Any) -> None:
        """Write a row, or (None) delete it. Raises RowLocked."""
        self._check_open()
        self.lock(table, key)
        self._writes.setdefault(table, {})[key] = row

    def lock(self, table: str, key: Any) -> None:
        """Hold a row, which need not exist, until the end. Raises RowLocked."""
        self._check_open()
        holder = self._database.locks.setdefault((table, key), self)
        if holder is not self:
            raise RowLocked(holder)
        self._locked.add((table, key))

    def is_free(self, table: str, key: Any) -> bool:
        """Tell whether `FOR UPDATE SKIP LOCKED` would get the row."""
        return self._database.locks.get((table, key), self) is self

    def mark(self) -> dict[str, Rows]:
        """Return what `undo_to` wants. Locks are kept, as PostgreSQL keeps those it has not given back yet."""
        return {table: dict(rows) for table, rows in self._writes.items()}

    def undo_to(self, mark: dict[str, Rows]) -> None:
        self._check_open()
        self._writes = {table: dict(rows) for table, rows in mark.items()}

    def has_written(self, table: str) -> bool:
        return table in self._writes

    def commit(self) -> None:
        self._check_open()
        self._database.apply(self._writes, is_durable=self.is_durable)
        self._end()

    def roll_back(self) -> None:
        if self.is_open:
            self._end()

    def when_ended(self, action: Callable[[], None]) -> None:
        self._waiting.append(action)

    def _check_open(self) -> None:
        if not self.is_open:
            raise ConnectionResetError("the transaction was ended by the server")

    def _end(self) -> None:
        self.is_open = False
        for lock in self._locked:
            del self._database.locks[lock]
        self._database.open.pop(self)
        for action in self._waiting:
            action()


class Database:
    """*on_change* is told of every row that a commit changes."""

    def __init__(
        self, now: Callable[[], datetime], chance: random.Random, on_change: Callable[[Change], None] = lambda _: None
    ) -> None:
        self.now = now
        self.tables: defaultdict[str, Rows] = defaultdict(dict)
        self.locks: dict[tuple[str, Any], Transaction] = {}
        self.open: dict[Transaction, None] = {}
        self._chance = chance
        self._on_change = on_change
        self.last_numbers: defaultdict[str, int] = defaultdict(int)
        self._in_danger: list[tuple[datetime, Sequence[Change]]] = []

    def begin(self, *, is_durable: bool = True) -> Transaction:
        """Open a transaction. Without *is_durable* its commit does not wait for the disk."""
        transaction = Transaction(self, is_durable=is_durable)
        self.open[transaction] = None
        return transaction

    def alone(self, statement: Callable[[Transaction], Answer], *, is_durable: bool = True) -> Answer:
        """Run one statement in a transaction of its own. Raises RowLocked."""
        transaction = self.begin(is_durable=is_durable)
        try:
            answer = statement(transaction)
            transaction.commit()
        finally:
            transaction.roll_back()
        return answer

    def next_number(self, sequence: str) -> int:
        """Return the next value; no rollback gives it back."""
        self.last_numbers[sequence] += 1
        return self.last_numbers[sequence]

    def apply(self, writes: dict[str, Rows], *, is_durable: bool) -> None:
        changes = [
            (table, key, self.tables[table].get(key), row)
            for table, rows in writes.items()
            for key, row in rows.items()
        ]
        for change in changes:
            self._set(*change)
            self._on_change(change)
        if is_durable:
            self._in_danger.clear()  # the disk has all that came before as well
        else:
            self._in_danger.append((self.now(), changes))

    def crash(self) -> None:
        """Stop at once and recover: what was open is rolled back, the latest that did not wait for the disk may be."""
        for transaction in list(self.open):
            transaction.roll_back()
        in_danger = [changes for at, changes in self._in_danger if at > self.now() - _FLUSHED_AFTER]
        lost = self._chance.randint(0, len(in_danger))
        for changes in reversed(in_danger[len(in_danger) - lost :]):
            for table, key, before, after in reversed(changes):
                self._set(table, key, after, before)
        self._in_danger.clear()

    def _set(self, table: str, key: Any, _before: Any, after: Any) -> None:
        if after is None:
            self.tables[table].pop(key, None)
        else:
            self.tables[table][key] = after
