"""What the tenants module refuses."""

from rustok.kernel.errors import Conflict, NotFound


class DuplicateSlug(Conflict):
    """Another tenant has this slug."""

    code = "tenant_slug_taken"


class TenantNotFound(NotFound):
    """No tenant has this slug or id."""

    code = "tenant_not_found"


class TenantBeingErased(Conflict):
    """The tenant's rows are being deleted, for good: it cannot be switched on any more."""

    code = "tenant_being_erased"


class DomainTaken(Conflict):
    """Another tenant has this domain."""

    code = "domain_taken"


class DomainNotFound(NotFound):
    """The tenant does not have this domain."""

    code = "domain_not_found"


class ModuleNotFound(NotFound):
    """The platform has no module of this name."""

    code = "module_not_found"


class ModuleAlwaysOn(Conflict):
    """The platform cannot do without this module."""

    code = "module_always_on"


class ModuleInUse(Conflict):
    """Other modules that are on depend on this one."""

    code = "module_in_use"


class ModuleDependsOnOthers(Conflict):
    """The module depends on others that are off."""

    code = "module_depends_on_others"
