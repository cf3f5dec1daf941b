"""Descriptor of the access module."""

from rustok.kernel.module import Command, Module, ModuleKind
from rustok.kernel.permission import Permission
from rustok.modules.access import events, schemas, service

ACCESS = Module(
    name="access",
    kind=ModuleKind.CORE,
    summary="Who may do what: API keys and built-in roles.",
    depends_on=("tenants",),
    permissions=(
        Permission("access.api_keys.read", "List API keys"),
        Permission("access.api_keys.write", "Create and revoke API keys"),
    ),
    events=(events.ApiKeyCreated, events.ApiKeyRevoked),
    commands=(
        Command(
            name="access.api_keys.create",
            summary="Create an API key",
            permission="access.api_keys.write",
            input=schemas.CreateApiKey,
            result=schemas.CreatedApiKey,
            handler=service.create_api_key,
            route=None,
        ),
        Command(
            name="access.api_keys.revoke",
            summary="Revoke an API key",
            permission="access.api_keys.write",
            input=schemas.RevokeApiKey,
            result=schemas.ApiKeyInfo,
            handler=service.revoke_api_key,
            route=None,
            errors=(service.ApiKeyNotFound,),
        ),
    ),
    tables=("api_keys",),
)
