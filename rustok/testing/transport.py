"""A transport that only remembers: for tests of services, which have no consumers."""

from collections.abc import Sequence

from rustok.events.memory import MemoryTransport
from rustok.kernel.event import Envelope
from rustok.kernel.transport import Transaction


class RecordingTransport(MemoryTransport):
    """Keeps what committed transactions published, in `published`."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[Envelope] = []

    async def publish(self, transaction: Transaction, events: Sequence[Envelope]) -> None:
        await super().publish(transaction, events)
        transaction.after_commit(lambda: self.published.extend(events))

    @property
    def types(self) -> list[str]:
        """The types of what was published, in order."""
        return [event.type for event in self.published]
