"""One trait for events over three levels: a memory list, the outbox, an Iggy stream."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rustok.kernel.event import Envelope, LoggedEvent


class Transaction(Protocol):
    """The part of a unit of work that a transport uses."""

    async def execute(self, statement: Any, parameters: Any = None) -> Any:
        """Run a statement inside the transaction."""

    def after_commit(self, hook: Callable[[], None]) -> None:
        """Call *hook* once the transaction has committed, never when it rolled back."""


class EventTransport(Protocol):
    """An ordered log. Every implementation passes `tests/conformance/transport`."""

    async def publish(self, transaction: Transaction, events: Sequence[Envelope]) -> None:
        """Make *events* part of the log if, and only if, *transaction* commits."""

    async def read(self, shard: int, after: int, limit: int) -> list[LoggedEvent]:
        """Return up to *limit* events of *shard* at positions above *after*, in order.

        Once an event has been returned, no event will ever appear at a lower position.
        """

    async def head(self) -> int:
        """Return the highest position of the log; 0 while it is empty."""
