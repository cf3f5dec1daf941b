"""Inputs and results of the access module."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, StringConstraints

from rustok.kernel.module import Input, Result
from rustok.modules.access.roles import BUILT_IN_ROLES


def _known_role(role: str) -> str:
    if role not in BUILT_IN_ROLES:
        raise ValueError(f"must be one of {', '.join(BUILT_IN_ROLES)}")
    return role


class CreateApiKey(Input):
    name: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    role: Annotated[str, AfterValidator(_known_role)]
    environment: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,8}$")] = "live"
    expires_at: AwareDatetime | None = None


class RevokeApiKey(Input):
    key_id: str


class ApiKeyInfo(Result):
    """A key without its secret."""

    key_id: str
    name: str
    role: str
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime
    version: int


class CreatedApiKey(ApiKeyInfo):
    id: UUID
    token: str
    """The whole key: shown this once, kept nowhere."""
