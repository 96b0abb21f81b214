"""The panel of django-debug-toolbar, in the toolbar itself: what it shows of a request, and that it harms none."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connection
from django.test import AsyncClient, Client, override_settings
from django.test.utils import CaptureQueriesContext

from perfsuite.metrics.request import current
from perfsuite.queries.following import Followed
from tests.queries.toolbar_settings import SETTINGS
from tests.testing.work import LINE, make_books

pytestmark = pytest.mark.django_db

TOOLBAR = tuple(int(part) for part in version("django-debug-toolbar").split(".")[:2])
ADVICE = 'testapp.Book.author is read row by row: add .select_related("author") to the queryset'


@pytest.fixture(autouse=True)
def _development() -> Iterator[None]:
    """Have the toolbar in the site. It can be imported only where it is installed. A slow moment makes no finding."""
    slow = {"QUERIES": {"SLOW_QUERY_MS": 60_000}}
    apps = [*settings.INSTALLED_APPS, "debug_toolbar"]
    with override_settings(INSTALLED_APPS=apps, PERFSUITE=slow, **SETTINGS):
        if TOOLBAR < (4,):
            _read_settings_again()
        yield


def _read_settings_again() -> None:
    """Have an old toolbar read its settings, which it does once in a process."""
    own, middleware = (import_module(f"debug_toolbar.{name}") for name in ("settings", "middleware"))
    for cached in (own.get_config, own.get_panels, middleware.get_show_toolbar):
        cached.cache_clear()
    import_module("debug_toolbar.toolbar").DebugToolbar._panel_classes = None


@pytest.fixture
def toolbar() -> ModuleType:
    return import_module("perfsuite.queries.toolbar")


def shown(path: str, client: Client | None = None) -> str:
    """Return the text of what the panel shows of a request, each run of spaces as one."""
    return text_of((client or Client()).get(path).content.decode())


def text_of(page: str) -> str:
    panel = page[page.index("<h4>Time</h4>") :] if "<h4>Time</h4>" in page else page
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", panel)).split())


def subtitle(page: str) -> str:
    found = re.search(r"([\d,]+ statements? in [\d.,]+ ms(, \d+ findings?)?)", html.unescape(page))
    assert found is not None
    return re.sub(r"[\d.,]+ ms", "N ms", found[1])


def test_a_request_that_reads_row_by_row_is_told_what_to_change_and_where() -> None:
    make_books(4)
    page = Client().get("/listing/").content.decode()
    assert subtitle(page) == "5 statements in N ms, 1 finding"
    text = text_of(page)
    assert f"N+1 4 {ADVICE}" in text
    assert f"{LINE} in names_of_authors" in text
    database = "MongoDB" if connection.vendor in ("mongodb", "djongo") else "SQL"
    assert re.search(
        rf"Time Request {database} Python [\d.]+ ms [\d.]+ ms \(\d+ %\) [\d.]+ ms \(\d+ %\) Findings", text
    )
    assert re.search(r"Statements default 5 in [\d.]+ ms Times Total Slowest Statement 4 [\d.]+ ms", text)
    if connection.vendor != "mongodb":
        assert 'WHERE "testapp_author"."id" = ?' in text


def test_an_asynchronous_request_is_followed_too() -> None:
    make_books(4)
    assert f"N+1 4 {ADVICE}" in shown("/listing-async/")


@pytest.mark.parametrize("path", ["/listing-async/", "/listing/"])
def test_under_asgi_it_is_the_same(path: str) -> None:
    make_books(4)
    page = async_to_sync(AsyncClient().get)(path).content.decode()
    assert subtitle(page) == "5 statements in N ms, 1 finding"


def test_two_rows_are_no_n_plus_one_and_what_is_joined_is_none() -> None:
    make_books(2)
    assert "Nothing is repeated or slow in this request." in shown("/listing/")
    make_books(10)
    page = Client().get("/joined/").content.decode()
    assert subtitle(page) == "1 statement in N ms"


def test_a_slow_statement_is_a_finding() -> None:
    make_books(1)
    with override_settings(PERFSUITE={"QUERIES": {"SLOW_QUERY_MS": 0.0001}}):
        assert "Slow 1 A statement on testapp.Book is slow" in shown("/joined/")


@pytest.mark.relational
@pytest.mark.parametrize(
    ("path", "options", "told"),
    [
        ("/joined/", {"UNBOUNDED_ROWS": 3}, "Unbounded result 1 4 rows came by a statement without a LIMIT"),
        ("/paged/", {"LARGE_TABLE_ROWS": 4}, "Count before each page 1 4 rows were counted in "),
    ],
)
def test_what_is_found_of_rows_in_production_is_told_of_the_request(
    path: str, options: dict[str, int], told: str
) -> None:
    make_books(4)
    assert "Nothing is repeated or slow in this request." in shown(path)
    with override_settings(PERFSUITE={"QUERIES": options}):
        page = shown(path)
    assert told in page
    assert "tests/queries/toolbar_host.py:" in page or "tests/testing/work.py:" in page


@pytest.mark.relational
def test_a_failed_statement_is_marked() -> None:
    assert re.search(r"Slowest Statement 1, 1 failed [\d.]+ ms [\d.]+ ms INSERT INTO", shown("/failing/"))


def test_too_many_statements_are_a_finding() -> None:
    make_books(2)
    with override_settings(PERFSUITE={"QUERIES": {"CHATTY_COUNT": 2}}):
        assert "Too many statements 3 This request ran 3 different statements" in shown("/listing/")


@pytest.mark.parametrize(
    "middleware", [SETTINGS["MIDDLEWARE"], SETTINGS["MIDDLEWARE"][1:], SETTINGS["MIDDLEWARE"][::-1]]
)
@pytest.mark.parametrize("mode", ["observe", "warn"])
def test_a_statement_of_all_tenants_is_told_with_its_table_and_its_line(
    mode: str, middleware: list[str]
) -> None:
    make_books(3)
    owned = {"TENANT_OWNED": {"testapp.Book": "author"}, "TENANT_GUARD": mode}
    with override_settings(PERFSUITE={"QUERIES": owned}, MIDDLEWARE=middleware):
        text = shown("/of-all-tenants/")
        assert text.count("Tenant not named 2 A statement of tests/queries/toolbar_host.py:") == 1
        assert re.search(r"in \S+ reaches 'testapp_book' without its tenant column 'author(_id)?'", text)
        assert "Tenant not named" not in shown("/nothing/")
    with override_settings(PERFSUITE={"QUERIES": {**owned, "TENANT_ALLOWED_ROUTES": ["/of-all-*"]}}):
        assert "Tenant not named" not in shown("/of-all-tenants/")


@pytest.mark.relational
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "middleware", [SETTINGS["MIDDLEWARE"], SETTINGS["MIDDLEWARE"][1:], SETTINGS["MIDDLEWARE"][::-1]]
)
def test_a_transaction_that_is_held_long_is_told_with_its_line(middleware: list[str]) -> None:
    make_books(3)
    with override_settings(PERFSUITE={"QUERIES": {"LONG_TRANSACTION_MS": 0}}, MIDDLEWARE=middleware):
        text = shown("/in-a-transaction/")
    counted = ", and its 1 statements took \\d+ ms of that" if len(middleware) > 1 else ""
    assert re.search(rf"Long transaction 1 A transaction was open for \d+ ms{counted}; move out of it", text)
    assert re.search(r"tests/queries/toolbar_host.py:\d+ in in_a_transaction", text)


def test_what_the_toolbar_has_kept_of_a_request_is_shown_later() -> None:
    make_books(4)
    with override_settings(DEBUG_TOOLBAR_CONFIG={**SETTINGS["DEBUG_TOOLBAR_CONFIG"], "RENDER_PANELS": False}):
        if TOOLBAR < (4,):
            _read_settings_again()
        client = Client()
        page = client.get("/listing/").content.decode()
        found = re.search(r'data-(request|store)-id="(\w+)"', page)
        assert found is not None
        assert "<h4>Time</h4>" not in page
        chosen = {f"{found[1]}_id": found[2], "panel_id": "PerfsuitePanel"}
        kept = client.get("/__debug__/render_panel/", chosen).json()["content"]
    assert f"N+1 4 {ADVICE}" in text_of(kept)


def test_a_request_that_nothing_else_measures_is_followed_too() -> None:
    make_books(4)
    with override_settings(MIDDLEWARE=SETTINGS["MIDDLEWARE"][1:]):
        assert f"N+1 4 {ADVICE}" in shown("/listing/")
        assert f"N+1 4 {ADVICE}" in shown("/listing-async/")
    assert current.get() is None


def test_the_time_of_a_cache_is_a_part_of_its_own() -> None:
    assert re.search(r"Time Request (SQL )?Cache Python ", shown("/cached/"))


def test_the_panel_says_that_reads_of_memory_are_not_timed_where_there_are_any() -> None:
    said = "What TieredCache has in memory it finds too quickly to be timed"
    assert said not in shown("/cached/")
    kept = {"BACKEND": "perfsuite.caching.TieredCache", "LOCATION": "toolbar"}
    with override_settings(CACHES={**settings.CACHES, "kept": kept}):
        assert said in shown("/cached/")


def test_a_request_without_statements_says_so() -> None:
    assert "This request sent none." in shown("/nothing/")


def test_the_panel_sends_no_statement_and_leaves_the_tally_as_it_was() -> None:
    make_books(3)
    with CaptureQueriesContext(connection) as captured:
        shown("/listing/")
    assert len(captured) == 4
    assert current.get() is None


def test_a_panel_that_is_off_follows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    make_books(3)
    monkeypatch.setattr(Followed, "follow", lambda *args: pytest.fail("it followed"))
    client = Client()
    client.cookies["djdtPerfsuitePanel"] = "off"
    assert client.get("/listing/").status_code == 200


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"PERFSUITE": {"METRICS": {"ENABLED": False}}}, "ENABLE_PERFORMANCE_MONITORING is off"),
        ({"INSTALLED_APPS": ["django.contrib.staticfiles", "debug_toolbar", "tests.testapp"]}, "perfsuite.queries is not in"),
    ],
    ids=["off", "not installed"],
)  # fmt: skip
def test_where_nothing_is_seen_the_panel_says_why(changes: dict[str, object], reason: str) -> None:
    with override_settings(**{**changes, "MIDDLEWARE": SETTINGS["MIDDLEWARE"][1:]}):
        assert reason in shown("/nothing/")


@pytest.mark.parametrize("where", ["Block", "stats_of", "found_in", "perf_counter", "render_to_string"])
def test_whatever_fails_in_the_panel_is_counted_and_the_page_is_sent(
    where: str, toolbar: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("broken")

    make_books(3)
    monkeypatch.setattr(toolbar, where, fail)
    before = toolbar.guard.failures
    try:
        answer = Client().get("/listing/")
        assert answer.status_code == 200
        assert "author 0, author 1, author 2" in answer.content.decode()
        assert toolbar.guard.failures > before
        assert current.get() is None
    finally:
        toolbar.guard.reset()


def test_what_the_toolbar_keeps_is_plain_data(toolbar: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    make_books(3)
    kept: list[dict[str, object]] = []
    record = toolbar.PerfsuitePanel.record_stats

    def keep(self: object, stats: dict[str, object]) -> None:
        kept.append(stats)
        record(self, stats)

    monkeypatch.setattr(toolbar.PerfsuitePanel, "record_stats", keep)
    shown("/listing/")
    (stats,) = kept
    assert json.loads(json.dumps(stats)) == stats


def test_a_panel_that_the_toolbar_keeps_holds_no_statements(
    toolbar: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    panels: list[Any] = []
    init = toolbar.PerfsuitePanel.__init__

    def keep(self: object, *args: object) -> None:
        panels.append(self)
        init(self, *args)

    monkeypatch.setattr(toolbar.PerfsuitePanel, "__init__", keep)
    make_books(3)
    assert "Statements default 4" in shown("/listing/")
    (panel,) = panels
    assert panel._block is None


def test_more_statements_than_are_kept_are_counted(toolbar: ModuleType) -> None:
    followed = Followed(limit=1)
    for number in range(3):
        followed.add(None, (f"SELECT {number}", "default", 0.001, False, None, None))
    stats = toolbar.stats_of(followed, 0.01, 0.002, "")
    assert (stats["count"], stats["left_out"]) == (1, 2)
    assert [part["name"] for part in stats["parts"]] == ["SQL", "Cache", "Python"]
    assert [round(part["ms"]) for part in stats["parts"]] == [1, 2, 7]
