"""What keeps the tenants apart: each view of a portal gets its tenant, and reads through these functions alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.paginator import Page as PageOfResults
from django.core.paginator import Paginator
from django.db.models import Prefetch, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404

from perfsuite.caching import cached
from sampleproject import tenants
from sampleproject.portal.dialects import contains
from sampleproject.portal.models import Page, Tenant, User

MAX_PARAMETER_LENGTH = 100
KEPT_S = 600
# For so much longer a page is served while it is made anew, or when that fails.
STALE_S = 600
# The head of each page says who is logged in, and looks at that only where there is a session: a page of nobody's session is
# everyone's, any other is not kept.
ON_SESSION = ("cookie:sessionid",)

TenantView = Callable[..., HttpResponse]


def for_tenant(view: TenantView) -> TenantView:
    """Call `view(request, tenant, ...)` with the Tenant that the path names; answer 404 when there is none."""

    @wraps(view)
    def with_tenant(request: HttpRequest, tenant: str, **kwargs: Any) -> HttpResponse:
        found = tenants.find(tenant)
        if found is None:
            raise Http404("No portal has this name.")
        return view(request, current(found.pk), **kwargs)

    return with_tenant


@cached(KEPT_S, tags=["tenant:{tenant_id}"])
def current(tenant_id: Any) -> Tenant:
    """Return a tenant as it is now. Who reads it here has the tag of it: a page that shows its name is outdated with it."""
    return get_object_or_404(Tenant, pk=tenant_id)


def published_pages(tenant: Tenant) -> QuerySet[Page]:
    """Return what the public may read of the tenant's pages."""
    return Page.objects.filter(tenant=tenant, status=Page.Status.PUBLISHED)


def listed(pages: QuerySet[Page]) -> QuerySet[Page]:
    """Return `pages` with what a listing shows of them, the authors' names included, and no more.

    The authors are read by one more statement: with a join, MongoDB would look up the author of each page of the
    tenant before it sorts them.
    """
    shown = ("title", "slug", "module", "kind", "summary", "updated_at", "author")
    return pages.only(*shown).prefetch_related(
        Prefetch("author", User.objects.only("first_name", "last_name"))
    )


def asked(request: HttpRequest, name: str) -> str:
    """Return the parameter `name` of the address, trimmed; without NUL characters, which PostgreSQL refuses."""
    return request.GET.get(name, "").replace("\0", "").strip()[:MAX_PARAMETER_LENGTH]


def matching(words: str) -> Q:
    """Return the condition "has `words` in title, keywords or body".

    Slow on purpose: no index can serve `LIKE '%words%'`, so the database reads the text of every page of the tenant.
    """
    return contains("title", words) | contains("keywords", words) | contains("body", words)


def paginated(request: HttpRequest, rows: QuerySet[Any], per_page: int) -> PageOfResults[Any]:
    """Return the page of `rows` that `?page=` asks for, or the nearest that exists."""
    return Paginator(rows, per_page).get_page(request.GET.get("page"))
