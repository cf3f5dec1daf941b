"""What may go wrong with principals, roles and keys."""

from rustok.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound, RustokError, Unauthenticated, Unavailable


class ApiKeyNotFound(NotFound):
    """The tenant has no key with this id."""

    code = "api_key_not_found"


class ApiKeyEnded(Conflict):
    """The key is revoked or has expired: it gets no successor."""

    code = "api_key_ended"


class ApiKeyRotated(Conflict):
    """The key has a successor already, which is the one to rotate."""

    code = "api_key_rotated"


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


class BuiltInRole(Conflict):
    """The role is built in: it is neither changed nor deleted."""

    code = "built_in_role"

    def __init__(self, name: str) -> None:
        super().__init__(f"The role {name!r} is built in and stays as it is: create one that descends from it.")


class DuplicateRole(Conflict):
    """The tenant has a role of this name."""

    code = "duplicate_role"


class TooManyRoles(Conflict):
    """The tenant has as many roles as it may have."""

    code = "too_many_roles"


class RoleInUse(Conflict):
    """Somebody has the role, or another role descends from it."""

    code = "role_in_use"


class SignInRefused(Unauthenticated):
    """There is no such user in this tenant, the password is another one, or the user may not sign in."""

    code = "sign_in_refused"


class SignInBlocked(RustokError):
    """There were too many attempts to sign in with this address, or on this device: for a while there is no other."""

    code = "sign_in_blocked"
    retryable = True

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Too many attempts to sign in: try again in {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class OidcLoginRefused(Unauthenticated):
    """The login at a provider has not come to an end that can be believed."""

    code = "oidc_login_refused"


class OidcProviderUnavailable(Unavailable):
    """An OpenID provider does not answer, or not as it should."""

    code = "oidc_provider_unavailable"


class RightsExceeded(Forbidden):
    """One gives away, or decides about, rights that one does not have oneself."""

    code = "rights_exceeded"
