"""Tenants: the companies whose business runs here."""

from rustok.modules.tenants.erasure import WAITING, Erasure, list_erasures
from rustok.modules.tenants.errors import TenantNotFound
from rustok.modules.tenants.resolution import (
    ResolvedTenant,
    TenantKey,
    key_of_host,
    key_of_reference,
    resolve_tenant,
)
from rustok.modules.tenants.schemas import Tenant
from rustok.modules.tenants.service import create_tenant, find_tenant, list_tenants
from rustok.modules.tenants.switches import modules_off, without_absences

__all__ = [
    "WAITING",
    "Erasure",
    "ResolvedTenant",
    "Tenant",
    "TenantKey",
    "TenantNotFound",
    "create_tenant",
    "find_tenant",
    "key_of_host",
    "key_of_reference",
    "list_erasures",
    "list_tenants",
    "modules_off",
    "resolve_tenant",
    "without_absences",
]
