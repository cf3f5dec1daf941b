"""What an OpenID provider publishes about itself: its endpoints and its keys, fetched when needed, and kept."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from jwt import PyJWK
from pydantic import BaseModel, ValidationError

from rustok.egress import (
    CallPutOff,
    Circuit,
    CircuitConfig,
    Egress,
    EgressFailed,
    EgressRefused,
    OutgoingAnswer,
    OutgoingRequest,
)
from rustok.kernel import strict_json
from rustok.kernel.errors import InvalidInput
from rustok.kernel.ports import Clock
from rustok.modules.access.errors import OidcLoginRefused, OidcProviderUnavailable
from rustok.modules.access.oidc_keys import signing_keys
from rustok.modules.access.oidc_provider import Endpoint, OidcProvider

_KEPT_S = 3_600.0
_BETWEEN_LOOKS_S = 60.0
"""Seconds at least between two looks for a key that is not known."""
_CIRCUIT = CircuitConfig(failures=1, open_s=5.0, longest_open_s=60.0)
"""Who waits behind a fetch that fails does not try again: else a silent provider is waited for by one after another."""
_OK = 200


class Metadata(BaseModel):
    """The part of a provider's metadata that a login needs (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: Endpoint
    token_endpoint: Endpoint
    jwks_uri: Endpoint


class OidcDocuments:
    """Of one provider. They are kept for an hour; an unknown key is looked for at once, and once a minute at most."""

    def __init__(self, provider: OidcProvider, egress: Egress, clock: Clock) -> None:
        self._provider = provider
        self._egress = egress
        self._clock = clock
        self._circuit = Circuit(_CIRCUIT, clock)
        self._turn = asyncio.Lock()
        self._metadata: Metadata | None = None
        self._keys: Mapping[str, PyJWK] = {}
        self._metadata_at_s = self._keys_at_s = self._looked_at_s = float("-inf")

    async def metadata(self) -> Metadata:
        """Return where the provider's endpoints are.

        Raises:
            OidcProviderUnavailable: it does not say so.

        """
        async with self._turn:
            return await self._current_metadata()

    async def key(self, kid: str) -> PyJWK:
        """Return the key with this id.

        Raises:
            OidcProviderUnavailable: the provider does not tell its keys.
            OidcLoginRefused: it has no such key, or none that fits its algorithm.

        """
        async with self._turn:
            now_s = self._clock.monotonic_s()
            is_missed = kid not in self._keys and now_s - self._looked_at_s >= _BETWEEN_LOOKS_S
            if is_missed or now_s - self._keys_at_s >= _KEPT_S:
                await self._fetch_keys()
        if kid not in self._keys:
            raise OidcLoginRefused("The provider has no such key for ID tokens.")
        return self._keys[kid]

    async def _current_metadata(self) -> Metadata:
        if self._metadata is None or self._clock.monotonic_s() - self._metadata_at_s >= _KEPT_S:
            self._metadata = await self._fetch_metadata()
            self._metadata_at_s = self._clock.monotonic_s()
        return self._metadata

    async def _fetch_metadata(self) -> Metadata:
        url = self._provider.issuer.rstrip("/") + "/.well-known/openid-configuration"
        try:
            metadata = Metadata.model_validate(await self._document(url))
        except ValidationError:
            raise OidcProviderUnavailable(
                "The provider's metadata lacks an endpoint, or has one without TLS."
            ) from None
        if metadata.issuer != self._provider.issuer:
            raise OidcProviderUnavailable("The provider's metadata is of another issuer.")
        return metadata

    async def _fetch_keys(self) -> None:
        url = (await self._current_metadata()).jwks_uri
        self._looked_at_s = self._clock.monotonic_s()
        self._keys = signing_keys(await self._document(url), self._provider.algorithm)
        self._keys_at_s = self._looked_at_s

    async def _document(self, url: str) -> dict[str, Any]:
        try:
            self._circuit.enter(is_retry=False)
            document = object_of(await call(self._egress, "GET", url))
        except CallPutOff as error:
            raise OidcProviderUnavailable(f"The provider is left alone for a while. {error}") from None
        except OidcProviderUnavailable:
            self._circuit.failed()
            raise
        self._circuit.succeeded()
        return document


async def call(
    egress: Egress, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> OutgoingAnswer:
    """Send a request to an endpoint of a provider, and to no other host.

    Raises:
        OidcProviderUnavailable: there was no answer in time, or it may not be called.

    """
    parts = urlsplit(url)
    allowed = parts.netloc if parts.scheme == "https" else f"http://{parts.netloc}"
    request = OutgoingRequest(method=method, url=url, headers=headers or {}, body=body, allowed_hosts=[allowed])
    try:
        return await egress.send(request)
    except (EgressFailed, EgressRefused) as error:
        raise OidcProviderUnavailable(f"The provider cannot be reached. {error}") from None


def object_of(answer: OutgoingAnswer) -> dict[str, Any]:
    """Return the JSON object that a provider has answered.

    Raises:
        OidcProviderUnavailable: it is something else, an error, a redirect, or more than 1 MiB.

    """
    if answer.status != _OK or answer.is_truncated:
        raise OidcProviderUnavailable(f"The provider answered {answer.status}, or more than is read.")
    try:
        return strict_json.parse_object(answer.body)
    except (strict_json.MalformedJson, InvalidInput):
        raise OidcProviderUnavailable("The provider's answer is no JSON object that has one meaning.") from None
