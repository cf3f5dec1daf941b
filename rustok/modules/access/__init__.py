"""Access: who may do what. Users, service principals, roles and API keys."""

from rustok.modules.access.authentication import Authenticator, Identity
from rustok.modules.access.errors import PrincipalNotFound
from rustok.modules.access.rights import Rights, rights_of
from rustok.modules.access.roles import is_for_visitors

__all__ = ["Authenticator", "Identity", "PrincipalNotFound", "Rights", "is_for_visitors", "rights_of"]
