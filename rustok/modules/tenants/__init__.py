"""Tenants: the companies whose business runs here."""

from rustok.modules.tenants.service import TenantNotFound, create_tenant, find_tenant, list_tenants

__all__ = ["TenantNotFound", "create_tenant", "find_tenant", "list_tenants"]
