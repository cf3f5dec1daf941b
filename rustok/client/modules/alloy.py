# Made from the OpenAPI document. Do not edit: `python -m tests.client_code` writes this file.
"""Operations of alloy."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, UnsetType

from rustok.client.commands import Command
from rustok.client.consistency import Conversation
from rustok.client.endpoints import Endpoint, Module
from rustok.client.models import (
    ApiTrigger,
    Attempt,
    CronTrigger,
    DeletedScript,
    DeletedSecret,
    DeletedValue,
    EventTrigger,
    ManualTrigger,
    PushedVersion,
    Redriven,
    Run,
    Script,
    ScriptLimits,
    ScriptVersion,
    Secret,
    StartedRun,
    Value,
    VersionInfo,
)
from rustok.client.pages import Pages


class Canaries(Endpoint):
    """Operations `alloy.canaries`."""

    def set(
        self, script_id: UUID | str, *, expected_version: int | None = None, number: int, percent: int
    ) -> Command[Script]:
        """Let some of the runs take another version.

        Let `percent` of the runs take version `number`; 0 ends it.

        Takes the permission `alloy.scripts.write`.
        Problems: `script_not_found`, `script_version_not_found`, `script_version_not_ready`.
        """
        return self._command(
            "alloy.canaries.set",
            "PUT /api/v1/alloy/scripts/{script_id}/canary",
            Script,
            parts={"script_id": script_id},
            body={"number": number, "percent": percent},
            version=expected_version,
        )


class Kv(Endpoint):
    """Operations `alloy.kv`."""

    def delete(self, script_id: UUID | str, key: str, *, expected_version: int | None = None) -> Command[DeletedValue]:
        """Delete what a script keeps under a key.

        Takes the permission `alloy.kv.write`.
        Problems: `value_not_found`.
        """
        return self._command(
            "alloy.kv.delete",
            "DELETE /api/v1/alloy/scripts/{script_id}/kv/{key}",
            DeletedValue,
            parts={"script_id": script_id, "key": key},
            version=expected_version,
        )

    async def get(self, script_id: UUID | str, key: str) -> Value:
        """Read what a script keeps under a key.

        Takes the permission `alloy.kv.read`.
        Problems: `value_not_found`.
        """
        return await self._get(
            "alloy.kv.get",
            "/api/v1/alloy/scripts/{script_id}/kv/{key}",
            Value,
            parts={"script_id": script_id, "key": key},
        )

    def list(self, script_id: UUID | str, *, limit: int | None = None, after: str | None = None) -> Pages[Value]:
        """List what a script keeps, by key.

        Takes the permission `alloy.kv.read`.
        """
        return self._list(
            "alloy.kv.list",
            "/api/v1/alloy/scripts/{script_id}/kv",
            Value,
            parts={"script_id": script_id},
            query={"limit": limit},
            after=after,
        )

    def set(
        self,
        script_id: UUID | str,
        key: str,
        *,
        expected_version: int | None = None,
        value: Any,
        ttl_s: int | UnsetType | None = UNSET,
    ) -> Command[Value]:
        """Write what a script keeps under a key.

        `ttl_s`: after so many seconds the value is gone.

        `expected_version`: write only if the stored value has this version; 0: only if there is none.

        Takes the permission `alloy.kv.write`.
        Problems: `quota_exceeded`, `script_not_found`.
        """
        return self._command(
            "alloy.kv.set",
            "PUT /api/v1/alloy/scripts/{script_id}/kv/{key}",
            Value,
            parts={"script_id": script_id, "key": key},
            body={"value": value, "ttl_s": ttl_s},
            version=expected_version,
        )


class Limits(Endpoint):
    """Operations `alloy.limits`."""

    async def get(self) -> ScriptLimits:
        """Read what the tenant's scripts may use.

        Takes the permission `alloy.scripts.read`.
        """
        return await self._get("alloy.limits.get", "/api/v1/alloy/limits", ScriptLimits)


class Runs(Endpoint):
    """Operations `alloy.runs`."""

    async def get(self, run_id: UUID | str) -> Run:
        """Read a run with every attempt at it.

        Takes the permission `alloy.runs.read`.
        Problems: `run_not_found`.
        """
        return await self._get("alloy.runs.get", "/api/v1/alloy/runs/{run_id}", Run, parts={"run_id": run_id})

    def list(
        self, script_id: UUID | str, *, outcome: str | None = None, limit: int | None = None, after: str | None = None
    ) -> Pages[Attempt]:
        """List attempts at runs of a script, newest first.

        Takes the permission `alloy.runs.read`.
        """
        return self._list(
            "alloy.runs.list",
            "/api/v1/alloy/scripts/{script_id}/runs",
            Attempt,
            parts={"script_id": script_id},
            query={"outcome": outcome, "limit": limit},
            after=after,
        )

    def redrive(self, run_id: UUID | str, *, expected_version: int | None = None) -> Command[Redriven]:
        """Let a run that was given up be tried again.

        Takes the permission `alloy.runs.redrive`.
        Problems: `run_not_dead`.
        """
        return self._command(
            "alloy.runs.redrive",
            "POST /api/v1/alloy/runs/{run_id}/redrive",
            Redriven,
            parts={"run_id": run_id},
            version=expected_version,
        )

    def redrive_all(self, script_id: UUID | str, *, expected_version: int | None = None) -> Command[Redriven]:
        """Let all runs and calls of a script that were given up be tried again.

        Takes the permission `alloy.runs.redrive`.
        """
        return self._command(
            "alloy.runs.redrive_all",
            "POST /api/v1/alloy/scripts/{script_id}/redrive",
            Redriven,
            parts={"script_id": script_id},
            version=expected_version,
        )

    def start(
        self,
        script_id: UUID | str,
        *,
        expected_version: int | None = None,
        input: Mapping[str, Any] | UnsetType = UNSET,
    ) -> Command[StartedRun]:
        """Start a script.

        `input` arrives as the payload of the event.

        Takes the permission `alloy.runs.start`.
        Problems: `script_not_found`, `script_not_startable`.
        """
        return self._command(
            "alloy.runs.start",
            "POST /api/v1/alloy/scripts/{script_id}/runs",
            StartedRun,
            parts={"script_id": script_id},
            body={"input": input},
            version=expected_version,
        )


class Scripts(Endpoint):
    """Operations `alloy.scripts`."""

    def activate(
        self, script_id: UUID | str, *, expected_version: int | None = None, number: int | UnsetType | None = UNSET
    ) -> Command[Script]:
        """Let a version run from here on, the first one or an earlier one again.

        Run version `number` from here on: the active one or else the latest that is ready, when it is absent.

        Takes the permission `alloy.scripts.write`.
        Problems: `script_not_found`, `script_version_not_found`, `script_version_not_ready`.
        """
        return self._command(
            "alloy.scripts.activate",
            "POST /api/v1/alloy/scripts/{script_id}/activate",
            Script,
            parts={"script_id": script_id},
            body={"number": number},
            version=expected_version,
        )

    def create(
        self,
        *,
        name: str,
        description: str | UnsetType = UNSET,
        triggers: Sequence[EventTrigger | CronTrigger | ApiTrigger | ManualTrigger] | UnsetType = UNSET,
        grants: Sequence[str] | UnsetType = UNSET,
        hosts: Sequence[str] | UnsetType = UNSET,
        secrets: Sequence[str] | UnsetType = UNSET,
    ) -> Command[Script]:
        """Create a script, without code.

        A script without code: push a version next.

        `grants` are permissions, each one of the caller's own. `hosts` is where HTTP effects may go (`*.example.com`
        covers what is below it). `secrets` names those that the script may use.

        Takes the permission `alloy.scripts.write`.
        Problems: `grant_not_allowed`, `quota_exceeded`, `script_name_taken`.
        """
        return self._command(
            "alloy.scripts.create",
            "POST /api/v1/alloy/scripts",
            Script,
            body={
                "name": name,
                "description": description,
                "triggers": triggers,
                "grants": grants,
                "hosts": hosts,
                "secrets": secrets,
            },
        )

    def delete(self, script_id: UUID | str, *, expected_version: int) -> Command[DeletedScript]:
        """Delete a script with its versions.

        Takes the permission `alloy.scripts.write`.
        Problems: `script_not_found`.
        """
        return self._command(
            "alloy.scripts.delete",
            "DELETE /api/v1/alloy/scripts/{script_id}",
            DeletedScript,
            parts={"script_id": script_id},
            version=expected_version,
        )

    async def get(self, script_id: UUID | str) -> Script:
        """Read a script.

        Takes the permission `alloy.scripts.read`.
        Problems: `script_not_found`.
        """
        return await self._get(
            "alloy.scripts.get", "/api/v1/alloy/scripts/{script_id}", Script, parts={"script_id": script_id}
        )

    def list(
        self,
        *,
        name: str | None = None,
        status: Literal["draft", "active", "paused", "disabled"] | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> Pages[Script]:
        """List scripts by name.

        Takes the permission `alloy.scripts.read`.
        """
        return self._list(
            "alloy.scripts.list",
            "/api/v1/alloy/scripts",
            Script,
            query={"name": name, "status": status, "limit": limit},
            after=after,
        )

    def pause(self, script_id: UUID | str, *, expected_version: int | None = None) -> Command[Script]:
        """Let events pass without starting runs.

        Takes the permission `alloy.scripts.write`.
        Problems: `script_not_found`.
        """
        return self._command(
            "alloy.scripts.pause",
            "POST /api/v1/alloy/scripts/{script_id}/pause",
            Script,
            parts={"script_id": script_id},
            version=expected_version,
        )

    def update(
        self,
        script_id: UUID | str,
        *,
        expected_version: int,
        name: str | UnsetType = UNSET,
        description: str | UnsetType | None = UNSET,
        triggers: Sequence[EventTrigger | CronTrigger | ApiTrigger | ManualTrigger] | UnsetType | None = UNSET,
        grants: Sequence[str] | UnsetType | None = UNSET,
        hosts: Sequence[str] | UnsetType | None = UNSET,
        secrets: Sequence[str] | UnsetType | None = UNSET,
    ) -> Command[Script]:
        """Change fields of a script.

        A merge patch (RFC 7396): null gives a field the value that a new script has.

        Who changes `grants` answers for them from then on.

        Takes the permission `alloy.scripts.write`.
        Problems: `grant_not_allowed`, `script_name_taken`, `script_not_found`.
        """
        return self._command(
            "alloy.scripts.update",
            "PATCH /api/v1/alloy/scripts/{script_id}",
            Script,
            parts={"script_id": script_id},
            body={
                "name": name,
                "description": description,
                "triggers": triggers,
                "grants": grants,
                "hosts": hosts,
                "secrets": secrets,
            },
            version=expected_version,
        )


class Secrets(Endpoint):
    """Operations `alloy.secrets`."""

    def delete(self, name: str, *, expected_version: int | None = None) -> Command[DeletedSecret]:
        """Delete a secret.

        Takes the permission `alloy.secrets.write`.
        Problems: `secret_not_found`.
        """
        return self._command(
            "alloy.secrets.delete",
            "DELETE /api/v1/alloy/secrets/{name}",
            DeletedSecret,
            parts={"name": name},
            version=expected_version,
        )

    def list(self, *, limit: int | None = None, after: str | None = None) -> Pages[Secret]:
        """List the names of secrets.

        Takes the permission `alloy.secrets.read`.
        """
        return self._list("alloy.secrets.list", "/api/v1/alloy/secrets", Secret, query={"limit": limit}, after=after)

    def set(self, name: str, *, expected_version: int | None = None, value: str) -> Command[Secret]:
        """Set a secret, which is never shown again.

        Takes the permission `alloy.secrets.write`.
        """
        return self._command(
            "alloy.secrets.set",
            "PUT /api/v1/alloy/secrets/{name}",
            Secret,
            parts={"name": name},
            body={"value": value},
            version=expected_version,
        )


class Versions(Endpoint):
    """Operations `alloy.versions`."""

    async def get(self, script_id: UUID | str, number: int) -> ScriptVersion:
        """Read a version with its code and what its check found.

        Takes the permission `alloy.scripts.read`.
        Problems: `script_version_not_found`.
        """
        return await self._get(
            "alloy.versions.get",
            "/api/v1/alloy/scripts/{script_id}/versions/{number}",
            ScriptVersion,
            parts={"script_id": script_id, "number": number},
        )

    def list(self, script_id: UUID | str, *, limit: int | None = None, after: str | None = None) -> Pages[VersionInfo]:
        """List the versions of a script, newest first.

        Takes the permission `alloy.scripts.read`.
        Problems: `script_not_found`.
        """
        return self._list(
            "alloy.versions.list",
            "/api/v1/alloy/scripts/{script_id}/versions",
            VersionInfo,
            parts={"script_id": script_id},
            query={"limit": limit},
            after=after,
        )

    def push(
        self,
        script_id: UUID | str,
        *,
        expected_version: int | None = None,
        code: str,
        message: str | UnsetType = UNSET,
        activate: bool | UnsetType = UNSET,
    ) -> Command[PushedVersion]:
        """Hand in a version, which a worker then checks.

        Code of a hook; `activate` makes it the active version as soon as its check has passed.

        Takes the permission `alloy.scripts.write`.
        Problems: `quota_exceeded`, `script_not_found`.
        """
        return self._command(
            "alloy.versions.push",
            "POST /api/v1/alloy/scripts/{script_id}/versions",
            PushedVersion,
            parts={"script_id": script_id},
            body={"code": code, "message": message, "activate": activate},
            version=expected_version,
        )


class Alloy(Module):
    """Scripts of tenants: Python that reacts to events, in a cage, under limits."""

    name = "alloy"
    batch_path = "/api/v1/alloy:batch"

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation)
        self.canaries = Canaries(conversation)
        self.kv = Kv(conversation)
        self.limits = Limits(conversation)
        self.runs = Runs(conversation)
        self.scripts = Scripts(conversation)
        self.secrets = Secrets(conversation)
        self.versions = Versions(conversation)
