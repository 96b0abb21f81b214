"""What a statement asks of its tables."""

from __future__ import annotations

from typing import Any

import pytest

from perfsuite.indexes.suggesting.needs import UNKNOWN, Statement
from perfsuite.indexes.suggesting.reading_sql import read_sql
from perfsuite.queries.explain.errors import NotExplainable

CASES: list[tuple[str, dict[str, Any]]] = [
    ('SELECT "l"."id" FROM "l" WHERE ("l"."t" = ? AND "l"."s" = ?)', {"equals": {"t", "s"}}),
    ('SELECT "l"."id" FROM "l" WHERE "l"."t" IN (…)', {"among": {"t"}}),
    ('SELECT "l"."id" FROM "l" WHERE ("l"."k" = ? OR "l"."k" = ?)', {"among": {"k"}}),
    ('SELECT "l"."id" FROM "l" WHERE ("l"."k" = ? OR "l"."m" = ?)', {"patterns": {"k", "m"}}),
    ('SELECT "l"."id" FROM "l" WHERE "l"."a" BETWEEN ? AND ? AND "l"."b" = ?', {"equals": {"b"}, "ranges": {"a"}}),
    ('SELECT "l"."id" FROM "l" WHERE "l"."open" AND NOT "l"."hidden"', {"equals": {"open", "hidden"}}),
    ('SELECT "l"."id" FROM "l" WHERE "l"."gone" IS NULL AND "l"."here" IS NOT NULL', {"equals": {"gone"}, "patterns": {"here"}}),
    ('SELECT "l"."id" FROM "l" WHERE UPPER("l"."name"::text) LIKE UPPER(?)', {"patterns": {"name"}}),
    ('SELECT "l"."id" FROM "l" WHERE NOT ("l"."s" = ?)', {"patterns": {"s"}}),
    ('UPDATE "l" SET "s" = ?, "x" = (SELECT 1 FROM "o" WHERE "o"."y" = ?) WHERE "l"."k" = ?', {"equals": {"k"}}),
    ('DELETE FROM "l" WHERE "l"."form_id" IN (…)', {"among": {"form_id"}}),
    ('SELECT "l"."id" FROM "l" WHERE "l"."k" = ? ORDER BY "l"."at" DESC LIMIT 1 FOR UPDATE', {"equals": {"k"}}),
    ("SELECT `l`.`id` FROM `l` WHERE `l`.`k` = ?", {"equals": {"k"}}),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), CASES, ids=[sql for sql, _ in CASES])
def test_what_is_compared_is_told_by_how_an_index_would_serve_it(
    sql: str, expected: dict[str, set[str]]
) -> None:
    use = read_sql(sql).uses[0]

    found = {name: set(getattr(use, name)) for name in ("equals", "among", "ranges", "patterns")}
    assert {name: columns for name, columns in found.items() if columns} == expected


def joins(statement: Statement) -> set[tuple[str, str]]:
    def named(use: int, column: str) -> str:
        return f"{statement.uses[use].alias}.{column}"

    return {
        (named(each.left, each.left_column), named(each.right, each.right_column)) for each in statement.joins
    }


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ('SELECT "a"."x" FROM "a" INNER JOIN "b" ON ("a"."b_id" = "b"."id") WHERE "b"."k" = ?', {("a.b_id", "b.id")}),
        ('SELECT "a"."x" FROM "a" WHERE "a"."b_id" IN (SELECT U0."id" FROM "b" U0 WHERE U0."k" = ?)', {("a.b_id", "U0.id")}),
        ('SELECT "a"."x" FROM "a" WHERE EXISTS(SELECT 1 AS "a" FROM "b" U0 WHERE U0."a_id" = ("a"."id") LIMIT 1)',
            {("U0.a_id", "a.id")}),
        ('SELECT "a"."x", (SELECT COUNT(*) FROM "b" U0 WHERE U0."a_id" = ("a"."id")) AS "n" FROM "a"', {("U0.a_id", "a.id")}),
        ('SELECT "t"."x" FROM "t" INNER JOIN "t" T2 ON ("t"."parent_id" = T2."id")', {("t.parent_id", "T2.id")}),
        ("WITH x AS (SELECT a FROM t GROUP BY a) SELECT u.c FROM x JOIN u ON u.a = x.a", {("u.a", "x.a")}),
    ],
)  # fmt: skip
def test_columns_that_are_equal_are_joins_into_subqueries_too(
    sql: str, expected: set[tuple[str, str]]
) -> None:
    assert joins(read_sql(sql)) == expected


def test_order_limit_and_a_maximum_are_told() -> None:
    listed = read_sql(
        'SELECT "l"."id" FROM "l" WHERE "l"."t" = ? ORDER BY "l"."at" DESC, "l"."id" ASC LIMIT 25'
    )
    assert (listed.blocks[0].order, listed.blocks[0].has_limit) == ([(0, "at", True), (0, "id", False)], True)
    assert read_sql('SELECT MAX("l"."at") AS "m" FROM "l"').blocks[0].extreme == (0, "at")


def test_values_are_taken_from_the_text_and_from_parameters() -> None:
    sql = 'SELECT "l"."id" FROM "l" WHERE "l"."a" = \'x\' AND "l"."b" >= %s AND "l"."c" = ?'
    assert read_sql(sql, [5, "y"]).uses[0].equals == {"a": "x", "c": "y"}
    assert read_sql(sql, [5, "y"]).uses[0].ranges == {"b": [(">=", "5")]}
    assert read_sql(sql).uses[0].equals == {"a": "x", "c": UNKNOWN}


def test_a_column_without_its_table_is_the_table_s_that_has_it() -> None:
    columns = {"a": ["x", "b_id"], "b": ["id", "k"]}
    statement = read_sql("SELECT x FROM a, b WHERE b_id = id AND k = 3", columns_of=columns.get)
    assert joins(statement) == {("a.b_id", "b.id")}
    assert set(statement.uses[1].equals) == {"k"}


def test_what_is_no_statement_of_tables_is_refused() -> None:
    with pytest.raises(NotExplainable):
        read_sql("VACUUM")
