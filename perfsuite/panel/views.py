"""The panel's page and its JSON, for the host's own URL and for the admin.

Its requests are left out of all figures: an open page would otherwise look like traffic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.cache import add_never_cache_headers

from perfsuite.metrics import suppress
from perfsuite.metrics.request import discard_current
from perfsuite.panel.conf import PanelSettings
from perfsuite.panel.payload import DEFAULT_RANGE, RANGES, Range, payload
from perfsuite.panel.place import Place

PERMISSION = "perfsuite_panel.view_dashboard"
METHODS = ("GET", "HEAD")


class BadAddress(ValueError):
    """Something in the address is none of what the page knows; the message says what it knows."""


class UnknownRange(BadAddress):
    """The range in the address is none of the page's."""


def index(request: HttpRequest) -> HttpResponse:
    """Show the panel at the host's own URL."""

    def answer() -> HttpResponse:
        if is_permitted(request, admin.site):
            return page(request, Place.own())
        if cast(Any, request).user.is_authenticated:
            raise PermissionDenied
        return redirect_to_login(request.get_full_path(), login_url(admin.site))

    return respond(request, answer)


def data(request: HttpRequest) -> HttpResponse:
    """Answer the polls of the page at the host's own URL."""
    return respond(request, lambda: figures(request, admin.site))


def is_permitted(request: HttpRequest, site: AdminSite) -> bool:
    """Return whether the user may enter the admin site (active staff, or the site's own rule) and has the permission."""
    return bool(site.has_permission(request) and cast(Any, request).user.has_perm(PERMISSION))


def login_url(site: AdminSite) -> str:
    """Return the address of the site's login page."""
    return reverse("admin:login", current_app=site.name)


def respond(
    request: HttpRequest, answer: Callable[[], HttpResponse], methods: Sequence[str] = METHODS
) -> HttpResponse:
    """Run ``answer`` unrecorded and uncached, for some methods only."""
    discard_current()
    with suppress():
        if request.method not in methods:
            return HttpResponseNotAllowed(methods)
        response = answer()
    add_never_cache_headers(response)
    return response


def page(request: HttpRequest, place: Place) -> HttpResponse:
    """Return the page, which fetches its numbers from its neighbour. Checks no permission."""
    try:
        chosen = range_of(request)
    except UnknownRange as exc:
        return HttpResponse(str(exc), status=400, content_type="text/plain; charset=utf-8")
    context = {
        **place.context(request, "index", "Performance", chosen.id),
        "panel": {
            "data_url": place.url("data"),
            "range": chosen.id,
            "ranges": list(RANGES.values()),
            "poll_s": PanelSettings.get().poll_s,
            "login_url": login_url(place.site),
        },
    }
    return TemplateResponse(request, "perfsuite_panel/dashboard.html", context)


def figures(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """Return the JSON: 401 without a login, 403 without the permission, 400 for an unknown range."""
    if not is_permitted(request, site):
        if cast(Any, request).user.is_authenticated:
            return JsonResponse({"error": "This account may not view the performance panel."}, status=403)
        return JsonResponse({"error": "Log in to see the performance panel."}, status=401)
    try:
        chosen = range_of(request)
    except UnknownRange as exc:
        return JsonResponse({"error": str(exc)}, status=400)
    return JsonResponse(payload(chosen))


def range_of(request: HttpRequest) -> Range:
    """Return the range in the address, the default one if there is none; raise ``UnknownRange``."""
    wanted = request.GET.get("range", DEFAULT_RANGE)
    try:
        return RANGES[wanted]
    except KeyError:
        raise UnknownRange(f"Unknown range {wanted[:40]!r}. Write one of {', '.join(RANGES)}.") from None
