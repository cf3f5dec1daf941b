"""Facts that the access module publishes. They name people by ids alone."""

from collections.abc import Mapping
from typing import Any, ClassVar

from rustok.kernel.event import Event
from rustok.kernel.fields import EXAMPLE_ID


class ApiKeyCreatedV1(Event):
    """Somebody may act for the tenant with a new key."""

    type: ClassVar = "access.api_key.created"
    aggregate: ClassVar = "api_key"
    example: ClassVar = {"key_id": "5f1d9c2ab4e07733", "role": "manager"}

    key_id: str
    role: str


class ApiKeyCreated(Event):
    """A principal has a new key, for `scopes` (null: all that the principal may) until `expires_at` (null: for good).

    A key that came before principals has null in all three, whatever its expiry.
    """

    type: ClassVar = "access.api_key.created"
    version: ClassVar = 2
    aggregate: ClassVar = "api_key"
    example: ClassVar = {
        "key_id": "5f1d9c2ab4e07733", "principal_id": EXAMPLE_ID, "scopes": ["commerce.products.read"],
        "expires_at": "2026-11-27T12:00:00Z",
    }  # fmt: skip

    key_id: str
    principal_id: str | None
    scopes: list[str] | None
    expires_at: str | None

    @classmethod
    def upcast(cls, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"key_id": payload["key_id"], "principal_id": None, "scopes": None, "expires_at": None}


class ApiKeyRotated(Event):
    """A key has a successor; it works on for a while, or not at all."""

    type: ClassVar = "access.api_key.rotated"
    aggregate: ClassVar = "api_key"
    example: ClassVar = {
        "key_id": "5f1d9c2ab4e07733", "successor": "77e0b42ac9d1f533", "expires_at": "2026-11-27T12:00:00Z",
    }  # fmt: skip

    key_id: str
    successor: str
    expires_at: str


class ApiKeyRevoked(Event):
    """A key works no more, from the next request on."""

    type: ClassVar = "access.api_key.revoked"
    aggregate: ClassVar = "api_key"
    example: ClassVar = {"key_id": "5f1d9c2ab4e07733"}

    key_id: str


class _UserEvent(Event):
    aggregate: ClassVar = "user"


class UserCreated(_UserEvent):
    """Somebody may sign in, once there is a password or a provider that knows them."""

    type: ClassVar = "access.user.created"
    example: ClassVar = {"roles": ["editor"]}

    roles: list[str]


class UserUpdated(_UserEvent):
    """Fields of a user changed; `changed` names them. `is_active`: whether the user is since then."""

    type: ClassVar = "access.user.updated"
    example: ClassVar = {"changed": ["is_active"], "is_active": False}

    changed: list[str]
    is_active: bool


class UserRolesSet(_UserEvent):
    """A user has these roles, from the next request on."""

    type: ClassVar = "access.user.roles_set"
    example: ClassVar = {"roles": ["editor", "support"]}

    roles: list[str]


class UserDeleted(_UserEvent):
    """A user is gone, with the sessions and the keys."""

    type: ClassVar = "access.user.deleted"
    example: ClassVar = {}


class UserPasswordSet(_UserEvent):
    """A user has another password; every session was closed."""

    type: ClassVar = "access.user.password_set"
    example: ClassVar = {}


class SignInRefused(Event):
    """Somebody has tried to sign in as a user, and was refused."""

    type: ClassVar = "access.sign_in.refused"
    aggregate: ClassVar = "sign_in"
    example: ClassVar = {"user_id": EXAMPLE_ID}

    user_id: str


class SessionOpened(Event):
    """A user has signed in; `method`: `password`, or the name of a provider."""

    type: ClassVar = "access.session.opened"
    aggregate: ClassVar = "session"
    example: ClassVar = {"user_id": EXAMPLE_ID, "method": "password"}

    user_id: str
    method: str


class SessionClosed(Event):
    """A session has ended: the user has `signed_out`, somebody has `closed` it, a token of it was `reused`, or newer
    sessions of the user have `superseded` it.
    """

    type: ClassVar = "access.session.closed"
    aggregate: ClassVar = "session"
    example: ClassVar = {"user_id": EXAMPLE_ID, "reason": "signed_out"}

    user_id: str
    reason: str


class _ServicePrincipalEvent(Event):
    aggregate: ClassVar = "service_principal"


class ServicePrincipalCreated(_ServicePrincipalEvent):
    """A program may act for the tenant, once it has a key."""

    type: ClassVar = "access.service_principal.created"
    example: ClassVar = {"roles": ["manager"]}

    roles: list[str]


class ServicePrincipalUpdated(_ServicePrincipalEvent):
    """Fields of a service principal changed; `changed` names them. `is_active`: whether it is since then."""

    type: ClassVar = "access.service_principal.updated"
    example: ClassVar = {"changed": ["name"], "is_active": True}

    changed: list[str]
    is_active: bool


class ServicePrincipalRolesSet(_ServicePrincipalEvent):
    """A service principal has these roles, from the next request on."""

    type: ClassVar = "access.service_principal.roles_set"
    example: ClassVar = {"roles": ["manager"]}

    roles: list[str]


class ServicePrincipalDeleted(_ServicePrincipalEvent):
    """A service principal is gone, with its keys."""

    type: ClassVar = "access.service_principal.deleted"
    example: ClassVar = {}


class _RoleEvent(Event):
    aggregate: ClassVar = "role"

    name: str


class RoleCreated(_RoleEvent):
    """The tenant has a role of its own."""

    type: ClassVar = "access.role.created"
    example: ClassVar = {"name": "support", "parents": ["customer"], "permissions": ["jobs.operations.read"], "own": []}

    parents: list[str]
    permissions: list[str]
    own: list[str]


class RoleUpdated(RoleCreated):
    """A role allows something else, from the next request on; the fields have what it is now."""

    type: ClassVar = "access.role.updated"


class RoleDeleted(_RoleEvent):
    """A role is gone; nobody had it."""

    type: ClassVar = "access.role.deleted"
    example: ClassVar = {"name": "support"}


EVENTS = (
    ApiKeyCreatedV1,
    ApiKeyCreated,
    ApiKeyRotated,
    ApiKeyRevoked,
    UserCreated,
    UserUpdated,
    UserRolesSet,
    UserDeleted,
    UserPasswordSet,
    SignInRefused,
    SessionOpened,
    SessionClosed,
    ServicePrincipalCreated,
    ServicePrincipalUpdated,
    ServicePrincipalRolesSet,
    ServicePrincipalDeleted,
    RoleCreated,
    RoleUpdated,
    RoleDeleted,
)
