"""OpenID providers, as an operator configures them."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, TypeAdapter, ValidationError

from rustok.kernel.errors import Misconfigured

Algorithm = Literal["RS256", "ES256", "EdDSA"]
Endpoint = Annotated[str, StringConstraints(pattern=r"^(https://|http://(127\.0\.0\.1|\[::1\])[:/])[!-\"$-~]{1,2000}$")]
"""A URL without a fragment, over TLS or within the machine."""


class OidcProvider(BaseModel):
    """A provider, and what it knows us as. It authenticates us by `client_secret_basic`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
    """Part of our URLs, and stays: it is the provider's name in what is remembered of a login."""
    issuer: Endpoint
    """Exactly as its ID tokens have it; its metadata is at `<issuer>/.well-known/openid-configuration`."""
    client_id: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    client_secret: SecretStr
    redirect_uri: Endpoint
    """A page of the front end: the provider sends the browser back there, and it sends on what it was given."""
    algorithm: Algorithm = "RS256"
    """The only one that its ID tokens are signed with."""
    tenants: Annotated[frozenset[UUID], Field(min_length=1)] | None = None
    """Whose users it may sign in; all tenants' where there are none: whom it says an email is of, is signed in."""

    def admits(self, tenant_id: UUID) -> bool:
        return self.tenants is None or tenant_id in self.tenants


def parse_providers(text: str) -> tuple[OidcProvider, ...]:
    """Return the providers of the setting RUSTOK_OIDC_PROVIDERS, a JSON list of them.

    Raises:
        Misconfigured: it is something else, or two have one name; the message has no value of it.

    """
    try:
        providers = _PROVIDERS.validate_json(text or "[]")
    except ValidationError as error:
        faults = [": ".join(filter(None, (".".join(map(str, fault["loc"])), fault["msg"]))) for fault in error.errors()]
        raise Misconfigured(f"RUSTOK_OIDC_PROVIDERS: {'; '.join(faults)}") from None
    if len({provider.name for provider in providers}) < len(providers):
        raise Misconfigured("RUSTOK_OIDC_PROVIDERS: two providers have one name.")
    return providers


_PROVIDERS: TypeAdapter[tuple[OidcProvider, ...]] = TypeAdapter(tuple[OidcProvider, ...])
