"""The forms of a portal: what a visitor sends becomes a lead."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from perfsuite.responses import cache_response, never_cache_response
from sampleproject.portal.forms import LeadForm
from sampleproject.portal.models import Form, Tenant
from sampleproject.portal.views.scope import KEPT_S, ON_SESSION, STALE_S, asked, for_tenant, published_pages


@for_tenant
@never_cache_response
def fill_in(request: HttpRequest, tenant: Tenant, slug: str) -> HttpResponse:
    """Show a form, and keep what was sent as a lead. `?about=` names the page that the visitor came from."""
    form = get_object_or_404(Form, tenant=tenant, slug=slug)
    page = published_pages(tenant).filter(slug=asked(request, "about")).only("id", "title", "slug").first()
    lead_form = LeadForm(request.POST or None)
    if request.method == "POST" and lead_form.is_valid():
        lead = lead_form.save(commit=False)
        lead.tenant, lead.form, lead.page = tenant, form, page
        lead.save()
        return redirect("portal:thanks", tenant=tenant.slug, slug=form.slug)
    context = {"tenant": tenant, "form": form, "lead_form": lead_form, "page": page}
    return render(request, "portal/form.html", context)


@for_tenant
@cache_response(
    KEPT_S, per="tenant", tags=["tenant:{tenant_id}/forms"], vary_on=ON_SESSION, stale_for=STALE_S
)
def thanks(request: HttpRequest, tenant: Tenant, slug: str) -> HttpResponse:
    """Confirm that a form was sent."""
    form = get_object_or_404(Form, tenant=tenant, slug=slug)
    return render(request, "portal/thanks.html", {"tenant": tenant, "form": form})
