"""What PostgreSQL 15 and 16 answered to EXPLAIN (FORMAT JSON), read as a plan."""

from __future__ import annotations

from typing import Any

import pytest

from perfsuite.queries.explain.plans import Plan, Table
from perfsuite.queries.explain.postgresql import plan_of
from perfsuite.queries.explain.sql_text import one_select
from tests.queries.explain.answers import answers

ANSWERS = {version: answers(f"postgresql{version}") for version in (15, 16)}
TABLES = {
    "testapp_book": Table(3_000, frozenset(["id", "author_id"])),
    "testapp_author": Table(50, frozenset(["id"])),
}
OF_BOTH = [(version, key) for version, each in ANSWERS.items() for key in each]

# What was asked -> what stands out (kind, table, columns, patterns, is_served), and how the costly node begins.
EXPECTED: dict[str, tuple[list[tuple[object, ...]], str]] = {
    "filter and sort": (
        [("scan", "testapp_book", ("title",), (), False), ("sort", "testapp_book", ("pages",), (), False)],
        "Seq Scan on testapp_book",
    ),
    "by key": ([], "Index Scan using testapp_book_pkey on testapp_book"),
    "search in a text": (
        [("scan", "testapp_author", ("name",), ("name",), False)],
        "Seq Scan on testapp_author",
    ),
    "exists": (
        [("scan", "testapp_author", (), (), False), ("scan", "testapp_book", ("title",), (), False)],
        "Seq Scan on testapp_book u0",
    ),
    "subquery for each row": (
        [("scan", "testapp_book", ("pages",), (), False), ("scan", "testapp_author", (), (), False)],
        "Seq Scan on testapp_book u0",
    ),
    "join": ([("scan", "testapp_author", ("name",), (), False)], "Bitmap Heap Scan on testapp_book"),
    "key of another": ([("scan", "testapp_book", ("author_id",), (), True)], "Seq Scan on testapp_book"),
}


def read(version: int, key: tuple[str, str]) -> Plan:
    asked: dict[str, Any] = ANSWERS[version][key]
    return plan_of(asked["answer"], one_select(asked["sql"]), TABLES.get)


@pytest.mark.parametrize(("version", "key"), OF_BOTH)
def test_a_plan_tells_what_is_read_whole_and_sorted_and_marks_what_costs(
    version: int, key: tuple[str, str]
) -> None:
    plan = read(version, key)

    facts, costly = EXPECTED[key[0]]
    told = [(fact.kind, fact.table, fact.columns, fact.patterns, fact.is_served) for fact in plan.findings]
    assert told == facts
    assert [node.text for _, node in plan.root.walk() if node.is_costly] == [costly]
    assert (plan.examined is None) == (key[1] != "analyze")


def test_with_analyze_the_rows_that_were_examined_are_told_of_those_that_were_returned() -> None:
    plan = read(16, ("filter and sort", "analyze"))

    assert (plan.examined, plan.returned) == (3_000, 1)
    assert plan.missing_indexes(3_000)[0].columns == ("title",)


def test_each_node_has_its_cost_its_rows_and_its_conditions() -> None:
    root = read(16, ("join", "plain")).root
    inner = root.children[1].children[0]

    assert root.text == "Nested Loop"
    assert root.cost is not None
    assert root.cost > 0
    assert root.children[0].detail == "Filter: ((name)::text = 'a7'::text)"
    assert inner.text == "Bitmap Index Scan using testapp_book_author_id_b4b7b7bf"
    assert inner.rows == 60
