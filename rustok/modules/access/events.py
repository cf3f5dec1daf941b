"""Facts that the access module publishes."""

from typing import ClassVar

from rustok.kernel.event import Event


class ApiKeyCreated(Event):
    """Somebody may act for the tenant with a new key."""

    type: ClassVar = "access.api_key.created"
    aggregate: ClassVar = "api_key"
    example: ClassVar = {"key_id": "5f1d9c2ab4e07733", "role": "manager"}

    key_id: str
    role: str


class ApiKeyRevoked(Event):
    """A key works no more, from the next request on."""

    type: ClassVar = "access.api_key.revoked"
    aggregate: ClassVar = "api_key"
    example: ClassVar = {"key_id": "5f1d9c2ab4e07733"}

    key_id: str
