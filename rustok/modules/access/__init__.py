"""Access: who may do what. API keys and built-in roles."""

from rustok.modules.access.authentication import Authenticator, Identity
from rustok.modules.access.service import list_api_keys

__all__ = ["Authenticator", "Identity", "list_api_keys"]
