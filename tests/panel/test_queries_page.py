"""The pages of statements: who sees them, what they rank and filter, and that nothing recorded is taken for HTML."""

from __future__ import annotations

import json
import re

import pytest
from django.db import connections
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

import perfsuite.metrics
from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics.exemplars import remember
from perfsuite.metrics.recorder import recorder
from perfsuite.queries import ranking
from perfsuite.queries.explain import Node, NotExplainable, Plan, recorded
from perfsuite.queries.short_id import short_id
from tests.panel.conftest import client_of, make_user, record
from tests.panel.pages_host import (
    ESCAPED,
    FAST_SQL,
    HOSTILE,
    PLACES,
    SLOW_SQL,
    client_with,
    record_statements,
)
from tests.panel.test_page import INLINE

pytestmark = pytest.mark.django_db(databases="__all__")


def first_cells(page: str) -> list[str]:
    """Return the short ids of a page's lines, in their order."""
    return re.findall(r"· ([0-9a-f]{8})</span>", page)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["queries/", "queries/{id}/"])
def test_only_permitted_staff_sees_statements(place: str, name: str) -> None:
    url = place + name.format(id=record_statements())
    answer = Client().get(url)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/?next=")
    assert client_of(make_user("staff", staff=True)).get(url).status_code == 403
    answer = client_with("view_dashboard").get(url)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("place", PLACES)
def test_the_pages_only_take_their_methods(place: str, permitted: Client) -> None:
    name = record_statements()
    for url in (f"{place}queries/", f"{place}queries/{name}/"):
        assert permitted.post(url).status_code == 405
        assert permitted.head(url).status_code == 200
    assert permitted.get(f"{place}queries/{name}/explain/").status_code == 405


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["queries/", "queries/{id}/"])
def test_what_was_recorded_is_shown_as_text(place: str, name: str, permitted: Client) -> None:
    page = permitted.get(place + name.format(id=record_statements())).content.decode()
    assert HOSTILE not in page
    assert ESCAPED in page
    assert INLINE.search(page) is None


OFTEN_SQL = "SELECT often FROM book"


@pytest.mark.parametrize(
    ("asked", "order"),
    [
        ("", [OFTEN_SQL, SLOW_SQL, FAST_SQL]),
        ("?sort=p95", [SLOW_SQL, OFTEN_SQL, FAST_SQL]),
        ("?sort=count", [OFTEN_SQL, FAST_SQL, SLOW_SQL]),
    ],
)
def test_statements_are_ranked_as_asked(asked: str, order: list[str], permitted: Client) -> None:
    # Nearly as long as the slow one in its worst run, and in all longer; its p95 is what tells them apart.
    record("queries.fingerprint", (OFTEN_SQL, "default", "/often/"), *[10_000.0] * 98, 890_000.0, 890_000.0)
    record_statements()
    page = permitted.get(f"/performance/queries/{asked}").content.decode()
    assert first_cells(page) == [short_id(each) for each in order]


def test_the_ranking_by_errors_has_only_what_failed(permitted: Client) -> None:
    record_statements()
    page = permitted.get("/performance/queries/?sort=errors").content.decode()
    assert first_cells(page) == [short_id(FAST_SQL)]
    assert (
        '<th scope="col" class="ps-right" aria-sort="descending"><a href="/performance/queries/?sort=errors">'
        in page
    )


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ("?route=/slow/", [SLOW_SQL]),
        ("?operation=UPDATE", [FAST_SQL]),
        ("?alias=default", [SLOW_SQL, FAST_SQL]),
        ("?alias=gone", []),
        ("?route=/fast/&operation=SELECT", []),
    ],
)
def test_filters_narrow_the_ranking(asked: str, left: list[str], permitted: Client) -> None:
    record_statements()
    page = permitted.get(f"/performance/queries/{asked}").content.decode()
    assert first_cells(page) == [short_id(each) for each in left]
    assert ("No statements match in this range." in page) is (not left)


