"""The panel in a real browser: true numbers under a strict policy, for every kind of reader."""

from __future__ import annotations

import contextlib
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import PANEL, Host, Visitor

Visit = Callable[..., Visitor]

LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
LONG = "SELECT " + ", ".join(f'"lead"."column_{n}"' for n in range(40)) + ' FROM "lead" WHERE "lead"."id" = ?'
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module", autouse=True)
def _traffic(host: Host) -> None:
    """Make real requests, whose numbers the panel then shows, and put hostile names beside them."""
    for path, times in {
        "/zero/": 30,
        "/queries/3/": 20,
        "/error/": 5,
        "/pages/some-page/": 10,
        "/kept/": 40,
    }.items():
        for _ in range(times):
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(host.url + path).read()
    host.record(
        ("requests.route", [HOSTILE, "GET", "2xx"], 2_000_000, 1),
        ("queries.fingerprint", [f"SELECT '{HOSTILE}'", "default", HOSTILE], 900_000, 1),
        ("queries.fingerprint", [LONG, "default", "/leads/"], 800_000, 1),
        ("operations", [HOSTILE, "ok"], 5_000, 1),
    )


@pytest.fixture
def panel(visit: Visit) -> Iterator[Visitor]:
    """The panel of a permitted user; at the end of the test nothing may be on the console."""
    visitor = visit()
    visitor.log_in()
    visitor.open_panel()
    yield visitor
    assert visitor.problems == []


def row_of(page: Page, card: str, text: str) -> dict[str, str]:
    table = page.locator(f"[data-card={card}] table")
    heads = [head.inner_text().strip(" ▲▼\n") for head in table.locator("thead th").all()]
    cells = table.locator("tbody tr", has_text=text).first.locator("td").all_inner_texts()
    return dict(zip(heads, cells, strict=True))


@pytest.mark.parametrize("path", [PANEL, "/performance/"])
def test_the_panel_shows_the_numbers_of_real_requests_without_a_violation(path: str, visit: Visit) -> None:
    visitor = visit()
    visitor.log_in()
    page = visitor.open_panel(path)
    zero = page.locator("[data-card=routes] tbody tr", has_text=re.compile(r"^/zero/"))
    expect(zero).to_be_visible(timeout=15_000)
    expect(zero.locator("td").nth(1)).to_have_text(re.compile(r"^3\d$"))
    assert row_of(page, "routes", "/queries/<int:n>/")["Queries / req."] == "3"
    assert row_of(page, "routes", "/error/")["Errors"] == "100 %"
    assert row_of(page, "routes", "/pages/<slug:slug>/")["Requests"] == "10"
    assert row_of(page, "expensive-queries", "testapp_author")["Calls"] == "60"
    assert row_of(page, "response-missed", "/kept/")["Misses"] == "1"
    rate = page.locator("[data-card=response-figures] .ps-tile", has_text="Hit rate").locator(
        ".ps-tile-number"
    )
    assert float(rate.inner_text()) > 10, "39 of these 105 requests, and of those for the panel"
    assert float(visitor.text_of("Requests / min").replace(",", "")) > 0
    assert float(visitor.text_of("Errors")) > 0
    assert page.locator("[data-card=latency] canvas").count() == 1
    assert visitor.problems == []


def test_the_panel_follows_the_site(panel: Visitor) -> None:
    page = panel.page
    line = page.locator("[data-card=routes] tbody tr", has_text="/sleep/")
    expect(line).to_have_count(0)
    for _ in range(4):
        urllib.request.urlopen(f"{panel.host.url}/sleep/20/").read()
    expect(line.locator("td").nth(1)).to_have_text("4", timeout=15_000)
    assert float(row_of(page, "routes", "/sleep/")["Average"].removesuffix(" ms")) >= 20


def test_an_anonymous_visitor_and_one_without_the_permission_see_nothing(visit: Visit) -> None:
    stranger = visit()
    for path in (PANEL, "/performance/"):
        stranger.page.goto(stranger.host.url + path)
        assert stranger.page.url.startswith(f"{stranger.host.url}/admin/login/?next=")
        assert stranger.page.locator("#perfsuite-panel").count() == 0
    staff = visit()
    staff.log_in("staff")
    for path in (PANEL, "/performance/", "/performance/data/"):
        answer = staff.page.goto(staff.host.url + path)
        assert answer is not None
        assert answer.status == 403
    staff.page.goto(f"{staff.host.url}/admin/")
    assert staff.page.get_by_role("link", name="Performance").count() == 0


def test_the_admin_leads_to_the_panel(visit: Visit) -> None:
    visitor = visit()
    visitor.log_in()
    visitor.page.goto(f"{visitor.host.url}/admin/")
    visitor.page.locator("#content").get_by_role("link", name="Performance").click()
    expect(visitor.page.get_by_role("heading", name="Performance", level=1)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1440, "height": 900}, PHONE], ids=["desk", "phone"])
