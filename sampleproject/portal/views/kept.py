"""What the public pages are made of, kept in the cache.

A page, form, person or tenant that is saved makes it outdated: see `INVALIDATE`.
The functions return rows, never querysets, which would be evaluated anew each time.
"""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page as PageOfResults
from django.core.paginator import Paginator
from django.db.models import Count
from django.shortcuts import get_object_or_404

from perfsuite.caching import cached
from sampleproject.portal.models import Page, Tenant
from sampleproject.portal.views.scope import KEPT_S, listed, published_pages

PAGES_PER_LISTING = 24
MODULES = 12
LATEST = 6
NEIGHBOURS = 12


@cached(KEPT_S, tags=["home"])
def portals() -> list[dict[str, Any]]:
    """Return each tenant with the number of its pages."""
    published = Page.objects.filter(status=Page.Status.PUBLISHED)
    counted = dict(published.order_by().values_list("tenant").annotate(page_count=Count("id")))
    return [{"tenant": each, "page_count": counted.get(each.pk, 0)} for each in Tenant.objects.all()]


@cached(KEPT_S, data_class="page_data")
def modules(tenant_id: Any) -> list[dict[str, Any]]:
    """Return the largest modules of a tenant with the number of their pages."""
    counted = published_pages(tenant_id).order_by().values("module").annotate(page_count=Count("id"))
    return list(counted.order_by("-page_count", "module")[:MODULES])


@cached(KEPT_S, data_class="page_data")
def latest(tenant_id: Any) -> list[Page]:
    """Return what changed lately."""
    return list(listed(published_pages(tenant_id)).order_by("-updated_at")[:LATEST])


@cached(KEPT_S, data_class="page_data")
def listing(tenant_id: Any, module: str, number: str) -> PageOfResults[Any]:
    """Return one page of the listing, the nearest that there is."""
    rows = listed(published_pages(tenant_id))
    found = Paginator(rows.filter(module=module) if module else rows, PAGES_PER_LISTING).get_page(number)
    found.object_list = list(found.object_list)
    found.paginator.object_list = range(found.paginator.count)  # what is left of it is its length
    return found


@cached(KEPT_S, data_class="page_data")
def page_and_neighbours(tenant_id: Any, slug: str) -> tuple[Page, list[Page]]:
    """Return a page and others of its module. Http404 for none, which is not kept: nobody fills the cache with misses."""
    page = get_object_or_404(published_pages(tenant_id).select_related("author"), slug=slug)
    others = published_pages(tenant_id).filter(module=page.module).exclude(pk=page.pk).only("title", "slug")
    return page, list(others[:NEIGHBOURS])
