# Made from the OpenAPI document. Do not edit: `python -m tests.client_code` writes this file.
"""Operations of jobs."""

from datetime import datetime
from uuid import UUID

from msgspec import UNSET, UnsetType

from rustok.client.commands import Command
from rustok.client.consistency import Conversation
from rustok.client.endpoints import Endpoint, Module
from rustok.client.models import Accepted, DeadLetterGroups, Operation


class DeadLetters(Endpoint):
    """Operations `jobs.dead_letters`."""

    def discard(
        self,
        *,
        what: str | UnsetType | None = UNSET,
        id: UUID | str | UnsetType | None = UNSET,
        fingerprint: str | UnsetType | None = UNSET,
        until: datetime | UnsetType | None = UNSET,
        needs_version: bool | UnsetType = UNSET,
    ) -> Command[Accepted]:
        """Discard dead letters.

        What was given up, or, if so told, what waits for another release.

        Takes the permission `jobs.dead_letters.discard`.
        """
        return self._command(
            "jobs.dead_letters.discard",
            "POST /api/v1/operations/dead-letters/discard",
            Accepted,
            body={"what": what, "id": id, "fingerprint": fingerprint, "until": until, "needs_version": needs_version},
        )

    async def list(self, *, what: str | None = None) -> DeadLetterGroups:
        """See what was given up, or waits for another release, by cause.

        Takes the permission `jobs.dead_letters.read`.
        """
        return await self._get(
            "jobs.dead_letters.list", "/api/v1/operations/dead-letters", DeadLetterGroups, query={"what": what}
        )

    def redrive(
        self,
        *,
        what: str | UnsetType | None = UNSET,
        id: UUID | str | UnsetType | None = UNSET,
        fingerprint: str | UnsetType | None = UNSET,
        until: datetime | UnsetType | None = UNSET,
    ) -> Command[Accepted]:
        """Let dead letters be tried again.

        The dead letters of a tenant that fit every given field; all of them, where none is given.

        Takes the permission `jobs.dead_letters.redrive`.
        """
        return self._command(
            "jobs.dead_letters.redrive",
            "POST /api/v1/operations/dead-letters/redrive",
            Accepted,
            body={"what": what, "id": id, "fingerprint": fingerprint, "until": until},
        )


class Operations(Endpoint):
    """Operations `jobs.operations`."""

    def cancel(self, operation_id: UUID | str, *, expected_version: int | None = None) -> Command[Operation]:
        """Cancel an operation.

        Takes the permission `jobs.operations.cancel`.
        Problems: `operation_not_found`.
        """
        return self._command(
            "jobs.operations.cancel",
            "DELETE /api/v1/operations/{operation_id}",
            Operation,
            parts={"operation_id": operation_id},
            version=expected_version,
        )

    async def get(self, operation_id: UUID | str) -> Operation:
        """See how an operation is doing, or what came of it.

        Takes the permission `jobs.operations.read`.
        Problems: `operation_not_found`.
        """
        return await self._get(
            "jobs.operations.get", "/api/v1/operations/{operation_id}", Operation, parts={"operation_id": operation_id}
        )


class Jobs(Module):
    """Durable work: operations that were answered 202, retries, schedules, dead letters."""

    name = "jobs"
    batch_path = "/api/v1/operations:batch"

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation)
        self.dead_letters = DeadLetters(conversation)
        self.operations = Operations(conversation)
