# Made from the OpenAPI document. Do not edit: `python -m tests.client_code` writes this file.
"""Operations of tenants."""

from rustok.client.commands import Command
from rustok.client.consistency import Conversation
from rustok.client.endpoints import Endpoint, Module
from rustok.client.models import TenantModules


class Modules(Endpoint):
    """Operations `tenants.modules`."""

    async def list(self) -> TenantModules:
        """List the modules, and which of them are enabled.

        Takes the permission `tenants.modules.read`.
        """
        return await self._get("tenants.modules.list", "/api/v1/tenants/modules", TenantModules)

    def switch(self, module: str, *, expected_version: int | None = None, is_enabled: bool) -> Command[TenantModules]:
        """Enable or disable a module.

        Takes the permission `tenants.modules.write`.
        Problems: `module_always_on`, `module_depends_on_others`, `module_in_use`, `module_not_found`.
        """
        return self._command(
            "tenants.modules.switch",
            "PUT /api/v1/tenants/modules/{module}",
            TenantModules,
            parts={"module": module},
            body={"is_enabled": is_enabled},
            version=expected_version,
        )


class Tenants(Module):
    """The companies whose business runs here."""

    name = "tenants"
    batch_path = "/api/v1/tenants:batch"

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation)
        self.modules = Modules(conversation)
