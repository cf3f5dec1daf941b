"""Access: who may do what. API keys and built-in roles."""

from rustok.modules.access.authentication import Authenticator, Identity

__all__ = ["Authenticator", "Identity"]
