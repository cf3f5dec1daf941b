"""L0: the log is a list in this process. Nothing survives it; no subscriber is not an error."""

from collections.abc import Callable, Sequence

from rustok.kernel.event import Envelope, LoggedEvent
from rustok.kernel.transport import Transaction


class MemoryTransport:
    """Appends to its list when a transaction has committed, and tells *on_commit*."""

    def __init__(self, on_commit: Callable[[], None] = lambda: None) -> None:
        self._log: list[LoggedEvent] = []
        self._on_commit = on_commit

    async def publish(self, transaction: Transaction, events: Sequence[Envelope]) -> None:
        transaction.after_commit(lambda: self._append(events))

    async def read(self, shard: int, after: int, limit: int) -> list[LoggedEvent]:
        found = (event for event in self._log[after:] if event.envelope.shard == shard)
        return [event for event, _ in zip(found, range(limit), strict=False)]

    async def head(self) -> int:
        return len(self._log)

    def _append(self, events: Sequence[Envelope]) -> None:
        start = len(self._log)
        self._log.extend(LoggedEvent(start + n, event) for n, event in enumerate(events, 1))
        self._on_commit()
