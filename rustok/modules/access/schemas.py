"""Inputs and results of the access module."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, ClassVar, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from rustok.kernel.fields import EXAMPLE_ID, Distinct, Moment, Title
from rustok.kernel.module import Input, PageLinks, QueryInput, Result
from rustok.modules.access.passwords import NewPassword

RoleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,62}$")]
"""The name of a role, built in or not."""
NewRoleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
"""Without a dot: a built-in role of a later release has one, so that it is never a tenant's own of before."""
PermissionPattern = Annotated[
    str, StringConstraints(pattern=r"^(\*|[a-z][a-z0-9_]*)(\.(\*|[a-z][a-z0-9_]*)){0,2}$", max_length=200)
]
"""A permission, or several: `commerce.*`, `*.*.read`."""
RoleNames = Annotated[Distinct[RoleName], Field(max_length=20)]
PermissionPatterns = Annotated[Distinct[PermissionPattern], Field(max_length=200)]
Email = Annotated[
    str,
    StringConstraints(pattern=r"^[^@\s\x00-\x20]{1,64}@[^@\s\x00-\x20]{1,189}$", max_length=254, to_lower=True),
]
"""An address in lower case: two that differ in nothing else are one user's."""
Environment = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,8}$")]
"""What the key says of itself: where it is to be used."""
PageLimit = Annotated[int, Field(ge=1, le=100)]


class CreateApiKey(Input):
    """A key of `principal_id`, or of a service principal that is made for it and has `role`.

    The latter needs the permission `access.service_principals.write` as well.
    `scopes`: what the key may do at most; null: all that its principal may. `expires_at`: a moment to come.
    """

    example: ClassVar = {"name": "Till", "principal_id": EXAMPLE_ID, "scopes": ["commerce.products.*"]}

    name: Title
    principal_id: UUID | None = None
    role: RoleName | None = None
    scopes: Annotated[PermissionPatterns, Field(min_length=1)] | None = None
    environment: Environment = "live"
    expires_at: Moment | None = None

    @model_validator(mode="after")
    def _is_of_one(self) -> Self:
        if (self.principal_id is None) == (self.role is None):
            raise ValueError("name either principal_id or role")
        return self


class KeyReference(Input):
    example: ClassVar = {"key_id": "5f1d9c2ab4e07733"}

    key_id: Annotated[str, StringConstraints(max_length=64)]


class RotateApiKey(KeyReference):
    """`overlap_s`: for how many seconds the old key still works beside the new one."""

    example: ClassVar = {"key_id": "5f1d9c2ab4e07733", "overlap_s": 86_400}

    overlap_s: Annotated[int, Field(ge=0, le=2_592_000)] = 86_400
    environment: Environment = "live"


class ApiKeyInfo(Result):
    """A key without its secret.

    `successor`: the `key_id` of the newest that has come of it by rotation; it changes without a new version.
    """

    key_id: str
    name: str
    principal_id: UUID
    scopes: list[str] | None
    expires_at: datetime | None
    revoked_at: datetime | None
    successor: str | None
    created_at: datetime
    version: int


class CreatedApiKey(ApiKeyInfo):
    """`token` is the whole key: shown this once, kept nowhere."""

    id: UUID
    token: str


class ListApiKeys(QueryInput):
    """Newest first, also those that are revoked."""

    principal_id: UUID | None = None
    limit: PageLimit = 50
    after: str | None = None


class ApiKeyPage(Result):
    data: Sequence[ApiKeyInfo]
    page: PageLinks


class CreateUser(Input):
    example: ClassVar = {"email": "ada@example.com", "name": "Ada", "roles": ["editor"]}

    email: Email
    name: Title
    roles: RoleNames = []


class CreateServicePrincipal(Input):
    example: ClassVar = {"name": "Till", "roles": ["manager"]}

    name: Title
    roles: RoleNames = []


class UserReference(Input):
    example: ClassVar = {"user_id": EXAMPLE_ID}

    user_id: UUID


class ServicePrincipalReference(Input):
    example: ClassVar = {"principal_id": EXAMPLE_ID}

    principal_id: UUID


class PrincipalFields(Input):
    """What of a principal a patch may change."""

    name: Title
    is_active: bool = True


