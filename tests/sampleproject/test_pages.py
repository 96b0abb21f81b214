"""What the public sees, and what it does not."""

from __future__ import annotations

import html
import re

import pytest

from tests.sampleproject.conftest import Browser, Site

PAGES = [
    "/",
    "/login/",
    "/t/harbor/",
    "/t/cedar/pages/",
    "/t/cedar/pages/?page=2",
    "/t/cedar/pages/?page=nonsense",
    "/t/summit/search/",
    "/t/summit/search/?q=path",
    "/t/summit/search/?q=%00",
    "/t/summit/team/",
    "/t/harbor/forms/question/",
    "/t/harbor/forms/question/thanks/",
    "/t/harbor/api/pages/",
    "/t/harbor/api/suggest/?q=so",
    "/t/harbor/api/leads/daily/",
]
SLUGS = """
    SELECT page.slug FROM portal_page page JOIN portal_tenant tenant ON tenant.id = page.tenant_id
    WHERE tenant.slug = ? AND page.status = 'published'
"""
OTHERS = {"harbor": "cedar", "cedar": "summit", "summit": "harbor"}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_answered(browser: Browser, path: str) -> None:
    assert browser.get(path).status == 200


@pytest.mark.parametrize("path", [*PAGES, "/nowhere/", "/admin/login/", "/performance/"])
def test_every_answer_carries_the_strict_policy(browser: Browser, path: str) -> None:
    assert browser.get(path).headers["Content-Security-Policy"].startswith("default-src 'self';")


@pytest.mark.parametrize("path", ["/", "/t/cedar/", "/t/cedar/pages/", "/t/cedar/team/", "/nowhere/"])
def test_a_page_has_no_inline_script_or_style(browser: Browser, path: str) -> None:
    text = browser.get(path).text
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


@pytest.mark.parametrize(
    "path", ["/t/nobody/", "/t/nobody/api/pages/", "/t/cedar/pages/nothing/", "/t/cedar/forms/nothing/", "/x"]
)
def test_what_does_not_exist_is_not_found(browser: Browser, path: str) -> None:
    answer = browser.get(path)
    assert (answer.status, "Not found" in answer.text) == (404, True)


def test_styles_and_scripts_are_joined_and_kept_by_browsers(browser: Browser) -> None:
    text = browser.get("/t/harbor/").text
    files = re.findall(r'"(/static/CACHE/[^"]+\.(?:css|js))"', text)
    assert len(files) == 2
    for path in files:
        answer = browser.get(path)
        assert answer.status == 200
        assert "immutable" in answer.headers["Cache-Control"]


def test_a_page_shows_the_documentation_of_this_python(site: Site, browser: Browser) -> None:
    sql = """
        SELECT page.slug, tenant.slug, body FROM portal_page page JOIN portal_tenant tenant ON tenant.id = tenant_id
        WHERE status = 'published' AND body LIKE '%>>> %'
    """
    slug, tenant, body = site.rows(sql)[0]
    text = browser.get(f"/t/{tenant}/pages/{slug}/").text
    assert "&gt;&gt;&gt; " in text
    assert html.escape(body.split()[0]) in text


def test_a_search_finds_words_of_the_body(site: Site, browser: Browser) -> None:
    expected = {slug for (slug,) in site.rows(f"{SLUGS} AND page.body LIKE '%sequence%'", "cedar")}
    found = {row["slug"] for row in browser.get("/t/cedar/api/pages/?q=SEQUENCE").json()["results"]}
    assert expected
    assert found >= expected


def test_drafts_are_hidden(site: Site, browser: Browser) -> None:
    hidden = site.run(
        "answer = list(Page.objects.exclude(status='published').values_list('tenant__slug', 'slug'))"
    )
    assert hidden
    for tenant, slug in hidden:
        assert browser.get(f"/t/{tenant}/pages/{slug}/").status == 404
        assert browser.get(f"/t/{tenant}/api/pages/{slug}/").status == 404


@pytest.mark.parametrize(("tenant", "other"), OTHERS.items())
def test_a_portal_never_shows_the_page_of_another(
    site: Site, browser: Browser, tenant: str, other: str
) -> None:
    slugs = [slug for (slug,) in site.rows(SLUGS, other)]
    assert slugs
    assert browser.get(f"/t/{tenant}/pages/{slugs[0]}/").status == 404
    assert browser.get(f"/t/{tenant}/api/pages/{slugs[0]}/").status == 404
    shown = set()
    for number in range(1, browser.get(f"/t/{tenant}/api/pages/").json()["pages"] + 1):
        shown |= {
            row["slug"] for row in browser.get(f"/t/{tenant}/api/pages/?page={number}").json()["results"]
        }
    assert shown
    assert shown.isdisjoint(slugs)
    for path in ("", "pages/", "search/?q=a", "team/"):
        text = browser.get(f"/t/{tenant}/{path}").text
        assert f"/t/{other}/" not in text
        assert not any(f'/pages/{slug}/"' in text for slug in slugs)


def test_the_daily_report_counts_the_leads_of_one_tenant(site: Site, browser: Browser) -> None:
    ((expected,),) = site.rows(
        "SELECT count(*) FROM portal_lead lead JOIN portal_tenant tenant ON tenant.id = lead.tenant_id "
        "WHERE tenant.slug = 'cedar' AND lead.created_at >= datetime('now', '-30 days')"
    )
    rows = browser.get("/t/cedar/api/leads/daily/").json()["rows"]
    assert sum(row["leads"] for row in rows) == expected > 0
