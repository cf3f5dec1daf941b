"""Access: who may do what. API keys and built-in roles."""

from rustok.modules.access.authentication import Authenticator, Identity
from rustok.modules.access.rights import Rights, rights_of
from rustok.modules.access.roles import is_for_visitors
from rustok.modules.access.service import list_api_keys

__all__ = ["Authenticator", "Identity", "Rights", "is_for_visitors", "list_api_keys", "rights_of"]
