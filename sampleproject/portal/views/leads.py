"""The inbox in which the people of a tenant work on its leads."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from perfsuite.responses import cache_response
from sampleproject.portal.models import Form, Lead, Page, Tenant, User
from sampleproject.portal.views.scope import for_tenant, paginated

LEADS_PER_LISTING = 25
KEPT_S = 60
# What the list shows: the leads, their forms, their pages, and who works on them.
SHOWN = ["tenant:{tenant_id}/leads", "tenant:{tenant_id}/forms", "tenant:{tenant_id}/pages"]
# Read by three more statements, see `listed`.
RELATED = (
    Prefetch("form", Form.objects.only("name")),
    Prefetch("page", Page.objects.only("title")),
    Prefetch("assigned_to", User.objects.only("first_name", "last_name")),
)


@login_required
@for_tenant
@cache_response(KEPT_S, per="user", tags=SHOWN)
def inbox(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """List the tenant's leads, newest first; only its own members and superusers may read them.

    Slow on purpose: `status` and `created_at` have no index, so the database sorts all leads of the tenant.
    """
    user = request.user
    if not (isinstance(user, User) and (user.is_superuser or user.tenant_id == tenant.pk)):
        raise PermissionDenied
    status = request.GET.get("status", "")
    leads = Lead.objects.filter(tenant=tenant).prefetch_related(*RELATED)
    if status in Lead.Status.values:
        leads = leads.filter(status=status)
    context = {
        "tenant": tenant,
        "status": status,
        "statuses": Lead.Status.choices,
        "results": paginated(request, leads, LEADS_PER_LISTING),
    }
    return render(request, "portal/leads.html", context)
