"""How each of these pages is entered and answers: to permitted admins, unrecorded, uncached, and in words what is amiss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.csrf import csrf_protect

from perfsuite.exceptions import StoreUnavailable
from perfsuite.panel import views
from perfsuite.panel.place import Place

# A page: asked at a place, with what its URL names.
Page = Callable[..., HttpResponse]
GET, POST = views.METHODS, ("POST",)
EXPLAIN, CHANGE = "perfsuite_panel.explain_query", "perfsuite_panel.change_findings"


class NotThere(LookupError):
    """What the URL names is not in the store; the message says so in one sentence."""


def at_own_url(page: Page, methods: tuple[str, ...] = GET) -> Callable[..., HttpResponse]:
    """Return the page as a view of the host's own URL."""

    def view(request: HttpRequest, **named: str) -> HttpResponse:
        place = Place.own()

        def answer() -> HttpResponse:
            if views.is_permitted(request, place.site):
                return csrf_protect(page)(request, place=place, **named)
            if cast(Any, request).user.is_authenticated:
                raise PermissionDenied
            # After the login, a POST would come back as a GET.
            back = request.get_full_path() if methods == GET else place.url("index")
            return redirect_to_login(back, views.login_url(admin.site))

        return views.respond(request, answer, methods)

    return view


def in_admin(page: Page, place: Place, methods: tuple[str, ...] = GET) -> Callable[..., HttpResponse]:
    """Return the page as a view for ``AdminSite.admin_view``, which sends strangers to the login and protects from CSRF."""

    def view(request: HttpRequest, **named: str) -> HttpResponse:
        def answer() -> HttpResponse:
            if not views.is_permitted(request, place.site):
                raise PermissionDenied
            return page(request, place=place, **named)

        return views.respond(request, answer, methods)

    return view


def told(page: Page, tab: str, title: str) -> Page:
    """Have what a page raises answered in words: 404 for what is not there, 400 for an address, 503 for the store."""

    def view(request: HttpRequest, place: Place, **named: str) -> HttpResponse:
        try:
            return page(request, place=place, **named)
        except NotThere as exc:
            return said(request, place, tab, title, str(exc), 404)
        except views.BadAddress as exc:
            return said(request, place, tab, title, str(exc), 400)
        except StoreUnavailable as exc:
            return said(request, place, tab, title, str(exc), 503)

    return view


def said(
    request: HttpRequest, place: Place, tab: str, title: str, sentence: str, status: int
) -> HttpResponse:
    """Return a page that is one sentence."""
    context = {**place.context(request, tab, title), "sentence": sentence}
    return TemplateResponse(request, "perfsuite_panel/said.html", context, status=status)


def may(request: HttpRequest, permission: str) -> bool:
    """Return whether the user has a permission beside that to view the panel."""
    return bool(cast(Any, request).user.has_perm(permission))


def chosen_of(value: str, name: str, known: dict[str, Any]) -> str:
    """Return a value of the address that must be one of the known, else raise ``BadAddress``."""
    if value not in known:
        raise views.BadAddress(f"Unknown {name} {value[:40]!r}. Write one of {', '.join(known)}.")
    return value
