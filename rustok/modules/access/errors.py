"""What may go wrong with principals, roles and keys."""

from rustok.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound


class ApiKeyNotFound(NotFound):
    """The tenant has no key with this id."""

    code = "api_key_not_found"


class ApiKeyEnded(Conflict):
    """The key is revoked or has expired: it has no successor."""

    code = "api_key_ended"


class PrincipalNotFound(NotFound):
    """The tenant has no such user or service principal."""

    code = "principal_not_found"


class RoleNotFound(NotFound):
    """The tenant has no such role."""

    code = "role_not_found"


class UnknownRole(InvalidInput):
    """The tenant has no role of a name that is given."""

    code = "unknown_role"


class DuplicateEmail(Conflict):
    """Another user of the tenant has this address."""

    code = "duplicate_email"


class DuplicateRole(Conflict):
    """The tenant has a role of this name."""

    code = "duplicate_role"


class RoleInUse(Conflict):
    """Somebody has the role, or another role descends from it."""

    code = "role_in_use"


class RightsExceeded(Forbidden):
    """One gives away, or decides about, rights that one does not have oneself."""

    code = "rights_exceeded"
