"""What the public reads: front pages, listings, search, single pages, the team."""

from __future__ import annotations

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.templatetags.static import static

from perfsuite.monitoring import monitor_performance
from sampleproject.portal.models import Form, Page, Tenant, User
from sampleproject.portal.views.scope import asked, for_tenant, listed, matching, paginated, published_pages

PAGES_PER_LISTING = 24
MEMBERS_PER_LISTING = 24


def favicon(request: HttpRequest) -> HttpResponse:
    """Lead browsers that ask for `/favicon.ico`, in the admin for one, to the site's icon."""
    return redirect(static("portal/icon.svg"))


def home(request: HttpRequest) -> HttpResponse:
    """List the portals."""
    published = Page.objects.filter(status=Page.Status.PUBLISHED)
    counted = published.order_by().values_list("tenant").annotate(page_count=Count("id"))
    page_counts = dict(counted)
    portals = [{"tenant": each, "page_count": page_counts.get(each.pk, 0)} for each in Tenant.objects.all()]
    return render(request, "portal/home.html", {"portals": portals})


@for_tenant
def front(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Show a portal: its modules, what changed lately, its forms."""
    pages = published_pages(tenant)
    modules = (
        pages.order_by().values("module").annotate(page_count=Count("id")).order_by("-page_count", "module")
    )
    context = {
        "tenant": tenant,
        "modules": modules[:12],
        "latest": listed(pages).order_by("-updated_at")[:6],
        "forms": Form.objects.filter(tenant=tenant),
    }
    return render(request, "portal/front.html", context)


@for_tenant
def listing(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """List the pages of a portal, all of them or those of one module."""
    module = asked(request, "module")
    pages = listed(published_pages(tenant))
    if module:
        pages = pages.filter(module=module)
    context = {"tenant": tenant, "module": module, "results": paginated(request, pages, PAGES_PER_LISTING)}
    return render(request, "portal/listing.html", context)


@for_tenant
def detail(request: HttpRequest, tenant: Tenant, slug: str) -> HttpResponse:
    """Show one page, and its neighbours in the same module."""
    page = get_object_or_404(published_pages(tenant).select_related("author"), slug=slug)
    neighbours = published_pages(tenant).filter(module=page.module).exclude(pk=page.pk).only("title", "slug")
    context = {"tenant": tenant, "page": page, "neighbours": neighbours[:12]}
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
