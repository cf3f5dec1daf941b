"""Tenants: the companies whose business runs here."""

from rustok.modules.tenants.errors import TenantNotFound
from rustok.modules.tenants.service import create_tenant, find_tenant, list_tenants
from rustok.modules.tenants.switches import modules_off, without_absences

__all__ = ["TenantNotFound", "create_tenant", "find_tenant", "list_tenants", "modules_off", "without_absences"]
