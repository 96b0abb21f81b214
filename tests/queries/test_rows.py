"""How many rows statements returned or changed, where the driver tells, and what is made of texts alone."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from perfsuite.monitoring import RequestMetricsMiddleware
from perfsuite.queries import kinds, rows, sql
from perfsuite.queries.row_findings import Scope, is_unbounded, remarkable, scope, sightings
from perfsuite.queries.rows import Fetched, is_unlimited
from tests.queries.corpus_rows.models import Topic
from tests.recorded import Recorded

of_sql = pytest.mark.skipif(
    connection.vendor not in ("sqlite", "postgresql"), reason="documents have a kind of their own"
)
KNOWS_SELECT = connection.vendor == "postgresql"


def in_a_request(work: Callable[[], object]) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        work()
        return HttpResponse()

    RequestMetricsMiddleware(view)(RequestFactory().get("/"))


def told(recorded: Recorded) -> dict[str, float]:
    """Return the rows by operation."""
    counts: dict[str, float] = {}
    for labels in recorded.labels(kinds.ROWS):
        operation = labels[0].split()[0]
        counts[operation] = counts.get(operation, 0) + recorded.sum(kinds.ROWS, *labels)
    return counts


@of_sql
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("work", "rows_told"),
    [
        (lambda: list(Topic.objects.all()), {"SELECT": 12}),
        (lambda: list(Topic.objects.iterator(chunk_size=5)), {} if KNOWS_SELECT else {"SELECT": 12}),
        (lambda: list(Topic.objects.all()[:5]), {"SELECT": 5} if KNOWS_SELECT else {}),
        (lambda: Topic.objects.filter(name="nobody").first(), {"SELECT": 0} if KNOWS_SELECT else {}),
        (lambda: list(Topic.objects.filter(name="nobody")), {"SELECT": 0}),
        (lambda: Topic.objects.update(name="x"), {"UPDATE": 12}),
        (lambda: Topic.objects.filter(name="nobody").update(name="x"), {"UPDATE": 0}),
        (lambda: Topic.objects.bulk_create([Topic(name="x") for _ in range(3)]), {"INSERT": 3}),
        (lambda: connection.cursor().execute("DELETE FROM corpus_rows_topic"), {"DELETE": 12}),
        (
            lambda: connection.cursor().executemany(
                "UPDATE corpus_rows_topic SET name = %s", [("a",), ("b",)]
            ),
            {"UPDATE": 24},
        ),
    ],
)
def test_rows_are_what_the_driver_tells(
    recorded: Recorded, work: Callable[[], object], rows_told: dict[str, float]
) -> None:
    Topic.objects.bulk_create([Topic(name=f"topic {n}") for n in range(12)])
    in_a_request(work)
    assert told(recorded) == rows_told
    assert recorded.count("self.failures") == 0


@of_sql
@pytest.mark.django_db
def test_a_cursor_that_runs_several_statements_tells_of_each(recorded: Recorded) -> None:
    Topic.objects.bulk_create([Topic(name=f"topic {n}") for n in range(12)])

    def work() -> None:
        with connection.cursor() as cursor:
            for limit in (3, 12):
                cursor.execute("SELECT name FROM corpus_rows_topic WHERE 1 < %s", [limit])
                assert len(cursor.fetchall()) == 12
            cursor.execute("SELECT COUNT(*) FROM corpus_rows_topic")
            assert cursor.fetchone() == (12,)
            cursor.execute("SELECT name FROM corpus_rows_topic ORDER BY name")
            assert len(cursor.fetchmany(5)) == 5
            assert cursor.fetchone() is not None

    in_a_request(work)
    assert recorded.count("self.failures") == 0
    assert told(recorded)["SELECT"] >= 2 * 12 + 5


@of_sql
@pytest.mark.django_db
def test_what_an_insert_returns_is_fetched_and_so_not_always_known(recorded: Recorded) -> None:
    def work() -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO corpus_rows_topic (id, name) VALUES (%s, 'x') RETURNING name", [uuid.uuid4().hex]
            )
            assert cursor.fetchall() == [("x",)]

    in_a_request(work)
    assert told(recorded) == ({"INSERT": 1} if KNOWS_SELECT else {})


@of_sql
@pytest.mark.django_db
def test_a_statement_that_fails_has_no_rows(recorded: Recorded) -> None:
    from django.db import DatabaseError, transaction

    def work() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("UPDATE corpus_rows_topic SET name = 'x'")
            cursor.execute("SELECT * FROM no_such_table")

    with pytest.raises(DatabaseError):
        in_a_request(work)
    assert told(recorded) == {"UPDATE": 0}


@of_sql
@pytest.mark.django_db
def test_a_hook_that_throws_leaves_the_statement_and_its_rows_alone(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("broken")

    Topic.objects.bulk_create([Topic(name=f"topic {n}") for n in range(12)])
    seen: list[Any] = []
    for name in ("look_closer", "watch_text"):
        with monkeypatch.context() as patch:
            sql._texts.clear()
            sql.forget_texts()
            patch.setattr(sql, name, broken)
            in_a_request(lambda: seen.append((len(Topic.objects.all()), Topic.objects.count())))
    with monkeypatch.context() as patch:
        patch.setattr(rows, "call_site", broken)
        patch.setattr(rows.limits, "rows", 2)
        patch.setattr(rows.limits, "large", 2)
        in_a_request(lambda: seen.append((len(Topic.objects.all()), Topic.objects.count())))
    assert seen == [(12, 12)] * 3
    assert recorded.sum("self.failures") > 0


@pytest.mark.parametrize(
    ("text", "unlimited"),
    [
        ('SELECT "a" FROM "t"', True),
        ('SELECT "a" FROM "t" LIMIT 21', False),
        ('SELECT "a" FROM "t" LIMIT %s OFFSET 3', False),
        ('SELECT "limit" FROM "t"', True),
        ("SELECT a FROM t FETCH FIRST 5 ROWS ONLY", False),
        ("SELECT TOP 5 a FROM t", False),
        ('SELECT COUNT(*) AS "__count" FROM "t"', False),
        ('SELECT COUNT(*), "a" FROM "t" GROUP BY "a"', True),
        ("WITH x AS (SELECT 1) SELECT * FROM x", True),
    ],
)
def test_a_select_is_unlimited_unless_its_text_says_how_many_may_come(text: str, unlimited: bool) -> None:
    assert is_unlimited(text) is unlimited


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('SELECT "a" FROM "t"', Scope('"t"', "")),
        ('SELECT "a" FROM "t" WHERE "t"."x" = %s ORDER BY "a" LIMIT 10', Scope('"t"', '"t"."x" = %s')),
        (
            'SELECT COUNT(*) FROM (SELECT DISTINCT "a" AS "c" FROM "t" WHERE "t"."x" = %s) subquery',
            Scope('"t"', '"t"."x" = %s'),
        ),
        ("SELECT count(*) FROM shop.t where x in (%s) group by y", Scope("shop.t", "x in (%s)")),
        ("SELECT 1", Scope("", "")),
    ],
)
def test_the_scope_of_a_select_is_its_table_and_its_condition(text: str, found: Scope) -> None:
    assert scope(text) == found


def test_what_was_asked_for_by_key_has_a_bound_and_a_list_that_was_cut_is_taken_for_one() -> None:
    keys = ", ".join(["%s"] * 2_000)
    asked = f'SELECT "a" FROM "t" WHERE "t"."id" IN ({keys})'
    assert not is_unbounded(asked, Fetched(1_900))
    assert is_unbounded(asked, Fetched(2_001))
    assert not is_unbounded(asked.ljust(20_000)[:16_384], Fetched(2_001))
    assert not is_unbounded('SELECT "a" FROM "t"', Fetched(1_000))
    assert is_unbounded('SELECT "a" FROM "t"', Fetched(1_001))


def counted(seconds: float, rows_counted: int, key: int = 1) -> list[tuple[Any, ...]]:
    fetched = Fetched(1, "shop/views.py:3 in listing")
    fetched.count = rows_counted
    return [
        (
            'SELECT COUNT(*) AS "__count" FROM "t" WHERE "t"."x" = %s',
            "default",
            seconds,
            False,
            1,
            None,
            fetched,
        ),
        (
            'SELECT "a" FROM "t" WHERE "t"."x" = %s ORDER BY "a" LIMIT 25',
            "default",
            0.001,
            False,
            key,
            None,
            -1,
        ),
    ]


@pytest.mark.parametrize(
    ("statements", "found"),
    [
        (counted(0.2, 1_000), 1),  # slow
        (counted(0.2, 999), 0),  # not for counting
        (counted(0.001, 100_000), 1),  # large
        (counted(0.001, 99_999), 0),
        (counted(0.2, 1_000, key=2), 0),  # of another x
        (counted(0.2, 1_000)[:1], 0),
        (counted(0.2, 1_000)[::-1], 0),  # the page came first: it was not waited for
        ([*counted(0.2, 1_000), *counted(0.3, 1_000)], 1),
    ],
)
def test_a_count_before_its_page_is_told_once_if_it_is_slow_or_of_very_many(
    statements: list[tuple[Any, ...]], found: int
) -> None:
    told = list(sightings(statements, remarkable(statements), "/list/", lambda text, alias: text))
    assert len(told) == found
    for each in told:
        assert each.kind == "count_pagination"
        assert each.evidence["table"] == "t"
        assert (
            each.saving_us == sum(statement[2] for statement in statements if "COUNT" in statement[0]) * 1e6
        )