def test_there_is_no_accessibility_violation(scheme: str, viewport: dict[str, int], visit: Visit) -> None:
    visitor = visit(color_scheme=scheme, viewport=viewport, reduced_motion="reduce")
    visitor.log_in()
    page = visitor.open_panel()
    expect(page.locator("body")).to_have_attribute("data-ps-theme", scheme)
    page.locator("[data-card=latency] summary").click()
    page.locator("[data-card=slowest-queries] .ps-more:visible").first.click()
    found = Axe().run(
        page, context="#perfsuite-panel", options={"runOnly": {"type": "tag", "values": LEVELS}}
    )
    assert found.response["violations"] == [], found.generate_report()
    assert len(found.response["passes"]) > 10


def test_the_whole_page_never_scrolls_sideways_on_a_phone(visit: Visit) -> None:
    visitor = visit(viewport=PHONE)
    visitor.log_in()
    page = visitor.open_panel()
    page.locator("[data-card=slowest-queries] .ps-more:visible").first.click()
    page.locator("[data-card=throughput] summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    scroll = page.locator("[data-card=routes] .ps-scroll")
    assert scroll.evaluate("e => e.scrollWidth > e.clientWidth")


def test_hostile_names_are_text(panel: Visitor) -> None:
    page = panel.page
    expect(page.locator("[data-card=routes] tbody")).to_contain_text(HOSTILE)
    for button in page.locator("[data-card=expensive-queries] .ps-more").all():
        if button.is_visible():
            button.click()
    expect(page.locator("[data-card=expensive-queries] code").first).to_have_text(f"SELECT '{HOSTILE}'")
    assert page.locator("#perfsuite-panel img").count() == 0
    assert page.locator("#perfsuite-panel script").count() == 0


def test_a_range_is_kept_in_the_address_and_shown_at_once(panel: Visitor) -> None:
    page = panel.page
    with page.expect_request(lambda request: request.url.endswith("/data/?range=24h")):
        page.get_by_role("button", name="24h").click()
    assert page.url.endswith("?range=24h")
    expect(page.get_by_role("button", name="24h")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="15m")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("[data-ps=cards]")).not_to_have_attribute("data-stale", "true")
    page.reload()
    expect(page.get_by_role("button", name="24h")).to_have_attribute("aria-pressed", "true")


def test_the_answer_to_an_old_range_never_replaces_the_chosen_one(panel: Visitor) -> None:
    page = panel.page
    held: list[Route] = []
    page.route("**/data/?range=7d", lambda route: held.append(route))  # noqa: PLW0108 - it wraps the function, which a builtin does not allow
    page.get_by_role("button", name="7d").click()
    page.wait_for_timeout(100)
    page.get_by_role("button", name="1h", exact=True).click()
    expect(page.locator("[data-ps=cards]")).not_to_have_attribute("data-stale", "true")
    assert len(held) == 1
    assert panel.page.url.endswith("?range=1h")


def polls_in(page: Page, ms: int) -> int:
    """Count the polls of a stretch of time. That nothing happens can only be seen by waiting for it."""
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url) if "/data/" in request.url else None)
    page.wait_for_timeout(ms)
    return len(seen)


def test_polling_stops_while_the_tab_is_hidden(panel: Visitor) -> None:
    page = panel.page
    page.evaluate(
        """() => {
            window.pretend = hidden => {
                Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
                document.dispatchEvent(new Event('visibilitychange'));
            };
            window.pretend(true);
        }"""
    )
    assert polls_in(page, 2_500) == 0
    with page.expect_request("**/data/**", timeout=1_000):
        page.evaluate("window.pretend(false)")
    for _ in range(2):
        with page.expect_request("**/data/**", timeout=2_500):
            pass


def test_live_updates_can_be_paused_and_resumed(panel: Visitor) -> None:
    page = panel.page
    live = page.get_by_role("button", name="Live")
    live.click()
    expect(live).to_have_attribute("aria-pressed", "false")
    expect(page.locator("[data-ps=announcer]")).to_have_text("Live updates paused.")
    expect(page.locator("[data-ps=updated]")).to_contain_text("paused")
    assert polls_in(page, 2_500) == 0
    # Another range is still shown, once.
    page.get_by_role("button", name="6h").click()
    expect(page.locator("[data-ps=cards]")).not_to_have_attribute("data-stale", "true")
    assert polls_in(page, 1_500) == 0
    with page.expect_request("**/data/**"):
        live.click()
    expect(page.locator("[data-ps=announcer]")).to_have_text("Live updates are on.")


