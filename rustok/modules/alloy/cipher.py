"""Secrets of scripts at rest: each tenant has a data key, which the platform's key encrypts (AES-256-GCM)."""

import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16


class Undecipherable(Exception):
    """The key is another one, or something differs from what was encrypted. Which of them is not told."""


def wrap_key(kek: bytes, tenant_id: UUID, data_key: bytes) -> bytes:
    """Encrypt a tenant's *data_key* under *kek*; both have 32 bytes."""
    return _encrypt(kek, data_key, _key_context(tenant_id))


def unwrap_key(kek: bytes, tenant_id: UUID, wrapped: bytes) -> bytes:
    """Return the data key that `wrap_key` made *wrapped* of.

    Raises:
        Undecipherable: it was not wrapped under *kek* for this tenant.

    """
    return _decrypt(kek, wrapped, _key_context(tenant_id))


def seal(data_key: bytes, tenant_id: UUID, name: str, version: int, plaintext: str) -> bytes:
    """Encrypt *plaintext* as *version* of the tenant's secret *name*: a random nonce, then ciphertext and tag."""
    return _encrypt(data_key, plaintext.encode(), _secret_context(tenant_id, name, version))


def open_sealed(data_key: bytes, tenant_id: UUID, name: str, version: int, sealed: bytes) -> str:
    """Return the text that `seal` made *sealed* of.

    Raises:
        Undecipherable: it was not sealed under *data_key* as this version of this secret of this tenant.

    """
    return _decrypt(data_key, sealed, _secret_context(tenant_id, name, version)).decode()


def _key_context(tenant_id: UUID) -> bytes:
    return str(tenant_id).encode()


def _secret_context(tenant_id: UUID, name: str, version: int) -> bytes:
    """Return `tenant|name|version`: a bar within *name* moves nothing, for the other two never hold one."""
    return f"{tenant_id}|{name}|{version}".encode()


def _encrypt(key: bytes, plaintext: bytes, context: bytes) -> bytes:
    # Random nonces: a data key encrypts far fewer than 2**32 texts (NIST SP 800-38D, section 8.3).
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _aes_256(key).encrypt(nonce, plaintext, context)


def _decrypt(key: bytes, sealed: bytes, context: bytes) -> bytes:
    if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
        raise Undecipherable
    try:
        return _aes_256(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
    except InvalidTag:
        raise Undecipherable from None


def _aes_256(key: bytes) -> AESGCM:
    if len(key) != _KEY_BYTES:  # AESGCM takes shorter ones as well
        raise ValueError(f"A key has {_KEY_BYTES} bytes, not {len(key)}.")
    return AESGCM(key)
