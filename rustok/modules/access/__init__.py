"""Access: who may do what. Users, service principals, roles and API keys."""

from rustok.modules.access.attempts import Attempt
from rustok.modules.access.audit import head_of_audit, verify_audit
from rustok.modules.access.audit_chain import NO_ROW, Head, read_anchor
from rustok.modules.access.authentication import Authenticator, Identity
from rustok.modules.access.errors import (
    BuiltInRole,
    OidcLoginRefused,
    OidcProviderUnavailable,
    PrincipalNotFound,
    SignInBlocked,
    SignInRefused,
)
from rustok.modules.access.oidc import OidcLogin
from rustok.modules.access.oidc_provider import parse_providers
from rustok.modules.access.passwords import NewPassword, TooManyHashes
from rustok.modules.access.rights import Rights, rights_of
from rustok.modules.access.roles import is_for_visitors
from rustok.modules.access.schemas import Email
from rustok.modules.access.session_repository import purge_sign_ins
from rustok.modules.access.sessions import Circumstances, Sessions, SignedIn
from rustok.modules.access.sign_in import SignIns

__all__ = [
    "NO_ROW",
    "Attempt",
    "Authenticator",
    "BuiltInRole",
    "Circumstances",
    "Email",
    "Head",
    "Identity",
    "NewPassword",
    "OidcLogin",
    "OidcLoginRefused",
    "OidcProviderUnavailable",
    "PrincipalNotFound",
    "Rights",
    "Sessions",
    "SignInBlocked",
    "SignInRefused",
    "SignIns",
    "SignedIn",
    "TooManyHashes",
    "head_of_audit",
    "is_for_visitors",
    "parse_providers",
    "purge_sign_ins",
    "read_anchor",
    "rights_of",
    "verify_audit",
]
