"""An OpenID provider on loopback, as honest or hostile as a test wants it."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from rustok.kernel.secrets import Secrets
from rustok.modules.access.id_token import OidcIdentity
from rustok.modules.access.oidc import OidcLogin
from rustok.modules.access.oidc_provider import OidcProvider
from tests.integration.egress.support import Handler, Server, read_request, serving

CLIENT_ID = "rustok at example"
CLIENT_SECRET = "s3cret & more"
NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
SECRETS = Secrets("a secret of the tests, long enough")
TENANT = UUID("019a7c00-0000-7000-8000-00000000000a")
REDIRECT = "https://shop.example.com/login/example"
METADATA, KEYS, TOKEN = "/.well-known/openid-configuration", "/keys", "/token"
RSA_KEY = rsa.generate_private_key(65537, 2048)


def public_jwk(key: rsa.RSAPrivateKey, kid: str, **members: Any) -> dict[str, Any]:
    jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {"kty": "RSA", "n": jwk["n"], "e": jwk["e"], "kid": kid, "use": "sig", "alg": "RS256"} | members


@dataclass(slots=True)
class FakeProvider:
    """*claims* changes those of ID tokens: None leaves one out. *sign* makes a token of claims.

    *answers*: what is said at a path instead: the bytes of an answer, or a handler.
    """

    server: Server
    keys: list[Any] = field(default_factory=lambda: [public_jwk(RSA_KEY, "1")])
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[dict[str, Any]], str] = lambda claims: jwt.encode(claims, RSA_KEY, "RS256", {"kid": "1"})
    answers: dict[str, bytes | Handler] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    _logins: dict[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    def sign_in(self, url: str) -> tuple[str, str]:
        """Let Anna sign in where her browser was sent; return the code and the state of the redirect."""
        login = dict(parse_qsl(urlsplit(url).query))
        code = f"code-{len(self._logins)}"
        self._logins[code] = login
        return code, login["state"]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _, body = (await read_request(reader)).partition(b"\r\n\r\n")
        path = head.split()[1].decode()
        self.asked.append(path)
        said = self.answers.get(path)
        if said is None:
            said = answer(self._document(path, head, body))
        if isinstance(said, bytes):
            writer.write(said)
            await writer.drain()
        else:
            await said(reader, writer)

    def _document(self, path: str, head: bytes, body: bytes) -> dict[str, Any] | None:
        match path:
            case "/.well-known/openid-configuration":
                endpoints = {"authorization_endpoint": "/login", "token_endpoint": "/token", "jwks_uri": "/keys"}
                found = {name: self.issuer + path for name, path in endpoints.items()}
                return {"issuer": self.issuer, "response_types_supported": ["code"], **found, **self.metadata}
            case "/keys":
                return {"keys": self.keys}
            case "/token":
                return self._token(head, dict(parse_qsl(body.decode())))
            case _:
                return None

    def _token(self, head: bytes, form: Mapping[str, str]) -> dict[str, Any] | None:
        """Answer a code once, to who began the login that it ends."""
        login = self._logins.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        credentials = base64.b64encode(b"rustok+at+example:s3cret+%26+more")
        is_ours = b"authorization: Basic " + credentials in head and form["grant_type"] == "authorization_code"
        if login is None or not is_ours or challenge != login["code_challenge"]:
            return None
        if form["redirect_uri"] != login["redirect_uri"]:
            return None
        claims = {
            "iss": self.issuer,
            "sub": "248289761001",
            "aud": CLIENT_ID,
            "iat": NOW_S,
            "exp": NOW_S + 300,
            "nonce": login["nonce"],
            "email": "Anna@example.com",
            "email_verified": True,
            "name": "Anna",
        } | self.claims
        kept = {name: value for name, value in claims.items() if value is not None}
        return {"access_token": "theirs", "token_type": "Bearer", "id_token": self.sign(kept)}


def answer(document: Any, status: int = 200) -> bytes:
    """Return the answer that has *document* as JSON; 400 where there is none."""
    body = json.dumps(document).encode()
    return f"HTTP/1.1 {400 if document is None else status} .\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def providing() -> AsyncIterator[FakeProvider]:
    """Run a provider."""
    made: list[FakeProvider] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await made[0].handle(reader, writer)

    async with serving(handle) as server:
        made.append(FakeProvider(server))
        yield made[0]


def parameters(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query, strict_parsing=True)


def configured(provider: FakeProvider, **fields: Any) -> OidcProvider:
    return OidcProvider(
        name="example",
        issuer=provider.issuer,
        client_id=CLIENT_ID,
        client_secret=SecretStr(CLIENT_SECRET),
        redirect_uri=REDIRECT,
        **fields,
    )


async def signed_in(login: OidcLogin, provider: FakeProvider) -> OidcIdentity:
    """Sign Anna in: begin, let her browser go to the provider and come back, and end."""
    url, remembered = await login.begin(TENANT)
    code, state = provider.sign_in(url)
    return await login.exchange(TENANT, code, state, remembered)
