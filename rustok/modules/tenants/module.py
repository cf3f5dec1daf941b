"""Descriptor of the tenants module."""

from rustok.kernel.module import Command, Module, ModuleKind, Query
from rustok.kernel.permission import Permission
from rustok.modules.tenants import errors, schemas, service, switches
from rustok.modules.tenants.events import ModuleDisabled, ModuleEnabled, RequestQuotaSet, TenantCreated

TENANTS = Module(
    name="tenants",
    kind=ModuleKind.CORE,
    summary="The companies whose business runs here.",
    permissions=(
        Permission("tenants.tenants.create", "Create a tenant", of_platform=True),
        Permission("tenants.modules.read", "See which modules the tenant has"),
        Permission("tenants.modules.write", "Enable and disable modules"),
        Permission("tenants.quotas.write", "Set how many requests a tenant may send", of_platform=True),
    ),
    events=(TenantCreated, ModuleEnabled, ModuleDisabled, RequestQuotaSet),
    commands=(
        Command(
            name="tenants.tenants.create",
            summary="Create a tenant",
            permission="tenants.tenants.create",
            input=schemas.CreateTenant,
            result=schemas.Tenant,
            handler=service.create_tenant,
            route=None,
            errors=(errors.DuplicateSlug,),
        ),
        Command(
            name="tenants.modules.switch",
            summary="Enable or disable a module",
            permission="tenants.modules.write",
            input=schemas.SwitchModule,
            result=schemas.TenantModules,
            handler=switches.switch_module,
            route="PUT /modules/{module}",
            errors=(
                errors.ModuleNotFound,
                errors.ModuleAlwaysOn,
                errors.ModuleInUse,
                errors.ModuleDependsOnOthers,
            ),
        ),
        Command(
            name="tenants.quotas.set",
            summary="Set how many requests a tenant may send",
            permission="tenants.quotas.write",
            input=schemas.SetRequestQuota,
            result=schemas.Tenant,
            handler=service.set_request_quota,
            route=None,
        ),
    ),
    queries=(
        Query(
            name="tenants.modules.list",
            summary="List the modules, and which of them are enabled",
            permission="tenants.modules.read",
            input=schemas.ListModules,
            result=schemas.TenantModules,
            handler=switches.list_modules,
            route="GET /modules",
        ),
    ),
    tables=("tenants", "module_absences"),
)
