"""The built-in roles, as patterns over the permissions that the modules declare."""

from collections.abc import Iterable, Mapping

from rustok.kernel.permission import Permission, expand

BUILT_IN_ROLES: Mapping[str, tuple[str, ...]] = {
    "owner": ("*",),
    "admin": ("commerce.*", "content.*", "blog.*", "index.*", "jobs.*", "alloy.*", "outbox.*", "access.api_keys.read"),
    "manager": ("commerce.*", "content.*.read", "blog.*.read", "index.*", "jobs.*.read", "alloy.*.read"),
    "editor": ("content.*", "blog.*", "commerce.*.read", "index.*", "jobs.*.read"),
    "customer": ("index.*.read",),
    "visitor": ("index.products.read", "index.content.read"),
}
"""`visitor` is also what somebody without a credential has, where a tenant has opened its storefront."""


def permissions_of(role: str, known: Iterable[Permission]) -> frozenset[str]:
    """Return what *role* may do. The platform's own permissions are in no role."""
    return expand(BUILT_IN_ROLES[role], (p.name for p in known if not p.of_platform))


def is_for_visitors(permission: str) -> bool:
    """Tell whether *permission* is one that visitors have."""
    return permission in BUILT_IN_ROLES["visitor"]
