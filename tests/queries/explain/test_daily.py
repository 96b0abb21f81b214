"""The leader's job: slow statements explained once a day, their plans kept, missing indexes told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import override_settings

from perfsuite.metrics import findings, flush, leader, merging
from perfsuite.metrics.exemplars import remember
from perfsuite.metrics.flusher import describe
from perfsuite.metrics.leader import LeaseLost
from perfsuite.metrics.models import Exemplar
from perfsuite.queries import kinds
from perfsuite.queries.explain import daily
from perfsuite.queries.explain.daily import MAX_AT_ONCE, explain_slow, latest
from perfsuite.queries.fingerprint import shape
from perfsuite.queries.short_id import short_id
from tests.queries.explain.test_recorded import record
from tests.testapp.models import Author, Book

pytestmark = [pytest.mark.relational, pytest.mark.django_db(databases="__all__", transaction=True)]

SQL = 'SELECT "testapp_book"."title" FROM "testapp_book" WHERE "testapp_book"."title" = %s'
FINGERPRINT = shape(SQL).fingerprint
BY_KEY = SQL.replace('"testapp_book"."title" = %s', '"testapp_book"."id" = %s')
ON = {"QUERIES": {"EXPLAIN_DAILY": True, "EXPLAIN_SCAN_ROWS": 300}}


@pytest.fixture(autouse=True)
def _leads() -> Iterator[None]:
    leader._reset()
    leader.candidate.renew()
    yield
    leader._reset()


@pytest.fixture
def slow() -> None:
    """Record a slow statement, with its parameters, on a table of 300 rows."""
    author = Author.objects.create(name="a")
    Book.objects.bulk_create(Book(author=author, title=str(n), pages=n) for n in range(300))
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
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


def test_the_leader_has_the_job() -> None:
    assert leader._jobs["queries.explain"].run is explain_slow
    assert leader._jobs["queries.explain"].every_s == daily.EVERY_S
