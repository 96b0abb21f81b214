"""Queries, one query and findings in a real browser: a real N+1 under a strict policy, for every kind of reader."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import PANEL, Host, Visitor
from tests.browser.test_panel import HOSTILE, LEVELS, PHONE

Visit = Callable[..., Visitor]

SQL = f"SELECT '{HOSTILE}'"
WIDE = {"width": 1440, "height": 900}


@pytest.fixture(scope="module", autouse=True)
def _traffic(host: Host) -> None:
    """Make real requests with an N+1, and put a hostile statement beside theirs."""
    host.run("rows", "30")
    for _ in range(3):
        urllib.request.urlopen(f"{host.url}/nplus1/").read()
    host.record(("queries.fingerprint", [SQL, "default", HOSTILE], 900_000, 1))
    host.run("indexes", SQL)


def open_finding(visitor: Visitor, place: str = "/performance/") -> Any:
    """Log in and open the findings until the server's last flush has brought one."""
    visitor.log_in("changer")
    page = visitor.page
    first = page.locator(".ps-findings > li", has_text="/nplus1/").first

    def is_there() -> bool:
        page.goto(f"{visitor.host.url}{place}findings/")
        return bool(first.count())

    for _ in range(60):
        if is_there():
            return page
        page.wait_for_timeout(250)
    raise AssertionError("The N+1 of /nplus1/ is not among the findings after 15 seconds.")


@pytest.mark.parametrize("place", [PANEL, "/performance/"])
def test_a_real_n_plus_one_leads_to_its_statement_and_its_plan(place: str, visit: Visit) -> None:
    visitor = visit()
    page = open_finding(visitor, place)
    finding = page.locator(".ps-findings > li", has_text="/nplus1/").first
    expect(finding.locator("h3")).to_contain_text("N+1 query: testapp.Book.author")
    expect(finding).to_contain_text("tests/testapp/views.py:")
    finding.locator(".ps-about a").click()
    expect(page.locator("h2", has_text="What to do")).to_be_visible()
    expect(page.locator(".ps-trend rect").first).to_be_attached()
    page.get_by_role("button", name="Explain").click()
    expect(page.locator(".ps-plan .ps-step").first).to_be_visible()
    assert visitor.problems == []


def test_a_finding_is_ignored_and_opened_again_by_keyboard(visit: Visit) -> None:
    visitor = visit()
    page = open_finding(visitor)
    key = page.locator(".ps-findings > li", has_text="/nplus1/").first.get_attribute("id")
    page.locator(f"#{key}").get_by_role("button", name="Ignore").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".messagelist")).to_contain_text("is ignored.")
    expect(page.locator(f"#{key}")).to_have_count(0)
    page.get_by_role("link", name="Ignored").click()
    expect(page.locator(f"#{key} .ps-state")).to_have_text("Ignored by changer")
    page.locator(f"#{key}").get_by_role("button", name="Open again").click()
    page.get_by_role("link", name="Open").first.click()
    expect(page.locator(f"#{key}")).to_be_visible()
    assert visitor.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE])
def test_there_is_no_accessibility_violation_and_no_sideways_scroll(
    scheme: str, viewport: dict[str, int], visit: Visit
) -> None:
    visitor = visit(color_scheme=scheme, viewport=viewport)
    page = open_finding(visitor)
    links = page.locator(".ps-findings .ps-about a").first.get_attribute("href")
    paths = (
        "/performance/findings/",
        "/performance/queries/?range=15m",
        "/performance/indexes/?state=all",
        links,
    )
    for path in paths:
        page.goto(visitor.host.url + path)
        expect(page.locator("body")).to_have_attribute("data-ps-theme", scheme)
        found = Axe().run(page, context=".ps", options={"runOnly": {"type": "tag", "values": LEVELS}})
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert visitor.problems == []


def test_the_line_that_makes_an_index_is_copied(visit: Visit) -> None:
    visitor = visit(permissions=["clipboard-read", "clipboard-write"])
    visitor.log_in()
    page = visitor.page
    page.goto(f"{visitor.host.url}/performance/indexes/")
    line = 'register("testapp.Book", Index("author", "-title"))'
    button = page.get_by_role("button", name=f"Copy: {line}")
    button.click()
    expect(button).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == line
    drop = page.locator(
        "section[aria-labelledby=ps-waste] code", has_text="setup_indexes --drop-unused testapp_book.old_idx"
    )
    expect(drop).to_be_visible()
    page.locator(".ps-why summary").click()
    expect(page.locator(".ps-why a.ps-code")).to_have_text(SQL)
    assert page.locator(".ps img").count() == 0
    assert visitor.problems == []


def test_without_a_script_there_is_no_button_that_does_nothing(visit: Visit) -> None:
    visitor = visit(java_script_enabled=False)
    visitor.log_in()
    page = visitor.page
    page.goto(f"{visitor.host.url}/performance/indexes/")
    expect(page.locator(".ps-copied code").first).to_be_visible()
    expect(page.locator("button[data-copy]").first).to_be_hidden()


def test_a_hostile_statement_is_text(visit: Visit) -> None:
    visitor = visit()
    visitor.log_in()
    page = visitor.page
    page.goto(f"{visitor.host.url}/performance/queries/?range=15m")
    page.locator(".ps tbody a.ps-code", has_text="onerror").click()
    expect(page.locator("pre.ps-block").first).to_have_text(SQL)
    assert page.locator(".ps img").count() == 0
    assert page.get_by_role("button", name="Explain").count() == 0  # a viewer may not
    assert visitor.problems == []


def test_statements_are_sorted_and_filtered_without_a_script(visit: Visit) -> None:
    visitor = visit(java_script_enabled=False)
    visitor.log_in()
    page = visitor.page
    page.goto(f"{visitor.host.url}/performance/queries/?range=15m")
    page.get_by_role("link", name="Calls").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text("Calls▼")
    page.get_by_label("Route").select_option("/nplus1/")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(".ps tbody tr").first).to_contain_text("testapp_author")
    assert "sort=count" in page.url
    assert "range=15m" in page.url
