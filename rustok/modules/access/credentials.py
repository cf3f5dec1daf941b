"""Who has a credential that was looked up, and what it allows. Whether its time has come is not looked at here."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from rustok.kernel.context import Principal
from rustok.modules.access.roles import Roles


def holder_of_key(row: Row[Any] | None, roles: Roles) -> Principal | None:
    """Return who acts by an API key; None where it is unknown or revoked, or its principal is disabled."""
    if row is None or not _holds(row):
        return None
    holder = _principal("apikey", row.id, row, roles, row.scopes)
    return replace(holder, is_scoped=row.scopes is not None, expires_at=row.expires_at)


def holder_of_session(row: Row[Any] | None, roles: Roles) -> Principal | None:
    """Return who has signed in; None where the session is unknown or closed, or the user is disabled."""
    if row is None or not _holds(row):
        return None
    return replace(_principal("user", row.principal_id, row, roles), session_id=row.id)


def _holds(row: Row[Any]) -> bool:
    return bool(row.is_active) and row.revoked_at is None


def _principal(
    kind: str, identifier: UUID, row: Row[Any], roles: Roles, scopes: Sequence[str] | None = None
) -> Principal:
    grants = roles.grants(row.roles, row.permissions, row.own_permissions)
    if scopes is not None:
        grants = grants.within(scopes)
    return Principal(
        kind,
        str(identifier),
        grants.permissions | roles.everybody,
        row.authz_version,
        modules_off=frozenset(row.modules_off),
        own_permissions=grants.own,
        subject=row.principal_id,
    )
