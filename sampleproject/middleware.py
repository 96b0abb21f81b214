"""The Content-Security-Policy header, in the few lines that every supported Django can run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.utils.decorators import sync_and_async_middleware

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


@sync_and_async_middleware
def ContentSecurityPolicyMiddleware(get_response: Any) -> Any:  # noqa: N802  (named like Django's own)
    """Send `settings.CONTENT_SECURITY_POLICY` with each response that has no policy of its own."""

    def protect(response: HttpResponse) -> HttpResponse:
        if not response.has_header("Content-Security-Policy"):
            response["Content-Security-Policy"] = settings.CONTENT_SECURITY_POLICY
        return response

    if iscoroutinefunction(get_response):

        async def middleware(request: HttpRequest) -> HttpResponse:
            return protect(await get_response(request))

    else:

        def middleware(request: HttpRequest) -> HttpResponse:  # type: ignore[misc]  # the sync twin of the above
            return protect(get_response(request))

    return middleware
