"""The site under the tenant guard: nothing that it does for a tenant reaches the rows of another."""

from __future__ import annotations

from tests.sampleproject.conftest import Site

BROWSE = """
import copy
from django.conf import settings
from django.core.cache import cache
from django.test import Client, override_settings
from perfsuite.queries import kinds
from perfsuite.metrics.recorder import recorder

guarded = copy.deepcopy(settings.PERFSUITE)
guarded["QUERIES"]["TENANT_GUARD"] = "raise"
guarded["RESPONSES"]["CACHE_ENABLED"] = False
owner = User.objects.filter(tenant__slug="cedar", role="owner").first() or User.objects.filter(tenant__slug="cedar").first()
page = Page.objects.filter(tenant__slug="cedar", status="published").first()
form = Form.objects.filter(tenant__slug="cedar").first()
lead = Lead.objects.filter(tenant__slug="cedar").first()
paths = ["/", "/t/cedar/", "/t/cedar/pages/", "/t/cedar/pages/?page=2", f"/t/cedar/pages/{page.slug}/", "/t/cedar/search/?q=the",
    "/t/cedar/team/", f"/t/cedar/forms/{form.slug}/", f"/t/cedar/forms/{form.slug}/thanks/", "/t/cedar/leads/",
    "/t/cedar/leads/?status=new", "/t/cedar/api/pages/", f"/t/cedar/api/pages/{page.slug}/", "/t/cedar/api/suggest/?q=str",
    "/t/cedar/api/leads/daily/", "/account/", "/admin/portal/lead/", f"/admin/portal/lead/{lead.pk}/change/"]
with override_settings(PERFSUITE=guarded):
    client = Client(SERVER_NAME="localhost")
    client.force_login(owner)
    cache.clear()
    answers = {path: client.get(path).status_code for path in paths}
    sent = client.post(f"/t/cedar/forms/{form.slug}/?about={page.slug}",
        {"name": "A", "email": "a@example.com", "company": "", "message": "Good day to you all"})
    answers["POST"] = sent.status_code
    recorder.take()
"""


def test_browsing_the_whole_site_raises_nothing(own_site: Site) -> None:
    answers, made = own_site.run(
        f"{BROWSE}\nanswer = [answers, Lead.objects.filter(email='a@example.com', tenant__slug='cedar').count()]"
    )
    assert {path: status for path, status in answers.items() if status not in (200, 302)} == {}
    assert answers["/t/cedar/leads/"] == 200
    assert made == 1


def test_a_view_that_forgets_the_tenant_would_raise(site: Site) -> None:
    """So the test above can fail."""
    said = site.run(
        f"{BROWSE}\n"
        "from sampleproject.portal.views import leads\n"
        "from perfsuite.exceptions import UnscopedStatement\n"
        "from perfsuite.tenancy import tenant\n"
        "with override_settings(PERFSUITE=guarded), tenant(str(owner.tenant_id)):\n"
        "    try:\n"
        "        answer = len(Lead.objects.prefetch_related(*leads.RELATED))\n"
        "    except UnscopedStatement as exc:\n"
        "        answer = str(exc)"
    )
    assert "reaches 'portal_lead' without its tenant column 'tenant_id'" in said
