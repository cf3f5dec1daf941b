"""Descriptor of the tenants module."""

from rustok.kernel.module import Command, Module, ModuleKind
from rustok.kernel.permission import Permission
from rustok.modules.tenants import schemas, service
from rustok.modules.tenants.events import TenantCreated

TENANTS = Module(
    name="tenants",
    kind=ModuleKind.CORE,
    summary="The companies whose business runs here.",
    permissions=(Permission("tenants.tenants.create", "Create a tenant", of_platform=True),),
    events=(TenantCreated,),
    commands=(
        Command(
            name="tenants.tenants.create",
            summary="Create a tenant",
            permission="tenants.tenants.create",
            input=schemas.CreateTenant,
            result=schemas.Tenant,
            handler=service.create_tenant,
            route=None,
            errors=(service.DuplicateSlug,),
        ),
    ),
    tables=("tenants",),
)
