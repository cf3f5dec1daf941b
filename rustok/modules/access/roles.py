"""The built-in roles, as patterns over the permissions that the modules declare."""

from collections.abc import Iterable, Mapping

from rustok.kernel.permission import Permission, expand

BUILT_IN_ROLES: Mapping[str, tuple[str, ...]] = {
    "owner": ("*",),
    "admin": ("commerce.*", "content.*", "blog.*", "index.*", "jobs.*", "alloy.*", "outbox.*", "access.api_keys.read"),
    "manager": ("commerce.*", "content.*.read", "blog.*.read", "index.*", "jobs.*.read", "alloy.*.read"),
    "editor": ("content.*", "blog.*", "commerce.*.read", "index.*", "jobs.*.read"),
    "customer": ("index.*.read",),
}


def permissions_of(role: str, known: Iterable[Permission]) -> frozenset[str]:
    """Return what *role* may do. The platform's own permissions are in no role."""
    return expand(BUILT_IN_ROLES[role], (p.name for p in known if not p.of_platform))
