"""Whose request is this? The first part of the path says it: `/t/<tenant>/...`.

The tenants of the site are few and change rarely, so each process keeps all of them and reads them again once a
minute: a request normally costs no statement here, and an unknown name never costs one.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from django.apps import apps

if TYPE_CHECKING:
    from django.http import HttpRequest

    from sampleproject.portal.models import Tenant

MAX_AGE_S = 60.0
TENANT_PATH = re.compile(r"/t/(?P<slug>[-\w]+)/", re.ASCII)

_by_slug: dict[str, Tenant] = {}
_fresh_until = 0.0


def resolve(request: HttpRequest) -> str | None:
    """Return the id of the tenant that `request` belongs to, or None. This is perfsuite's TENANCY RESOLVER."""
    match = TENANT_PATH.match(request.path_info)
    tenant = find(match["slug"]) if match else None
    return str(tenant.pk) if tenant else None  # a number on some databases, an ObjectId on another


def find(slug: str) -> Tenant | None:
    """Return the tenant called `slug`, or None. The object is shared by all requests: do not change it."""
    global _by_slug, _fresh_until
    if time.monotonic() >= _fresh_until:
        tenants = apps.get_model("portal", "Tenant").objects.all()
        _by_slug = {tenant.slug: tenant for tenant in tenants}
        _fresh_until = time.monotonic() + MAX_AGE_S
    return _by_slug.get(slug)


def forget(**_signal: Any) -> None:
    """Read the tenants again at the next request. Connected to the signals of the Tenant model."""
    global _fresh_until
    _fresh_until = 0.0
