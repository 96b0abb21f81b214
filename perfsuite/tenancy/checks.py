"""System checks of the tenancy app."""

from __future__ import annotations

from typing import Any

from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from perfsuite.conf import middleware_places
from perfsuite.tenancy.middleware import load_resolver


@checks.register("perfsuite")
def check_tenancy(**kwargs: Any) -> list[checks.CheckMessage]:
    """Report TenantMiddleware given twice (E001) and a resolver that cannot be used (E002)."""
    places = middleware_places("perfsuite.tenancy", "TenantMiddleware")
    if len(places) > 1:
        message = f"TenantMiddleware is in MIDDLEWARE {len(places)} times."
        return [checks.Error(message, hint="Keep only one entry.", id="perfsuite_tenancy.E001")]
    if places:
        try:
            load_resolver()
        except ImproperlyConfigured as exc:
            hint = "Write the dotted path of a function that takes the request and returns the tenant's id or None."
            return [checks.Error(str(exc), hint=hint, id="perfsuite_tenancy.E002")]
    return []
