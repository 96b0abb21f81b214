"""The middleware that runs each request for its tenant.

The resolver is the host's own code: what it raises goes the way of any exception in a middleware, for a guess here could show
one tenant another's data.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from perfsuite.streaming import follow
from perfsuite.tenancy.conf import TenancySettings
from perfsuite.tenancy.current import Tenant, tenant, variable

Resolver = Callable[[HttpRequest], Any]


def load_resolver() -> Resolver:
    """Return the function that ``PERFSUITE["TENANCY"]["RESOLVER"]`` names, or raise ImproperlyConfigured with what to type."""
    path = TenancySettings.get().resolver
    if not path:
        raise ImproperlyConfigured(
            'TenantMiddleware needs PERFSUITE = {"TENANCY": {"RESOLVER": "yourapp.tenants.resolve"}}.'
        )
    try:
        resolver = import_string(path)
    except ImportError as exc:
        raise ImproperlyConfigured(
            f"PERFSUITE['TENANCY']['RESOLVER'] is {path!r}, which cannot be imported: {exc}."
        ) from exc
    if not callable(resolver):
        raise ImproperlyConfigured(f"PERFSUITE['TENANCY']['RESOLVER'] is {path!r}, which is not a function.")
    return cast(Resolver, resolver)


class TenantMiddleware:
    """Resolves the tenant and sets ``current_tenant()`` for the request, its streamed body included. Sync and async."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        resolver = load_resolver()
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)
            self.resolve: Resolver = resolver if iscoroutinefunction(resolver) else sync_to_async(resolver)
        else:
            self.resolve = async_to_sync(resolver) if iscoroutinefunction(resolver) else resolver

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request for its tenant."""
        if self.is_async:
            return self.__acall__(request)
        resolved: Tenant | None = self.resolve(request)
        with tenant(resolved):
            return self.finish(self.get_response(request), resolved)

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Do the same under ASGI."""
        resolved: Tenant | None = await self.resolve(request)
        with tenant(resolved):
            return self.finish(await self.get_response(request), resolved)

    def finish(self, response: HttpResponseBase, resolved: Tenant | None) -> HttpResponseBase:
        """Have a streamed body run for the tenant too."""
        if response.streaming:
            follow(response, variable, resolved)
        return response