def test_a_filter_by_route_counts_only_that_route(permitted: Client) -> None:
    record_statements()
    page = permitted.get("/performance/queries/?route=/slow/").content.decode()
    figures = re.findall(r'<td class="ps-right">([^<]*)</td>', page)
    assert figures == ["3", "20 ms", "20 ms", "20 ms", "60 ms", "15", "0", "0"]


@pytest.mark.parametrize("place", PLACES)
def test_an_address_that_means_nothing_is_answered_in_words(place: str, permitted: Client) -> None:
    answer = permitted.get(f"{place}queries/?sort=<b>")
    assert answer.status_code == 400
    assert (
        "Unknown order &#x27;&lt;b&gt;&#x27;. Write one of total, p95, count, errors."
        in answer.content.decode()
    )
    assert permitted.get(f"{place}queries/?range=2y").status_code == 400
    answer = permitted.get(f"{place}queries/0badf00d/")
    assert answer.status_code == 404
    assert "No statement &#x27;0badf00d&#x27; was recorded in the last 30 days." in answer.content.decode()
    assert permitted.get(f"{place}queries/{short_id(SLOW_SQL)}/?database=gone").status_code == 404


def test_a_statement_has_its_routes_call_sites_and_exemplars(permitted: Client) -> None:
    page = permitted.get(f"/performance/queries/{record_statements()}/").content.decode()
    for shown in (
        "/slow/",
        "/other/",
        "shop/views.py:4 in",
        "900 ms",
        "SELECT on default",
        "Show the numbers",
    ):
        assert shown in page
    assert "Parameters:" not in page
    assert page[page.index("ps-trends") :].count("<rect") == 1  # one step with calls
    assert "ps-trend-p95" in page


def test_parameters_are_shown_where_they_are_kept(permitted: Client) -> None:
    name = record_statements()
    data = {"sql": SLOW_SQL, "params": ["O'Hara", HOSTILE]}
    remember("queries.fingerprint", (SLOW_SQL, "default", "/slow/"), 950_000.0, data)
    assert perfsuite.metrics.flush()
    page = permitted.get(f"/performance/queries/{name}/").content.decode()
    assert f"[&quot;O&#x27;Hara&quot;, &quot;{ESCAPED}&quot;]" in page


