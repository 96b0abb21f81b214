"""What statements of one request come to, without a database."""

from __future__ import annotations

from typing import Any

import pytest

from perfsuite.queries.fingerprint import Shape, shape
from perfsuite.queries.repeats import Found, Limits, Site, findings_of, is_of_one_row, is_repeatable

GET = 'SELECT "shop_author"."id", "shop_author"."name" FROM "shop_author" WHERE "shop_author"."id" = %s LIMIT 21'
WRITE = 'UPDATE "shop_author" SET "name" = %s WHERE "shop_author"."id" = %s'
OTHER = 'UPDATE "shop_tag" SET "name" = %s WHERE "shop_tag"."id" = %s'
LINE, OTHER_LINE = Site("shop/views.py:7 in listing"), Site("shop/views.py:9 in listing")


def shape_of(text: Any, alias: str) -> Shape:
    return shape(text) if isinstance(text, str) else text


def run(text: Any, keys: Any, site: Site | None = LINE, ms: float = 0.1, alias: str = "default") -> list[Any]:
    """Return statements of one text as tracing gives them: the site is known from the third on."""
    return [
        (text, alias, ms / 1e3, False, key, site if number > 1 else None, None)
        for number, key in enumerate(keys)
    ]


def kinds_of(statements: list[Any], **limits: Any) -> list[tuple[str, int]]:
    return [(found.kind, found.count) for found in findings_of(statements, shape_of, Limits(**limits))]


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (run(GET, range(10)), [("n_plus_one", 10)]),
        (run(GET, range(9)), []),
        (run(GET, range(5), ms=4), [("n_plus_one", 5)]),
        (run(GET, range(5), ms=3.9), []),
        (run(GET, range(4), ms=1_000), []),
        (run(GET, [1] * 3), [("duplicate", 3)]),
        (run(GET, [1] * 2), []),
        (run(GET, [1, 1, 1, 2, 2, 2]), [("duplicate", 6)]),
        # Some parameters come more than once: still one statement for each row.
        (run(GET, [1, 2, 3] * 4), [("n_plus_one", 12)]),
        # One of many repetitions is another: what is read again is the same.
        (run(GET, [1] * 11 + [2]), [("duplicate", 11)]),
        (run(GET, range(10)) + run(GET, range(10, 14), OTHER_LINE), [("n_plus_one", 10)]),
        (run(GET, range(10), alias="one") + run(GET, range(9), alias="two"), [("n_plus_one", 10)]),
        (run(GET, [1] * 12, Site("a.py:1 in x", "shop.Book.author")), [("duplicate", 12)]),
        (run(GET, [1, 2] * 6, Site("a.py:1 in x", "shop.Book.author")), [("n_plus_one", 12)]),
        (run(GET, range(12), Site("a.py:1 in x", by="form")), []),
        (run(GET, [None] * 12), []),
        (run(WRITE, range(12)), [("n_plus_one", 12)]),
        (run(WRITE, [None] * 12), []),
        ([], []),
    ],
)
def test_one_line_that_repeats_is_an_n_plus_one_or_a_duplicate(
    statements: list[Any], expected: list[tuple[str, int]]
) -> None:
    assert kinds_of(statements) == expected


def test_what_was_written_to_in_between_is_no_duplicate() -> None:
    read = run(GET, [1] * 4)
    write, elsewhere = run(WRITE, [0])[0], run(OTHER, [0])[0]

    assert kinds_of([read[0], read[1], write, read[2], read[3]]) == []
    assert kinds_of([read[0], write, *read[1:]]) == [("duplicate", 3)]
    assert kinds_of([read[0], elsewhere, *read[1:]]) == [("duplicate", 4)]


def test_what_an_n_plus_one_and_duplicates_would_spare_is_all_but_what_remains() -> None:
    (repeated,) = findings_of(run(GET, range(10), ms=2), shape_of, Limits())
    (same,) = findings_of(run(GET, [1, 1, 1, 2, 2, 2], ms=2), shape_of, Limits())

    assert repeated.saving_s == pytest.approx(0.018)
    assert same.saving_s == pytest.approx(0.008)
    assert (repeated.site, repeated.distinct, same.distinct) == (LINE, 10, 2)


def test_a_request_is_chatty_by_what_no_other_finding_explains() -> None:
    different = [
        (f"SELECT c{n} FROM t{n} WHERE a = %s", "default", 0.001, False, n, None, None) for n in range(51)
    ]
    savepoints = [("SAVEPOINT s1", "default", 0.001, False, 0, None, None)] * 60

    assert kinds_of(different[:50]) == []
    assert kinds_of(different) == [("chatty", 51)]
    assert kinds_of(different[:40] + run(GET, range(40))) == [("n_plus_one", 40)]
    assert kinds_of(different[:40] + savepoints) == []
    assert kinds_of(different[:4], chatty_count=3) == [("chatty", 4)]
    (found,) = findings_of(different, shape_of, Limits())
    assert isinstance(found, Found)
    assert found.saving_s == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GET, True),
        ("SELECT a FROM t WHERE b IN (%s)", True),
        ("SELECT a FROM t WHERE b IN (%s, %s)", False),
        ("SELECT a FROM t WHERE b = %s AND c IN (%s, %s)", True),
        (f"SELECT a FROM t WHERE b = %s AND c IN ({', '.join(['%s'] * 10)})", False),
        ("SELECT a FROM t WHERE b > %s ORDER BY b LIMIT 100", False),
        ("SELECT a FROM t WHERE c = %s AND b > %s ORDER BY b LIMIT 100", False),
        ("SELECT a FROM t WHERE c = %s AND b > %s ORDER BY b LIMIT 1", True),
        ("SELECT a FROM t WHERE c = %s AND b > %s", True),
        ("SELECT a FROM t WHERE b BETWEEN %s AND %s", False),
        ("SELECT a FROM t WHERE c = %s LIMIT 10 OFFSET 20", False),
        ("SELECT a FROM t", False),
        ("SELECT a FROM t WHERE name = 'x'", True),
        ("INSERT INTO t (a, b) VALUES (%s, %s)", True),
        ("INSERT INTO t (a, b) VALUES (%s, %s), (%s, %s)", False),
        ("INSERT INTO t (a) SELECT * FROM UNNEST((%s)::integer[])", False),
        ("UPDATE t SET a = CASE WHEN (id = %s) THEN %s END WHERE id IN (%s, %s)", False),
        ("DELETE FROM t WHERE id IN (%s)", True),
        (Shape("db.t.find{_id}", "find"), True),
        (Shape("db.t.find{_id.$gt}", "find"), False),
        (Shape("db.t.find{_id.$in}", "find"), False),
        (Shape("db.t.find{_id.$in, owner}", "find"), True),
        (Shape("db.t.find{}", "find"), False),
        (Shape("db.t.aggregate[$match{owner}, $skip, $limit]", "aggregate"), False),
        (Shape("db.t.insert", "insert"), True),
    ],
)
def test_only_what_reads_or_writes_one_row_can_be_an_n_plus_one(text: Any, expected: bool) -> None:
    assert is_of_one_row(text, shape_of(text, "")) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GET, True),
        ("SELECT nextval('s')", False),
        ("SELECT 1", False),
        ("SELECT a FROM t ORDER BY RANDOM()", False),
        ("SELECT a FROM t WHERE id = %s FOR UPDATE", False),
        (WRITE, False),
    ],
)
def test_what_gives_another_answer_each_time_or_locks_is_no_duplicate(text: str, expected: bool) -> None:
    assert is_repeatable(shape(text)) is expected
