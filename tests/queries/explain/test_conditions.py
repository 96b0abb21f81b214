"""What a statement compares and sorts, read from SQL as Django writes it and as people do."""

from __future__ import annotations

import pytest

from perfsuite.queries.explain.conditions import filters_of, order_of, tables_of
from perfsuite.queries.explain.sql_text import one_select

TABLES = {
    'SELECT 1 FROM "app_book"': {"app_book": "app_book"},
    'SELECT 1 FROM "app_book" INNER JOIN "app_author" T3 ON (1 = 1) WHERE 1': {
        "app_book": "app_book",
        "t3": "app_author",
    },
    "SELECT 1 FROM book AS b, author a WHERE 1": {"b": "book", "a": "author"},
    'SELECT 1 FROM "public"."book" b': {"b": "book"},
    "SELECT 1 FROM (SELECT 1 FROM book b) s": {"b": "book"},
    "SELECT 1": {},
}


@pytest.mark.parametrize(("sql", "tables"), TABLES.items())
def test_each_alias_has_its_table(sql: str, tables: dict[str, str]) -> None:
    assert tables_of(one_select(sql)) == tables


# The condition -> the columns of "b" compared with values, by patterns, and with other tables.
CONDITIONS = {
    'WHERE "b"."a" = %s': (["a"], [], []),
    'WHERE "b"."a" IN (%s, %s) AND "b"."c" > %s': (["a", "c"], [], []),
    'WHERE ("b"."a" BETWEEN %s AND %s OR "b"."c" IS NULL)': (["a", "c"], [], []),
    'WHERE "b"."a" LIKE %s ESCAPE \'x\'': ([], ["a"], []),
    'WHERE UPPER("b"."a"::text) LIKE UPPER(%s)': ([], ["a"], []),
    'WHERE date_trunc(%s, "b"."a") = %s': ([], ["a"], []),
    'WHERE "b"."a"::text = %s': (["a"], [], []),
    'WHERE NOT ("b"."a" = %s AND "b"."c" = %s)': ([], [], []),
    'WHERE "b"."a" NOT IN (%s) AND "b"."c" <> %s AND "b"."d" IS NOT NULL': ([], [], []),
    'WHERE "b"."a" = "o"."id"': ([], [], ["a"]),
    'WHERE "o"."id" = ("b"."a")': ([], [], ["a"]),
    'WHERE "b"."a" IN (SELECT U0."id" FROM "o" U0 WHERE U0."z" = %s)': (["a"], [], []),
    'WHERE 1 GROUP BY "b"."a" HAVING COUNT("b"."c") > %s': ([], [], []),
    'WHERE "b"."a" ORDER BY "b"."c" = %s': ([], [], []),
    "": ([], [], []),
}


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS.items())
def test_what_is_compared_is_told_by_how_an_index_would_serve_it(
    condition: str, expected: tuple[list[str], list[str], list[str]]
) -> None:
    found = filters_of(
        one_select(f'SELECT COUNT(*) FILTER (WHERE "b"."x" = %s), "b"."y" = %s FROM "book" b {condition}')
    )

    of_b = found.get("b")
    assert (of_b and (of_b.values, of_b.patterns, of_b.joins)) == (expected if any(expected) else None)


def test_a_column_without_its_table_is_told_apart() -> None:
    found = filters_of(
        one_select("SELECT id FROM book WHERE title = %s AND length(name) > 3 AND pages LIKE 'x'")
    )

    assert (found[""].values, found[""].patterns) == (["title"], ["name", "pages"])


ORDERS = {
    'SELECT 1 FROM "b" ORDER BY "b"."a" ASC, "b"."c" DESC LIMIT %s': [("b", "a"), ("b", "c")],
    "SELECT 1 FROM b ORDER BY a NULLS LAST": [("", "a")],
    "SELECT 1 FROM (SELECT 1 FROM c ORDER BY d) s": [],
    "SELECT 1 FROM b ORDER BY 3": [],
}


@pytest.mark.parametrize(("sql", "order"), ORDERS.items())
def test_what_the_whole_statement_is_ordered_by(sql: str, order: list[tuple[str, str]]) -> None:
    assert order_of(one_select(sql)) == order
