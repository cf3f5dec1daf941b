"""The text of an API key: `rtk_<environment>_<key id>_<secret>_<crc>`."""

import secrets
import zlib
from typing import NamedTuple


class ApiKey(NamedTuple):
    environment: str
    key_id: str
    secret: str

    def __str__(self) -> str:
        body = f"rtk_{self.environment}_{self.key_id}_{self.secret}"
        return f"{body}_{_checksum(body)}"


def new_api_key(environment: str) -> ApiKey:
    """Return a key with 192 random bits of secret."""
    return ApiKey(environment, secrets.token_hex(8), secrets.token_hex(24))


def parse_api_key(text: str) -> ApiKey | None:
    """Return the key that *text* spells, None when it is mistyped or something else: no look-up is needed."""
    body, _, checksum = text.rpartition("_")
    prefix, *parts = body.split("_")
    if prefix != "rtk" or len(parts) != len(ApiKey._fields) or checksum != _checksum(body):
        return None
    return ApiKey(*parts)


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
