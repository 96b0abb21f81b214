"""The JSON endpoints of a portal, read-only and public."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_safe

from perfsuite.responses import cache_response
from sampleproject.portal.dialects import contains, counts_per_day
from sampleproject.portal.models import Lead, Page, Tenant
from sampleproject.portal.views.scope import (
    KEPT_S,
    STALE_S,
    asked,
    for_tenant,
    matching,
    paginated,
    published_pages,
)

PAGES_PER_ANSWER = 50
SUGGESTIONS = 8
MIN_SUGGEST_LENGTH = 2
REPORTED_DAYS = 30
OF_ITS_PAGES = ["tenant:{tenant_id}/pages"]


def summary_of(page: Page) -> dict[str, Any]:
    """Return what a list says of a page."""
    return {
        "title": page.title,
        "slug": page.slug,
        "module": page.module,
        "kind": page.kind,
        "summary": page.summary,
    }


@require_safe
@for_tenant
def pages(request: HttpRequest, tenant: Tenant) -> JsonResponse:
    """Answer a page of the pages; `?q=` searches, `?page=` turns over."""
    found = published_pages(tenant).defer("body")
    words = asked(request, "q")
    if words:
        found = found.filter(matching(words))
    results = paginated(request, found, PAGES_PER_ANSWER)
    return JsonResponse(
        {
            "count": results.paginator.count,
            "page": results.number,
            "pages": results.paginator.num_pages,
            "results": [summary_of(page) for page in results],
        }
    )


@require_safe
@for_tenant
@cache_response(KEPT_S, per="tenant", tags=OF_ITS_PAGES, stale_for=STALE_S)
def page(request: HttpRequest, tenant: Tenant, slug: str) -> JsonResponse:
    """Answer one page with its text."""
    found = get_object_or_404(published_pages(tenant), slug=slug)
    return JsonResponse({**summary_of(found), "signature": found.signature, "body": found.body})


@require_safe
@for_tenant
@cache_response(KEPT_S, per="tenant", tags=OF_ITS_PAGES, stale_for=STALE_S)
def suggest(request: HttpRequest, tenant: Tenant) -> JsonResponse:
    """Answer the titles that contain `?q=`, for the search box."""
    words = asked(request, "q")
    if len(words) < MIN_SUGGEST_LENGTH:
        return JsonResponse({"titles": []})
    titles = published_pages(tenant).filter(contains("title", words)).values_list("title", flat=True)
    return JsonResponse({"titles": list(titles[:SUGGESTIONS])})


@require_safe
@for_tenant
def leads_per_day(request: HttpRequest, tenant: Tenant) -> JsonResponse:
    """Answer how many leads came on each of the last 30 days, by status; counts only, no person.

    Slow on purpose: `created_at` has no index, and the day of each lead is computed anew for each request.
    """
    since = timezone.now() - timedelta(days=REPORTED_DAYS)
    rows = counts_per_day(Lead.objects.filter(tenant=tenant, created_at__gte=since))
    return JsonResponse({"days": REPORTED_DAYS, "rows": rows})
