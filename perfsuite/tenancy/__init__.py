"""Knows whose request this is.

``current_tenant()``, ``with tenant(...)``, ``with across_tenants(...)`` and ``TenantMiddleware``.
"""

from __future__ import annotations

from perfsuite.tenancy.current import Tenant, across_tenants, current_tenant, tenant
from perfsuite.tenancy.middleware import TenantMiddleware

default_app_config = "perfsuite.tenancy.apps.TenancyConfig"

__all__ = ["Tenant", "TenantMiddleware", "across_tenants", "current_tenant", "tenant"]