def test_a_server_that_is_away_is_said_and_tried_again(visit: Visit) -> None:
    visitor = visit()
    visitor.log_in()
    page = visitor.open_panel()
    page.route("**/data/**", lambda route: route.abort())
    problem = page.locator("[data-ps=problem]")
    expect(problem).to_have_text("Could not reach the server, retrying.", timeout=5_000)
    expect(page.locator("[data-card=overview]")).to_be_visible()
    page.unroute("**/data/**")
    expect(problem).to_be_empty(timeout=15_000)


@pytest.mark.parametrize("way", ["401", "redirect"])
def test_an_ended_session_asks_for_a_login(way: str, visit: Visit) -> None:
    visitor = visit()
    visitor.log_in()
    page = visitor.open_panel()
    if way == "401":
        visitor.context.clear_cookies()
    else:
        page.route(
            "**/data/**", lambda route: route.fulfill(status=302, headers={"Location": "/admin/login/"})
        )
    problem = page.locator("[data-ps=problem]")
    expect(problem).to_have_text("Your session ended. Log in again.", timeout=5_000)
    link = problem.get_by_role("link").get_attribute("href")
    assert link == "/admin/login/?next=%2Fadmin%2Fperfsuite_panel%2Fdashboard%2F%3Frange%3D15m"
    assert polls_in(page, 1_500) == 0


def test_a_chart_is_read_with_the_keyboard(panel: Visitor) -> None:
    page = panel.page
    page.get_by_role("button", name="Live").click()
    plot = page.get_by_role("slider", name="Response time, ms, over time")
    plot.focus()
    page.keyboard.press("End")
    last = plot.get_attribute("aria-valuenow")
    assert last == plot.get_attribute("aria-valuemax")
    page.keyboard.press("ArrowLeft")
    assert plot.get_attribute("aria-valuenow") == str(int(last or 0) - 1)
    page.keyboard.press("Home")
    assert plot.get_attribute("aria-valuenow") == "0"
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d: p50 no data, p95 no data, p99 no data", plot.get_attribute("aria-valuetext") or ""
    )


def test_the_table_beside_a_chart_has_its_numbers(panel: Visitor) -> None:
    page = panel.page
    card = page.locator("[data-card=latency]")
    card.locator("summary").focus()
    page.keyboard.press("Enter")
    rows = card.locator("tbody tr")
    expect(rows).to_have_count(90)
    assert card.locator("thead th").all_inner_texts() == ["Time", "p50 (ms)", "p95 (ms)", "p99 (ms)"]
    assert any("\u2013" not in text for text in rows.all_inner_texts())


def test_a_series_can_be_hidden(panel: Visitor) -> None:
    button = panel.page.get_by_role("group", name="Response time: series").get_by_role("button", name="p99")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    panel.page.wait_for_timeout(1_200)  # over a poll
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(button).to_be_focused()


def test_a_table_is_sorted_by_its_headers_and_keeps_focus_over_polls(panel: Visitor) -> None:
    page = panel.page
    card = page.locator("[data-card=routes]")
    expect(card.locator("th[aria-sort=descending]")).to_have_text(re.compile("Total time"))
    button = card.get_by_role("button", name="Requests")
    button.focus()
    page.keyboard.press("Enter")
    head = card.locator("th[data-column=requests]")
    expect(head).to_have_attribute("aria-sort", "descending")
    counts = [int(text.replace(",", "")) for text in card.locator("tbody td:nth-child(2)").all_inner_texts()]
    assert counts == sorted(counts, reverse=True)
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    page.wait_for_timeout(1_200)  # over a poll
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(button).to_be_focused()


def test_a_long_statement_is_a_gist_until_it_is_opened(panel: Visitor) -> None:
    page = panel.page
    row = page.locator("[data-card=slowest-queries] tbody tr", has_text="lead")
    expect(row.locator("code")).to_have_text("SELECT … FROM lead WHERE id = ?")
    row.get_by_role("button", name="Whole statement").click()
    expect(row.locator("code")).to_have_text(LONG)
    page.wait_for_timeout(1_200)  # over a poll
    expect(row.locator("code")).to_have_text(LONG)


def test_the_admins_own_switch_changes_the_theme(panel: Visitor) -> None:
    page = panel.page
    ink = "getComputedStyle(document.querySelector('.ps-card h2')).color"
    before = page.evaluate(ink)
    expect(page.locator("body")).to_have_attribute("data-ps-theme", "light")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    expect(page.locator("body")).to_have_attribute("data-ps-theme", "dark")
    assert page.evaluate(ink) != before
    assert page.locator("[data-card=latency] canvas").count() == 1


def test_every_part_is_reached_with_the_tab_key(panel: Visitor) -> None:
    page: Any = panel.page
    page.locator(".ps-ranges button").first.focus()
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.className || document.activeElement.tagName"))
    assert {"ps-live", "ps-plot", "ps-scroll", "SUMMARY"} <= seen
