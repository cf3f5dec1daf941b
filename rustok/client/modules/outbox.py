# Made from the OpenAPI document. Do not edit: `python -m tests.client_code` writes this file.
"""Operations of outbox."""

from rustok.client.consistency import Conversation
from rustok.client.endpoints import Endpoint
from rustok.client.models import CloudEvent
from rustok.client.pages import Pages


class Events(Endpoint):
    """Operations `outbox.events`."""

    def list(self, *, type: str | None = None, limit: int | None = None, after: str | None = None) -> Pages[CloudEvent]:
        """Follow the tenant's events, oldest first, as CloudEvents.

        Takes the permission `outbox.events.read`.
        Problems: `cursor_expired`.
        """
        return self._list(
            "outbox.events.list", "/api/v1/events", CloudEvent, query={"type": type, "limit": limit}, after=after
        )


class Outbox(Endpoint):
    """The event log: staging, sequencer, checkpoints, parked aggregates."""

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation)
        self.events = Events(conversation)
