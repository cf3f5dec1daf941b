# Made from the OpenAPI document. Do not edit: `python -m tests.client_code` writes this file.
"""Operations of access."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import UNSET, UnsetType

from rustok.client.commands import Command
from rustok.client.consistency import Conversation
from rustok.client.endpoints import Endpoint, Module
from rustok.client.models import (
    ApiKeyInfo,
    AuditEntry,
    ClosedSessions,
    CreatedApiKey,
    DeletedPrincipal,
    DeletedRole,
    Role,
    RoleList,
    ServicePrincipal,
    User,
    WhoAmI,
)
from rustok.client.pages import Pages


class ApiKeys(Endpoint):
    """Operations `access.api_keys`."""

    def create(
        self,
        *,
        name: str,
        principal_id: UUID | str | UnsetType | None = UNSET,
        role: str | UnsetType | None = UNSET,
        scopes: Sequence[str] | UnsetType | None = UNSET,
        environment: str | UnsetType = UNSET,
        expires_at: datetime | UnsetType | None = UNSET,
    ) -> Command[CreatedApiKey]:
        """Create an API key.

        A key of `principal_id`, or of a service principal that is made for it and has `role`.

        The latter needs the permission `access.service_principals.write` as well.
        `scopes`: what the key may do at most; null: all that its principal may. `expires_at`: a moment to come.

        Takes the permission `access.api_keys.write`.
        Problems: `principal_not_found`, `unknown_role`.
        """
        return self._command(
            "access.api_keys.create",
            "POST /api/v1/access/api-keys",
            CreatedApiKey,
            body={
                "name": name,
                "principal_id": principal_id,
                "role": role,
                "scopes": scopes,
                "environment": environment,
                "expires_at": expires_at,
            },
        )

    def list(
        self, *, principal_id: UUID | str | None = None, limit: int | None = None, after: str | None = None
    ) -> Pages[ApiKeyInfo]:
        """List API keys, newest first.

        Takes the permission `access.api_keys.read`.
        """
        return self._list(
            "access.api_keys.list",
            "/api/v1/access/api-keys",
            ApiKeyInfo,
            query={"principal_id": principal_id, "limit": limit},
            after=after,
        )

    def revoke(self, key_id: str, *, expected_version: int | None = None) -> Command[ApiKeyInfo]:
        """Revoke an API key.

        Takes the permission `access.api_keys.write`.
        Problems: `api_key_not_found`.
        """
        return self._command(
            "access.api_keys.revoke",
            "DELETE /api/v1/access/api-keys/{key_id}",
            ApiKeyInfo,
            parts={"key_id": key_id},
            version=expected_version,
        )

    def rotate(
        self,
        key_id: str,
        *,
        expected_version: int | None = None,
        overlap_s: int | UnsetType = UNSET,
        environment: str | UnsetType = UNSET,
    ) -> Command[CreatedApiKey]:
        """Create the successor of an API key, which works on for a while.

        `overlap_s`: for how many seconds the old key still works beside the new one.

        Takes the permission `access.api_keys.write`.
        Problems: `api_key_ended`, `api_key_not_found`, `api_key_rotated`.
        """
        return self._command(
            "access.api_keys.rotate",
            "POST /api/v1/access/api-keys/{key_id}/rotate",
            CreatedApiKey,
            parts={"key_id": key_id},
            body={"overlap_s": overlap_s, "environment": environment},
            version=expected_version,
        )


class Audit(Endpoint):
    """Operations `access.audit`."""

    def list(
        self, *, type: str | None = None, actor: str | None = None, limit: int | None = None, after: str | None = None
    ) -> Pages[AuditEntry]:
        """List what was done about access, the newest first.

        Takes the permission `access.audit.read`.
        """
        return self._list(
            "access.audit.list",
            "/api/v1/access/audit",
            AuditEntry,
            query={"type": type, "actor": actor, "limit": limit},
            after=after,
        )


class Me(Endpoint):
    """Operations `access.me`."""

    async def get(self) -> WhoAmI:
        """See who one is, and what one may do.

        Takes the permission `access.me.read`.
        """
        return await self._get("access.me.get", "/api/v1/access/me", WhoAmI)


class Roles(Endpoint):
    """Operations `access.roles`."""

    def create(
        self,
        *,
        summary: str | UnsetType = UNSET,
        parents: Sequence[str] | UnsetType = UNSET,
        grants: Sequence[str] | UnsetType = UNSET,
        own_grants: Sequence[str] | UnsetType = UNSET,
        name: str,
    ) -> Command[Role]:
        """Create a role.

        Takes the permission `access.roles.write`.
        Problems: `duplicate_role`, `role_cycle`, `role_too_deep`, `too_many_roles`, `unknown_role`.
        """
        return self._command(
            "access.roles.create",
            "POST /api/v1/access/roles",
            Role,
            body={"summary": summary, "parents": parents, "grants": grants, "own_grants": own_grants, "name": name},
        )

    def delete(self, role: str, *, expected_version: int) -> Command[DeletedRole]:
        """Delete a role that nobody has.

        Takes the permission `access.roles.write`.
        Problems: `built_in_role`, `role_in_use`, `role_not_found`.
        """
        return self._command(
            "access.roles.delete",
            "DELETE /api/v1/access/roles/{role}",
            DeletedRole,
            parts={"role": role},
            version=expected_version,
        )

    async def get(self, role: str) -> Role:
        """Read a role, and all that it allows.

        Takes the permission `access.roles.read`.
        Problems: `role_not_found`.
        """
        return await self._get("access.roles.get", "/api/v1/access/roles/{role}", Role, parts={"role": role})

    async def list(self) -> RoleList:
        """List every role, built in or the tenant's own.

        Takes the permission `access.roles.read`.
        """
        return await self._get("access.roles.list", "/api/v1/access/roles", RoleList)

    def update(
        self,
        role: str,
        *,
        expected_version: int,
        summary: str | UnsetType | None = UNSET,
        parents: Sequence[str] | UnsetType | None = UNSET,
        grants: Sequence[str] | UnsetType | None = UNSET,
        own_grants: Sequence[str] | UnsetType | None = UNSET,
    ) -> Command[Role]:
        """Change what a role allows.

        A merge patch.

        Takes the permission `access.roles.write`.
        Problems: `built_in_role`, `role_cycle`, `role_not_found`, `role_too_deep`, `unknown_role`.
        """
        return self._command(
            "access.roles.update",
            "PATCH /api/v1/access/roles/{role}",
            Role,
            parts={"role": role},
            body={"summary": summary, "parents": parents, "grants": grants, "own_grants": own_grants},
            version=expected_version,
        )


class ServicePrincipals(Endpoint):
    """Operations `access.service_principals`."""

    def create(self, *, name: str, roles: Sequence[str] | UnsetType = UNSET) -> Command[ServicePrincipal]:
        """Create a service principal.

        Takes the permission `access.service_principals.write`.
        Problems: `unknown_role`.
        """
        return self._command(
            "access.service_principals.create",
            "POST /api/v1/access/service-principals",
            ServicePrincipal,
            body={"name": name, "roles": roles},
        )

    def delete(self, principal_id: UUID | str, *, expected_version: int) -> Command[DeletedPrincipal]:
        """Delete a service principal, with its keys.

        Takes the permission `access.service_principals.write`.
        Problems: `principal_not_found`.
        """
        return self._command(
            "access.service_principals.delete",
            "DELETE /api/v1/access/service-principals/{principal_id}",
            DeletedPrincipal,
            parts={"principal_id": principal_id},
            version=expected_version,
        )

    async def get(self, principal_id: UUID | str) -> ServicePrincipal:
        """Read a service principal.

        Takes the permission `access.service_principals.read`.
        Problems: `principal_not_found`.
        """
        return await self._get(
            "access.service_principals.get",
            "/api/v1/access/service-principals/{principal_id}",
            ServicePrincipal,
            parts={"principal_id": principal_id},
        )

    def list(self, *, limit: int | None = None, after: str | None = None) -> Pages[ServicePrincipal]:
        """List service principals, newest first.

        Takes the permission `access.service_principals.read`.
        """
        return self._list(
            "access.service_principals.list",
            "/api/v1/access/service-principals",
            ServicePrincipal,
            query={"limit": limit},
            after=after,
        )

    def set_roles(
        self, principal_id: UUID | str, *, expected_version: int | None = None, roles: Sequence[str]
    ) -> Command[ServicePrincipal]:
        """Set the roles of a service principal.

        Takes the permission `access.service_principals.write`.
        Problems: `principal_not_found`, `unknown_role`.
        """
        return self._command(
            "access.service_principals.set_roles",
            "PUT /api/v1/access/service-principals/{principal_id}/roles",
            ServicePrincipal,
            parts={"principal_id": principal_id},
            body={"roles": roles},
            version=expected_version,
        )

    def update(
        self,
        principal_id: UUID | str,
        *,
        expected_version: int,
        name: str | UnsetType | None = UNSET,
        is_active: bool | UnsetType | None = UNSET,
    ) -> Command[ServicePrincipal]:
        """Change the name of a service principal, or whether it is active.

        Takes the permission `access.service_principals.write`.
        Problems: `principal_not_found`.
        """
        return self._command(
            "access.service_principals.update",
            "PATCH /api/v1/access/service-principals/{principal_id}",
            ServicePrincipal,
            parts={"principal_id": principal_id},
            body={"name": name, "is_active": is_active},
            version=expected_version,
        )


class Users(Endpoint):
    """Operations `access.users`."""

    def create(self, *, email: str, name: str, roles: Sequence[str] | UnsetType = UNSET) -> Command[User]:
        """Create a user.

        Takes the permission `access.users.write`.
        Problems: `duplicate_email`, `unknown_role`.
        """
        return self._command(
            "access.users.create",
            "POST /api/v1/access/users",
            User,
            body={"email": email, "name": name, "roles": roles},
        )

    def delete(self, user_id: UUID | str, *, expected_version: int) -> Command[DeletedPrincipal]:
        """Delete a user, with sessions and keys.

        Takes the permission `access.users.write`.
        Problems: `principal_not_found`.
        """
        return self._command(
            "access.users.delete",
            "DELETE /api/v1/access/users/{user_id}",
            DeletedPrincipal,
            parts={"user_id": user_id},
            version=expected_version,
        )

    async def get(self, user_id: UUID | str) -> User:
        """Read a user.

        Takes the permission `access.users.read`.
        Problems: `principal_not_found`.
        """
        return await self._get("access.users.get", "/api/v1/access/users/{user_id}", User, parts={"user_id": user_id})

    def list(self, *, limit: int | None = None, after: str | None = None, email: str | None = None) -> Pages[User]:
        """List users, newest first.

        Takes the permission `access.users.read`.
        """
        return self._list(
            "access.users.list", "/api/v1/access/users", User, query={"limit": limit, "email": email}, after=after
        )

    def set_password(self, user_id: UUID | str, *, expected_version: int | None = None, password: str) -> Command[User]:
        """Set the password of a user, and close every session.

        Takes the permission `access.users.write`.
        Problems: `principal_not_found`.
        """
        return self._command(
            "access.users.set_password",
            "PUT /api/v1/access/users/{user_id}/password",
            User,
            parts={"user_id": user_id},
            body={"password": password},
            version=expected_version,
        )

    def set_roles(
        self, user_id: UUID | str, *, expected_version: int | None = None, roles: Sequence[str]
    ) -> Command[User]:
        """Set the roles of a user.

        Takes the permission `access.users.write`.
        Problems: `principal_not_found`, `unknown_role`.
        """
        return self._command(
            "access.users.set_roles",
            "PUT /api/v1/access/users/{user_id}/roles",
            User,
            parts={"user_id": user_id},
            body={"roles": roles},
            version=expected_version,
        )

    def sign_out(self, user_id: UUID | str, *, expected_version: int | None = None) -> Command[ClosedSessions]:
        """Close every session of a user.

        Takes the permission `access.users.write`.
        Problems: `principal_not_found`.
        """
        return self._command(
            "access.users.sign_out",
            "DELETE /api/v1/access/users/{user_id}/sessions",
            ClosedSessions,
            parts={"user_id": user_id},
            version=expected_version,
        )

    def update(
        self,
        user_id: UUID | str,
        *,
        expected_version: int,
        name: str | UnsetType | None = UNSET,
        is_active: bool | UnsetType | None = UNSET,
    ) -> Command[User]:
        """Change the name of a user, or whether one is active.

        Takes the permission `access.users.write`.
        Problems: `principal_not_found`.
        """
        return self._command(
            "access.users.update",
            "PATCH /api/v1/access/users/{user_id}",
            User,
            parts={"user_id": user_id},
            body={"name": name, "is_active": is_active},
            version=expected_version,
        )


class Access(Module):
    """Who may do what: users, service principals, their roles and keys."""

    name = "access"
    batch_path = "/api/v1/access:batch"

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation)
        self.api_keys = ApiKeys(conversation)
        self.audit = Audit(conversation)
        self.me = Me(conversation)
        self.roles = Roles(conversation)
        self.service_principals = ServicePrincipals(conversation)
        self.users = Users(conversation)
