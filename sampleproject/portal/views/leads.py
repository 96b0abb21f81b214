"""The inbox in which the people of a tenant work on its leads."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from sampleproject.portal.models import Lead, Tenant, User
from sampleproject.portal.views.scope import for_tenant, paginated

LEADS_PER_LISTING = 25
SHOWN = (
    *("name", "company", "message", "status", "created_at", "form__name", "page__title"),
    *("assigned_to__first_name", "assigned_to__last_name"),
)


@login_required
@for_tenant
def inbox(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """List the tenant's leads, newest first; only its own members and superusers may read them.

    Slow on purpose: `status` and `created_at` have no index, so the database sorts all leads of the tenant.
    """
    user = request.user
    if not (isinstance(user, User) and (user.is_superuser or user.tenant_id == tenant.pk)):
        raise PermissionDenied
    status = request.GET.get("status", "")
    leads = Lead.objects.filter(tenant=tenant).select_related("form", "page", "assigned_to").only(*SHOWN)
    if status in Lead.Status.values:
        leads = leads.filter(status=status)
    context = {
        "tenant": tenant,
        "status": status,
        "statuses": Lead.Status.choices,
        "results": paginated(request, leads, LEADS_PER_LISTING),
    }
    return render(request, "portal/leads.html", context)