@pytest.mark.parametrize("place", PLACES)
def test_asking_for_a_plan_needs_the_permission_and_the_token(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def explain(fingerprint: str, alias: str) -> Plan:
        asked.append((fingerprint, alias))
        child = Node(f"SCAN {HOSTILE}", cost=12.5, is_costly=True)
        return Plan("sqlite", Node("QUERY PLAN", children=(child, Node("SORT"))), notes=("A note.",))

    monkeypatch.setattr(recorded, "explain", explain)
    url = f"{place}queries/{record_statements()}/explain/"
    viewer, asker = client_with("view_dashboard"), client_with("view_dashboard", "explain_query")
    assert viewer.post(url).status_code == 403
    assert Client().post(url).status_code == 302
    assert ">Explain</button>" not in viewer.get(url.replace("explain/", "")).content.decode()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = asker.cookies
    assert strict.post(url).status_code == 403
    assert asked == []
    assert ">Explain</button>" in asker.get(url.replace("explain/", "")).content.decode()
    page = asker.post(url).content.decode()
    assert asked == [(SLOW_SQL, "default")]
    assert f'data-costly><strong class="ps-costly">Costs most</strong> <code>SCAN {ESCAPED}</code>' in page
    assert "A note." in page
    plan = page[page.index('<ul class="ps-plan">') : page.index("A note.")]
    assert plan.count("<ul") == plan.count("</ul>") == 2
    assert plan.count("<li>") == plan.count("</li>") == 3


def test_a_real_plan_is_shown_of_a_real_statement() -> None:
    if connections["default"].vendor not in {"sqlite", "postgresql"}:
        pytest.skip("The table's name is that of SQL.")
    sql = "SELECT a.id FROM auth_user a ORDER BY a.first_name"  # no values: PostgreSQL 15 has a plan too
    record("queries.fingerprint", (sql, "default", "/"), 1_000.0)
    assert perfsuite.metrics.flush()
    asker = client_with("view_dashboard", "explain_query")
    page = asker.post(f"/performance/queries/{short_id(sql)}/explain/").content.decode()
    assert "Rows of auth_user are sorted by first_name" in page or "Seq Scan" in page
    assert 'class="ps-plan"' in page


def test_why_there_is_no_plan_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def explain(fingerprint: str, alias: str) -> Plan:
        raise NotExplainable("This statement is not explained: it is an <INSERT>.")

    monkeypatch.setattr(recorded, "explain", explain)
    asker = client_with("view_dashboard", "explain_query")
    answer = asker.post(f"/performance/queries/{record_statements()}/explain/")
    assert answer.status_code == 200
    assert "This statement is not explained: it is an &lt;INSERT&gt;." in answer.content.decode()


@pytest.mark.parametrize("place", PLACES)
def test_a_store_that_is_away_is_one_sentence(
    place: str, permitted: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = record_statements()

    def away(*args: object, **kwargs: object) -> None:
        raise StoreUnavailable("The metrics store cannot be read: no such table.")

    monkeypatch.setattr(ranking, "top", away)
    for url in (f"{place}queries/", f"{place}queries/{name}/"):
        answer = permitted.get(url)
        assert answer.status_code == 503
        assert "The metrics store cannot be read: no such table." in answer.content.decode()


def test_the_number_of_reads_does_not_grow_with_the_statements(permitted: Client) -> None:
    def reads() -> int:
        alias = next(iter(connections))
        with CaptureQueriesContext(connections[alias]) as captured:
            assert permitted.get("/performance/queries/").status_code == 200
        return len(captured)

    record_statements()
    reads()  # describes the series
    few = reads()
    for n in range(60):
        record("queries.fingerprint", (f"SELECT {n} FROM t{n}x", "default", f"/{n}/"), 1_000.0)
    assert perfsuite.metrics.flush()
    reads()
    assert reads() == few
    page = permitted.get("/performance/queries/").content.decode()
    assert len(first_cells(page)) == ranking.SHOWN
    assert f"the first {ranking.SHOWN} of 62" in page


def test_the_pages_are_not_recorded(permitted: Client) -> None:
    name = record_statements()
    recorder.take()
    for url in ("queries/", f"queries/{name}/", "findings/"):
        assert permitted.get(f"/performance/{url}").status_code == 200
    kinds = {kind for (kind, _), _ in recorder.take().items()}
    assert not {kind for kind in kinds if kind.startswith(("requests", "queries"))}


def test_what_is_no_statement_has_no_page(permitted: Client) -> None:
    record("queries.fingerprint", ("<other>", "default", "/"), 1_000.0)
    assert perfsuite.metrics.flush()
    page = permitted.get("/performance/queries/").content.decode()
    assert '<span class="ps-code">&lt;other&gt;</span>' in page


@override_settings(ROOT_URLCONF="tests.panel.other_place")
def test_links_stay_where_the_panel_is(permitted: Client) -> None:
    page = permitted.get(f"/internal/speed/queries/{record_statements()}/").content.decode()
    assert 'href="/internal/speed/findings/"' in page
    assert "/performance/" not in page


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        (
            {"plan": json.dumps(Plan("sqlite", Node("SCAN t", is_costly=True)).as_json())},
            "<code>SCAN t</code>",
        ),
        ({"plan": None, "text": "=> SCAN <t>"}, "=&gt; SCAN &lt;t&gt;"),
        ({"error": "The database does not answer."}, "The database does not answer."),
    ],
)
def test_the_plan_that_the_leader_kept_is_shown(kept: dict[str, str], shown: str, permitted: Client) -> None:
    name = record_statements()
    remember("queries.plan", (SLOW_SQL, "default"), 1.0, kept)
    assert perfsuite.metrics.flush()
    page = permitted.get(f"/performance/queries/{name}/").content.decode()
    assert shown in page
    assert "Kept just now, by EXPLAIN_DAILY." in page
