"""What keeps the tenants apart: each view of a portal gets its tenant, and reads through these functions alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.paginator import Page as PageOfResults
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse

from sampleproject import tenants
from sampleproject.portal.models import Page, Tenant

MAX_PARAMETER_LENGTH = 100

TenantView = Callable[..., HttpResponse]


def for_tenant(view: TenantView) -> TenantView:
    """Call `view(request, tenant, ...)` with the Tenant that the path names; answer 404 when there is none."""

    @wraps(view)
    def with_tenant(request: HttpRequest, tenant: str, **kwargs: Any) -> HttpResponse:
        found = tenants.find(tenant)
        if found is None:
            raise Http404("No portal has this name.")
        return view(request, found, **kwargs)

    return with_tenant


def published_pages(tenant: Tenant) -> QuerySet[Page]:
    """Return what the public may read of the tenant's pages."""
    return Page.objects.filter(tenant=tenant, status=Page.Status.PUBLISHED)


def listed(pages: QuerySet[Page]) -> QuerySet[Page]:
    """Return `pages` with what a listing shows of them, the author's name included, and no more."""
    shown = (
        "title",
        "slug",
        "module",
        "kind",
        "summary",
        "updated_at",
        "author__first_name",
        "author__last_name",
    )
    return pages.select_related("author").only(*shown)


def asked(request: HttpRequest, name: str) -> str:
    """Return the parameter `name` of the address, trimmed; without NUL characters, which PostgreSQL refuses."""
    return request.GET.get(name, "").replace("\0", "").strip()[:MAX_PARAMETER_LENGTH]


def matching(words: str) -> Q:
    """Return the condition "has `words` in title, keywords or body".

    Slow on purpose: no index can serve `LIKE '%words%'`, so the database reads the text of every page of the tenant.
    """
    return Q(title__icontains=words) | Q(keywords__icontains=words) | Q(body__icontains=words)


def paginated(request: HttpRequest, rows: QuerySet[Any], per_page: int) -> PageOfResults[Any]:
    """Return the page of `rows` that `?page=` asks for, or the nearest that exists."""
    return Paginator(rows, per_page).get_page(request.GET.get("page"))
