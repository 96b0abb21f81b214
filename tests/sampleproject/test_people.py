"""Visitors who send a form, and staff who may see some things and not others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sampleproject.conftest import Browser, Site

NewBrowser = Callable[[], Browser]


def test_a_form_becomes_a_lead_in_the_inbox_of_its_tenant_alone(
    browser: Browser, new_browser: NewBrowser
) -> None:
    fields = {
        "name": "Grace <b>H</b>",
        "email": "g@example.com",
        "company": "",
        "message": "A long example, please.",
    }
    answer = browser.send("/t/harbor/forms/training/", **fields)
    assert answer.url.endswith("/t/harbor/forms/training/thanks/")
    boss = new_browser().log_in("admin")
    assert "Grace &lt;b&gt;H&lt;/b&gt;" in boss.get("/t/harbor/leads/?status=new").text
    assert "Grace" not in boss.get("/t/harbor/leads/?status=won").text
    assert "A long example, please." not in boss.get("/t/cedar/leads/").text


def test_a_lead_remembers_the_page_of_its_own_tenant(site: Site, browser: Browser) -> None:
    sql = (
        "SELECT min(page.slug) FROM portal_page page JOIN portal_tenant tenant ON tenant.id = page.tenant_id "
        "WHERE tenant.slug = ? AND page.status = 'published'"
    )
    ((own,),), ((foreign,),) = site.rows(sql, "harbor"), site.rows(sql, "cedar")
    for slug in (own, foreign):
        browser.send(f"/t/harbor/forms/question/?about={slug}", name=slug, email="a@example.com", message="?")
    leads = site.rows(
        "SELECT lead.name, page.slug FROM portal_lead lead LEFT JOIN portal_page page ON page.id = lead.page_id "
        "WHERE lead.email = 'a@example.com'"
    )
    assert dict(leads) == {own: own, foreign: None}


def test_a_wrong_form_is_shown_again_with_the_reason(browser: Browser) -> None:
    answer = browser.send("/t/harbor/forms/question/", name="A", email="nothing", message="")
    assert answer.status == 200
    assert answer.text.count('class="errorlist"') == 2


def test_a_form_without_its_token_is_refused(browser: Browser) -> None:
    assert browser.get("/t/harbor/forms/question/", b"name=A&email=a@example.com&message=B").status == 403


def test_leads_are_for_those_who_are_logged_in(browser: Browser) -> None:
    assert "/login/?next=/t/harbor/leads/" in browser.get("/t/harbor/leads/").url


def test_leads_are_for_the_people_of_the_tenant(browser: Browser) -> None:
    editor = browser.log_in("editor")
    assert editor.get("/t/harbor/leads/").status == 200
    assert editor.get("/t/cedar/leads/").status == 403


@pytest.mark.parametrize("path", ["portal/page/", "portal/lead/", "portal/form/"])
def test_the_admin_shows_an_editor_what_is_of_the_own_tenant(browser: Browser, path: str) -> None:
    text = browser.log_in("editor").get(f"/admin/{path}?tenant__id__exact=").text
    listed = browser.get(f"/admin/{path}").text
    rows = listed[listed.index('id="result_list"') :].partition("</table>")[0]
    assert "Harbor Networks" in rows
    assert "Cedar Data" not in rows
    assert "Summit Systems" not in rows
    assert "Cedar Data</td>" not in text


def test_the_panel_is_for_the_admin_and_not_for_the_editor(new_browser: NewBrowser) -> None:
    anonymous, editor, admin = new_browser(), new_browser().log_in("editor"), new_browser().log_in("admin")
    assert "/login/" in anonymous.get("/performance/").url
    assert editor.get("/performance/data/").status == 403
    assert admin.get("/performance/").status == 200
    assert admin.get("/performance/data/?range=15m").json()["cards"]


@pytest.mark.parametrize(
    "path", ["portal/page/", "portal/lead/", "portal/user/", "portal/tenant/", "portal/form/"]
)
def test_the_admin_lists_everything_for_the_admin(browser: Browser, path: str) -> None:
    browser.log_in("admin")
    assert browser.get(f"/admin/{path}").status == 200
    assert browser.get(f"/admin/{path}add/").status == 200