class PrincipalPatch(Input):
    """A merge patch. One that is not active signs in no more, and neither do the keys work."""

    name: Title | None = None
    is_active: bool | None = None


class UpdateUser(PrincipalPatch, UserReference):
    example: ClassVar = {**UserReference.example, "is_active": False}


class UpdateServicePrincipal(PrincipalPatch, ServicePrincipalReference):
    example: ClassVar = {**ServicePrincipalReference.example, "is_active": False}


class RoleSet(Input):
    """All the roles of a principal, instead of those that it has."""

    roles: RoleNames


class SetRolesOfUser(RoleSet, UserReference):
    example: ClassVar = {**UserReference.example, "roles": ["editor"]}


class SetRolesOfServicePrincipal(RoleSet, ServicePrincipalReference):
    example: ClassVar = {**ServicePrincipalReference.example, "roles": ["manager"]}


class SetPassword(UserReference):
    example: ClassVar = {**UserReference.example, "password": "correct horse battery staple"}

    password: NewPassword


class HashedPassword(UserReference):
    """What is made of SetPassword before a transaction begins."""

    password_hash: str


class GetUser(QueryInput):
    example: ClassVar = {"user_id": EXAMPLE_ID}

    user_id: UUID


class GetServicePrincipal(QueryInput):
    example: ClassVar = {"principal_id": EXAMPLE_ID}

    principal_id: UUID


class ListServicePrincipals(QueryInput):
    """Newest first."""

    limit: PageLimit = 50
    after: str | None = None


class ListUsers(ListServicePrincipals):
    """Newest first."""

    email: Email | None = None


class ServicePrincipal(Result):
    """A program that acts for the tenant by its keys."""

    id: UUID
    version: int
    name: str
    is_active: bool
    roles: list[str]
    created_at: datetime
    updated_at: datetime


class User(ServicePrincipal):
    """A person. `has_password`: may sign in by password."""

    email: str
    has_password: bool


class DeletedPrincipal(Result):
    id: UUID
    version: int


class ClosedSessions(Result):
    """How many there were."""

    closed: int


class ServicePrincipalPage(Result):
    data: Sequence[ServicePrincipal]
    page: PageLinks


class UserPage(Result):
    data: Sequence[User]
    page: PageLinks


class RoleFields(Input):
    """What a role allows: all that its parents do, and what `grants` stand for; `own_grants` hold for what one made.

    Patterns stand for the permissions that there are when the role is saved.
    """

    summary: Annotated[str, StringConstraints(max_length=255)] = ""
    parents: RoleNames = []
    grants: PermissionPatterns = []
    own_grants: PermissionPatterns = []


class CreateRole(RoleFields):
    example: ClassVar = {"name": "support", "parents": ["customer"], "grants": ["jobs.*.read"]}

    name: NewRoleName


class RoleReference(Input):
    example: ClassVar = {"role": "support"}

    role: RoleName


class UpdateRole(RoleReference):
    """A merge patch."""

    example: ClassVar = {**RoleReference.example, "grants": ["jobs.*.read"]}

    summary: Annotated[str, StringConstraints(max_length=255)] | None = None
    parents: RoleNames | None = None
    grants: PermissionPatterns | None = None
    own_grants: PermissionPatterns | None = None


class GetRole(QueryInput):
    example: ClassVar = {"role": "support"}

    role: RoleName


class ListRoles(QueryInput):
    pass


class Role(Result):
    """A role of the tenant, or a built-in one, which has no version.

    `permissions` and `own_permissions` are all that it allows, also by its ancestors.
    """

    name: str
    version: int | None
    summary: str
    parents: list[str]
    grants: list[str]
    own_grants: list[str]
    permissions: list[str]
    own_permissions: list[str]


class DeletedRole(Result):
    name: str
    version: int


class RoleList(Result):
    """Every role of the tenant and every built-in one, by name."""

    data: Sequence[Role]


class GetMe(QueryInput):
    pass


class WhoAmI(Result):
    """Who the credential belongs to, and what it may do now."""

    tenant_id: UUID
    actor: str
    principal_id: UUID | None
    permissions: list[str]
    own_permissions: list[str]
