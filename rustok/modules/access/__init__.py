"""Access: who may do what. Users, service principals, roles and API keys."""

from rustok.modules.access.authentication import Authenticator, Identity
from rustok.modules.access.errors import PrincipalNotFound, SignInBlocked, SignInRefused
from rustok.modules.access.passwords import TooManyHashes
from rustok.modules.access.rights import Rights, rights_of
from rustok.modules.access.roles import is_for_visitors
from rustok.modules.access.schemas import Email
from rustok.modules.access.session_repository import purge_sign_ins
from rustok.modules.access.sessions import Circumstances, Sessions, SignedIn

__all__ = [
    "Authenticator",
    "Circumstances",
    "Email",
    "Identity",
    "PrincipalNotFound",
    "Rights",
    "Sessions",
    "SignInBlocked",
    "SignInRefused",
    "SignedIn",
    "TooManyHashes",
    "is_for_visitors",
    "purge_sign_ins",
    "rights_of",
]
