"""What the public reads: front pages, listings, search, single pages, the team.

Whole pages are kept too. They carry the tags of what they are made of (`kept.py`), so that what is saved makes them outdated.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static

from perfsuite.monitoring import monitor_performance
from perfsuite.responses import cache_response
from sampleproject.portal.models import Form, Page, Tenant, User
from sampleproject.portal.views import kept
from sampleproject.portal.views.kept import PAGES_PER_LISTING
from sampleproject.portal.views.scope import (
    KEPT_S,
    ON_SESSION,
    STALE_S,
    asked,
    for_tenant,
    listed,
    matching,
    paginated,
    published_pages,
)

MEMBERS_PER_LISTING = 24


def favicon(request: HttpRequest) -> HttpResponse:
    """Lead browsers that ask for `/favicon.ico`, in the admin for one, to the site's icon."""
    return redirect(static("portal/icon.svg"))


@cache_response(KEPT_S, vary_on=ON_SESSION, stale_for=STALE_S)
def home(request: HttpRequest) -> HttpResponse:
    """List the portals."""
    return render(request, "portal/home.html", {"portals": kept.portals()})


@for_tenant
@cache_response(KEPT_S, per="tenant", vary_on=ON_SESSION, stale_for=STALE_S)
def front(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Show a portal: its modules, what changed lately, its forms."""
    context = {
        "tenant": tenant,
        "modules": kept.modules(tenant.pk),
        "latest": kept.latest(tenant.pk),
        "forms": Form.objects.filter(tenant=tenant),  # read only where the template does not have them
    }
    return render(request, "portal/front.html", context)


@for_tenant
@cache_response(KEPT_S, per="tenant", vary_on=ON_SESSION, stale_for=STALE_S)
def listing(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """List the pages of a portal, all of them or those of one module."""
    module = asked(request, "module")
    results = kept.listing(tenant.pk, module, asked(request, "page"))
    context = {"tenant": tenant, "module": module, "results": results}
    return render(request, "portal/listing.html", context)


@for_tenant
@cache_response(KEPT_S, per="tenant", vary_on=ON_SESSION, stale_for=STALE_S)
def detail(request: HttpRequest, tenant: Tenant, slug: str) -> HttpResponse:
    """Show one page, and its neighbours in the same module."""
    page, neighbours = kept.page_and_neighbours(tenant.pk, slug)
    context = {"tenant": tenant, "page": page, "neighbours": neighbours}
    return render(request, "portal/detail.html", context)


@for_tenant
def search(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Find pages by words in title, keywords or body. Slow on purpose, see `matching`."""
    words = asked(request, "q")
    found = published_pages(tenant).filter(matching(words)) if words else Page.objects.none()
    with monitor_performance("portal.search"):
        results = paginated(request, listed(found), PAGES_PER_LISTING)
        results.object_list = list(results.object_list)
    return render(request, "portal/search.html", {"tenant": tenant, "words": words, "results": results})


@for_tenant
def team(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """List the people of a portal with what they wrote.

    Slow on purpose: two more statements for each person, where one statement with annotations would do (N+1).
    """
    results = paginated(
        request, User.objects.filter(tenant=tenant).order_by("last_name", "first_name"), MEMBERS_PER_LISTING
    )
    members = []
    for user in results:
        written = published_pages(tenant).filter(author=user)
        members.append(
            {"user": user, "page_count": written.count(), "latest": written.order_by("-updated_at").first()}
        )
    return render(request, "portal/team.html", {"tenant": tenant, "results": results, "members": members})
