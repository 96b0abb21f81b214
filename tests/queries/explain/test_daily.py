"""The leader's job: slow statements explained once a day, their plans kept, missing indexes told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import override_settings

from perfsuite.metrics import findings, flush, leader, merging
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.exemplars import remember
from perfsuite.metrics.flusher import describe
from perfsuite.metrics.leader import LeaseLost
from perfsuite.metrics.lifecycle import MIN_RUNS
from perfsuite.metrics.models import Bucket, Exemplar
from perfsuite.metrics.recorder import recorder
from perfsuite.panel.pages.told import Told
from perfsuite.queries import advisers as registering
from perfsuite.queries import kinds
from perfsuite.queries.apps import EXPLAIN_EVERY_S
from perfsuite.queries.explain import daily
from perfsuite.queries.explain.daily import MAX_AT_ONCE, explain_slow, latest
from perfsuite.queries.fingerprint import shape
from perfsuite.queries.listing import as_line
from perfsuite.queries.short_id import short_id
from tests.queries.explain.test_recorded import record
from tests.testapp.models import Author, Book

pytestmark = [pytest.mark.relational, pytest.mark.django_db(databases="__all__", transaction=True)]

SQL = 'SELECT "testapp_book"."title" FROM "testapp_book" WHERE "testapp_book"."title" = %s'
FINGERPRINT = shape(SQL).fingerprint
BY_KEY = SQL.replace('"testapp_book"."title" = %s', '"testapp_book"."id" = %s')
BY_PAGES = SQL.replace('WHERE "testapp_book"."title" = %s', 'WHERE "testapp_book"."pages" = %s')
ON = {"QUERIES": {"EXPLAIN_DAILY": True, "EXPLAIN_SCAN_ROWS": 300}}


@pytest.fixture(autouse=True)
def _leads() -> Iterator[None]:
    leader._reset()
    leader.candidate.renew()
    yield
    leader._reset()


@pytest.fixture
def books() -> None:
    """Make a table of 300 rows, and remember a statement on it with its parameters."""
    author = Author.objects.create(name="a")
    Book.objects.bulk_create(Book(author=author, title=str(n), pages=n) for n in range(300))
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    remember(kinds.FINGERPRINT, (FINGERPRINT, "default", "/books/"), 250_000.0, {"sql": SQL, "params": ["7"]})
    flush()


@pytest.fixture
def slow(books: None) -> None:
    """Record that the statement was slow."""
    slow_one(SQL, ["7"])


def slow_one(sql: str, params: list[Any], route: str = "/books/") -> str:
    fingerprint = shape(sql).fingerprint
    remember(kinds.FINGERPRINT, (fingerprint, "default", route), 250_000.0, {"sql": sql, "params": params})
    record(fingerprint, "default", route, slow=True)
    return fingerprint


def missing() -> list[findings.FindingRow]:
    flush()
    merging.merge()
    return findings.findings(kind="missing_index")


@pytest.mark.usefixtures("slow")
def test_it_is_off_until_asked_for() -> None:
    assert explain_slow() == 0
    flush()
    assert latest(FINGERPRINT, "default") is None


@pytest.mark.usefixtures("slow")
@override_settings(PERFSUITE=ON)
def test_a_slow_statement_is_explained_once_a_day_and_its_plan_kept() -> None:
    assert explain_slow() == 1
    assert explain_slow() == 0
    flush()

    kept = latest(FINGERPRINT, "default")
    assert kept is not None
    assert kept.data["plan"]["findings"][0]["table"] == "testapp_book"
    assert kept.data["plan"]["root"]["is_costly"] is True
    assert "testapp_book" in kept.data["text"]

    daily._tried.clear()  # another process leads
    assert explain_slow() == 0
    of_plan = describe(kinds.PLAN, (FINGERPRINT, "default")).id
    Exemplar.objects.filter(series=of_plan).update(at=F("at") - daily.DAY_S - 1)
    daily._tried.clear()
    assert explain_slow() == 1


@pytest.mark.usefixtures("slow")
@override_settings(PERFSUITE=ON)
def test_a_large_table_read_whole_for_a_filter_that_nothing_serves_is_a_finding() -> None:
    slow_one(BY_KEY, ["00000000-0000-0000-0000-000000000000"])

    assert explain_slow() == 2

    (found,) = missing()
    assert (found.kind, found.subject, found.alias, found.route) == (
        "missing_index",
        FINGERPRINT,
        "default",
        "/books/",
    )
    told = {
        name: found.evidence["last"][name]
        for name in ("table", "columns", "patterns", "rows", "short_id", "engine")
    }
    assert told == {
        "table": "testapp_book", "columns": ["title"], "patterns": [], "rows": 300, "short_id": short_id(FINGERPRINT),
        "engine": connection.vendor,
    }  # fmt: skip
    assert "7" not in str(found.evidence["last"]["text"]).replace("300", "")
    assert Told(found).title == "Missing index: testapp_book (title)"


@pytest.fixture
def advisers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[registering.Adviser]]:
    """Register no advisers but those that are added."""
    monkeypatch.setattr(registering, "advisers", added := [])
    monkeypatch.setattr(daily, "advisers", added)
    yield added
    daily.guard.reset()


@pytest.mark.usefixtures("slow")
@override_settings(PERFSUITE=ON)
def test_an_adviser_that_throws_is_counted_and_the_job_and_the_others_go_on(
    advisers: list[registering.Adviser], caplog: pytest.LogCaptureFixture
) -> None:
    def fails(fingerprint: str, alias: str, table: str) -> dict[str, Any]:
        raise RuntimeError("no advice today")

    registering.register_adviser(fails)
    registering.register_adviser(lambda fingerprint, alias, table: {"sentence": f"Index {table}."})

    assert explain_slow() == 1

    assert advisers[0] is fails
    assert daily.guard.failures == 1
    assert "The hook queries.explain.advisers failed" in caplog.text
    (found,) = missing()
    assert found.evidence["last"]["columns"] == ["title"]
    assert found.evidence["last"]["sentence"] == "Index testapp_book."
    assert Told(found).title == "Missing index: testapp_book", "which columns, the sentence says"
    assert "Index testapp_book." in as_line(found)


@pytest.mark.usefixtures("slow")
@override_settings(PERFSUITE=ON)
def test_advisers_that_keep_throwing_are_asked_no_more_and_the_findings_go_on(
    advisers: list[registering.Adviser],
) -> None:
    asked = []

    def fails(fingerprint: str, alias: str, table: str) -> dict[str, Any]:
        asked.append(table)
        raise RuntimeError("never any advice")

    registering.register_adviser(fails)
    limit = MetricsSettings.get().hook_failure_limit
    for _ in range(limit - 1):
        daily.guard.failed(RuntimeError())

    assert explain_slow() == 1
    slow_one(BY_PAGES, [7], "/pages/")
    assert explain_slow() == 1

    assert (daily.guard.on, asked) == (False, ["testapp_book"])
    assert len(missing()) == 2


@pytest.mark.usefixtures("slow")
@override_settings(PERFSUITE={"QUERIES": {"EXPLAIN_DAILY": True, "EXPLAIN_SCAN_ROWS": 301}})
def test_a_smaller_table_is_none() -> None:
    assert explain_slow() == 1
    assert missing() == []


@override_settings(PERFSUITE=ON)
def test_one_that_cannot_be_explained_is_tried_once_and_its_reason_kept() -> None:
    record("UPDATE t SET a = ?", "default", slow=True)

    assert explain_slow() == 1
    flush()
    daily._tried.clear()
    assert explain_slow() == 0

    kept = latest("UPDATE t SET a = ?", "default")
    assert kept is not None
    assert kept.data["error"].startswith("This statement is not explained")
    assert kept.data["plan"] is None


@override_settings(PERFSUITE=ON)
def test_only_a_few_are_explained_at_a_time() -> None:
    for n in range(MAX_AT_ONCE + 2):
        record(f"DELETE FROM t{n}", "default", slow=True)

    assert [explain_slow(), explain_slow(), explain_slow()] == [MAX_AT_ONCE, 2, 0]


@pytest.mark.usefixtures("slow")
@override_settings(PERFSUITE=ON)
def test_what_reads_is_explained_before_what_writes() -> None:
    for n in range(MAX_AT_ONCE):
        for _ in range(9):
            record(f"DELETE FROM t{n}", "default", slow=True)

    assert explain_slow() == MAX_AT_ONCE
    flush()

    kept = latest(FINGERPRINT, "default")
    assert kept is not None
    assert kept.data["plan"] is not None


SORTED = (
    'SELECT "testapp_book"."title" FROM "testapp_book" WHERE "testapp_book"."author_id" = %s '
    'ORDER BY "testapp_book"."pages" ASC'
)


@pytest.mark.skipif(
    connection.vendor != "sqlite", reason="about a plan that others make of a full table only"
)
@pytest.mark.parametrize(("left", "is_told"), [(0.1, True), (0.5, True), (0.6, False), (None, False)])
@override_settings(PERFSUITE=ON)
def test_an_index_that_an_adviser_knows_for_a_table_that_is_not_read_whole_is_a_finding_if_it_saves_most(
    advisers: list[registering.Adviser], left: float | None, is_told: bool
) -> None:
    Author.objects.create(name="a")

    def advise(fingerprint: str, alias: str, table: str) -> dict[str, Any]:
        assert (fingerprint, alias, table) == (shape(SORTED).fingerprint, "default", "testapp_book")
        known = {"keys": ["author_id", "pages"], "left": left, "sentence": "Declare it."}
        return known if left is not None else {"sentence": "None is worth having."}

    registering.register_adviser(advise)
    slow_one(SORTED, ["00000000-0000-0000-0000-000000000000"])
    record(shape(SORTED).fingerprint, "default", "/books/", slow=True)
    record(shape(SORTED).fingerprint, "default", "/shelf/", slow=True)

    assert explain_slow() == 1

    found = {row.route: row for row in missing()}
    assert set(found) == ({"/books/", "/shelf/"} if is_told else set())
    for row in found.values():
        assert row.evidence["last"]["columns"] == ["author_id", "pages"]
        assert Told(row).title == "Missing index: testapp_book (author_id, pages)"
        assert row.evidence["last"]["sentence"] == "Declare it."
    if is_told and left is not None:
        # What is saved is a part of what took long within the day, which was twice as much on one of the routes.
        one, other = (found[route].evidence["saving_us_total"] for route in ("/books/", "/shelf/"))
        assert one == pytest.approx(2 * other)
        assert other == pytest.approx(1_000_000 * (1 - left))


@pytest.mark.usefixtures("slow")
@override_settings(PERFSUITE=ON)
def test_a_missing_index_is_resolved_when_its_statement_is_not_slow_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert explain_slow() == 1
    (found,) = missing()
    # As two hours later.
    monkeypatch.setattr(daily, "findings", lambda **_: [replace(found, last_seen=found.last_seen - 7_200)])
    Bucket.objects.all().update(start=F("start") - 7_200)

    def after(runs: int, *, slow: bool = False) -> str:
        for _ in range(runs):
            recorder.observe(kinds.FINGERPRINT, (FINGERPRINT, "default", "/books/"), 1_000.0)
        if slow:
            recorder.observe(kinds.SLOW, (FINGERPRINT, "default", "/books/"), 250_000.0)
        flush()
        explain_slow()
        (row,) = missing()
        return row.state

    assert after(MIN_RUNS - 1) == "open"
    assert after(1) == "resolved"
    findings.set_state(found.id, "open")
    assert after(100, slow=True) == "open"


def runs(slow: int, quick: int = 0, route: str = "/books/", minutes_ago: int = 0) -> None:
    """Record runs of the statement, some of them half as long again as the limit."""
    for number in range(slow + quick):
        us = 150_000.0 if number < slow else 1_000.0
        recorder.observe(kinds.FINGERPRINT, (FINGERPRINT, "default", route), us)
        if number < slow:
            recorder.observe(kinds.SLOW, (FINGERPRINT, "default", route), us)
    flush()
    pass_by(60 * minutes_ago)


def pass_by(seconds: int) -> None:
    """Let time pass since all that was recorded."""
    Bucket.objects.all().update(start=F("start") - seconds)


@pytest.mark.parametrize(
    ("before", "now", "is_told"),
    [
        ((0, 0), (1, 0), False),  # once, anything may be slow
        ((0, 0), (5, 0), False),  # a minute in which the machine was busy
        ((1, 0), (1, 0), True),
        ((1, 50), (1, 50), False),  # too few for one that is slow by itself
        ((3, 30), (3, 30), True),
    ],
)
@pytest.mark.usefixtures("books")
@override_settings(PERFSUITE=ON)
def test_what_is_slow_by_accident_lacks_no_index(
    before: tuple[int, int], now: tuple[int, int], is_told: bool
) -> None:
    runs(*before, minutes_ago=2)
    runs(*now)

    assert explain_slow() == is_told
    assert len(missing()) == is_told


@pytest.mark.usefixtures("books")
@override_settings(PERFSUITE=ON)
def test_it_is_told_once_it_is_no_accident_and_on_the_routes_where_it_is_none() -> None:
    runs(2, 5)
    runs(1, 100, route="/pages/")
    assert explain_slow() == 0
    pass_by(120)
    runs(2, 5)
    runs(1, 100, route="/pages/")
    assert explain_slow() == 1
    assert [row.route for row in missing()] == ["/books/"]


@pytest.mark.usefixtures("books")
@override_settings(PERFSUITE=ON)
def test_what_was_slow_long_before_was_slow_in_another_minute() -> None:
    runs(1, minutes_ago=180)
    runs(1)
    assert explain_slow() == 1


@pytest.mark.usefixtures("slow")
@override_settings(PERFSUITE=ON)
def test_what_a_missing_index_costs_is_counted_on_while_its_statement_is_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def saving_us(after_s: int, before_s: int = 0) -> float:
        pass_by(after_s)
        (row,) = missing()
        earlier = [replace(row, last_seen=row.last_seen - after_s - before_s)]
        monkeypatch.setattr(daily, "findings", lambda **_: earlier)
        explain_slow()
        (row,) = missing()
        return float(row.evidence["saving_us_total"])

    explain_slow()
    first = saving_us(0)
    assert first == pytest.approx(1_000_000)
    pass_by(60)
    runs(2)
    assert saving_us(daily.COUNTED_EVERY_S - 90, before_s=60) == first, "it is not time yet"
    runs(2)
    second = saving_us(60, before_s=daily.COUNTED_EVERY_S - 30)
    assert second == pytest.approx(first + 4 * 150_000)
    assert saving_us(daily.COUNTED_EVERY_S) == second, "it was slow no more"


@pytest.mark.usefixtures("slow")
@override_settings(PERFSUITE=ON)
def test_what_is_counted_already_is_not_counted_again_by_the_next_days_plan() -> None:
    assert explain_slow() == 1
    (first,) = missing()
    of_plan = describe(kinds.PLAN, (FINGERPRINT, "default")).id
    Exemplar.objects.filter(series=of_plan).update(at=F("at") - daily.DAY_S - 1)
    daily._tried.clear()
    pass_by(60)

    assert explain_slow() == 1
    (again,) = missing()
    assert again.evidence["count"] == 2
    assert again.evidence["saving_us_total"] == first.evidence["saving_us_total"]


@override_settings(PERFSUITE=ON)
def test_what_is_no_statement_is_not_tried() -> None:
    record("<other>", "default", slow=True)

    assert explain_slow() == 0


@pytest.mark.usefixtures("slow")
@override_settings(PERFSUITE=ON)
def test_it_stops_when_the_lead_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leader.candidate, "renew", lambda: False)

    with pytest.raises(LeaseLost):
        explain_slow()


def test_the_leader_has_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daily, "explain_slow", lambda: 7)
    assert leader._jobs["queries.explain"].run() == 7
    assert leader._jobs["queries.explain"].every_s == EXPLAIN_EVERY_S
