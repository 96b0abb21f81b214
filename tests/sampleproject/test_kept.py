"""What the public pages keep is outdated when what it shows is saved, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import servers, valkey
from tests.sampleproject.conftest import Browser, Site

LOOK = """
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
client = Client(SERVER_NAME="localhost")
page = Page.objects.filter(tenant__slug="cedar", status="published").order_by("title").first()
paths = ["/", "/t/cedar/", "/t/cedar/pages/", f"/t/cedar/pages/{page.slug}/", "/t/harbor/", "/t/harbor/pages/"]

def costly():
    found = []
    for path in paths:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(path).status_code == 200
        if len(captured):
            found.append(path)
    return found

costly()
"""
CEDAR = ["/t/cedar/", "/t/cedar/pages/", "PAGE"]
LOGIN = """
from django.contrib.auth.models import update_last_login
update_last_login(None, User.objects.filter(tenant=page.tenant).first())
"""
CHANGES = [
    ("page.save()", ["/", *CEDAR]),
    ("Form.objects.filter(tenant=page.tenant).first().save()", ["/t/cedar/"]),
    ("User.objects.filter(tenant=page.tenant).first().save()", CEDAR),
    ("Tenant.objects.get(pk=page.tenant_id).save()", ["/", *CEDAR]),
    ("Lead.objects.first().save()", []),
    (LOGIN, []),
]


@pytest.mark.parametrize(("change", "outdated"), CHANGES)
def test_a_change_has_what_shows_it_read_again(own_site: Site, change: str, outdated: list[str]) -> None:
    before, after, slug = own_site.run(
        f"{LOOK}\nbefore = costly()\n{change}\nanswer = [before, costly(), page.slug]"
    )
    assert before == []
    assert after == [path.replace("PAGE", f"/t/cedar/pages/{slug}/") for path in outdated]


@pytest.fixture(params=["memory", "redis"])
def two_workers(own_site: Site, request: pytest.FixtureRequest) -> Iterator[servers.Server]:
    if request.param == "memory":
        with servers.gunicorn("--workers=2", app="sampleproject.wsgi", **own_site.env) as running:
            yield running
        return
    with valkey.valkey() as redis:
        env = {**own_site.env, "REDIS_URL": redis.url}
        with servers.gunicorn("--workers=2", app="sampleproject.wsgi", **env) as running:
            yield running


def test_what_an_editor_saves_is_seen_in_every_worker(own_site: Site, two_workers: servers.Server) -> None:
    ((pk, slug),) = own_site.rows(
        "SELECT page.id, page.slug FROM portal_page page JOIN portal_tenant tenant ON tenant.id = tenant_id "
        "WHERE tenant.slug = 'cedar' AND status = 'published' ORDER BY title LIMIT 1"
    )
    visitor, editor = Browser(two_workers.url), Browser(two_workers.url).log_in("admin")
    path, form = f"/t/cedar/pages/{slug}/", f"/admin/portal/page/{pk}/change/"
    fields = own_site.run(
        "from django.forms import model_to_dict\n"
        f"page = Page.objects.get(pk={pk})\n"
        "answer = {k: '' if v is None else str(v) for k, v in model_to_dict(page).items()}"
    )
    fields |= {"updated_at_0": "2026-01-01", "updated_at_1": "12:00:00"}
    for number in range(4):
        for _ in range(6):
            visitor.get(path)  # both workers have it
        title = f"A new title {number}"
        assert editor.send(form, **{**fields, "title": title}).url.endswith("/admin/portal/page/")
        assert {title in visitor.get(path).text for _ in range(8)} == {True}
