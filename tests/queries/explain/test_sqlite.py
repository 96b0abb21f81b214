"""What SQLite answered to EXPLAIN QUERY PLAN (3.40.1, but where another version is named), read as a plan."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from perfsuite.queries.explain.plans import Plan, Table
from perfsuite.queries.explain.sql_text import one_select
from perfsuite.queries.explain.sqlite import plan_of

TABLES = {"book": Table(5_000, frozenset(["id", "pages"])), "author": Table(20, frozenset(["id"]))}
Rows = list[tuple[int, int, int, str]]


class Case(NamedTuple):
    """A statement, what SQLite said, what stands out, and the text of the costly node."""

    sql: str
    rows: Rows
    facts: list[tuple[object, ...]]  # kind, table, columns, patterns, is_served
    costly: str


CASES = [
    Case(
        "select * from book b where b.title=? order by b.title, b.pages",
        [(6, 0, 0, "SCAN b"), (9, 0, 0, "USE TEMP B-TREE FOR ORDER BY")],
        [("scan", "book", ("title",), (), False), ("sort", "book", ("title", "pages"), (), False)],
        "SCAN b",
    ),
    Case(
        "select * from book where title=?",  # 3.35 and before
        [(2, 0, 0, "SCAN TABLE book")],
        [("scan", "book", ("title",), (), False)],
        "SCAN TABLE book",
    ),
    Case(
        "select * from book b where b.title=?",  # 3.35 and before
        [(2, 0, 0, "SCAN TABLE book AS b")],
        [("scan", "book", ("title",), (), False)],
        "SCAN TABLE book AS b",
    ),
    Case("select * from book where pages=?", [(3, 0, 0, "SEARCH book USING INDEX bp (pages=?)")], [], ""),
    Case(
        "select * from book where pages like ?",
        [(3, 0, 0, "SCAN book")],
        [("scan", "book", ("pages",), ("pages",), True)],
        "SCAN book",
    ),
    Case(
        'select * from book b inner join author T3 on (b."author_id"=T3."id") where T3."name" like ? order by b.pages',
        [(6, 0, 0, "SCAN b USING INDEX bp"), (9, 0, 0, "SEARCH T3 USING INDEX sqlite_autoindex_author_1 (id=?)")],
        [("scan", "book", (), (), False)],
        "SCAN b USING INDEX bp",
    ),
    Case(
        "select * from author a left join book x on x.title=a.name",
        [(3, 0, 0, "SCAN a"), (16, 0, 0, "SEARCH x USING AUTOMATIC COVERING INDEX (title=?) LEFT-JOIN")],
        [("scan", "author", (), (), False), ("scan", "book", ("title",), (), False)],
        "SEARCH x USING AUTOMATIC COVERING INDEX (title=?) LEFT-JOIN",
    ),
    Case(
        "select * from author a where exists(select 1 from book u0 where u0.author_id=a.id)",
        [(2, 0, 0, "SCAN a"), (5, 0, 0, "CORRELATED SCALAR SUBQUERY 1"), (9, 5, 0, "SCAN u0")],
        [("scan", "author", (), (), False), ("scan", "book", ("author_id",), (), False)],
        "SCAN u0",
    ),
    Case(
        "select title from book union select name from author order by 1",
        [
            (2, 0, 0, "MERGE (UNION)"), (4, 2, 0, "LEFT"), (7, 4, 0, "SCAN book"),
            (13, 4, 0, "USE TEMP B-TREE FOR ORDER BY"), (22, 2, 0, "RIGHT"), (25, 22, 0, "SCAN author"),
            (31, 22, 0, "USE TEMP B-TREE FOR ORDER BY"),
        ],
        [("scan", "book", (), (), False), ("sort", "", (), (), False), ("scan", "author", (), (), False)],
        "SCAN book",
    ),
    Case(
        "select * from book where id=? or pages=?",
        [
            (4, 0, 0, "MULTI-INDEX OR"), (5, 4, 0, "INDEX 1"),
            (13, 5, 0, "SEARCH book USING INDEX sqlite_autoindex_book_1 (id=?)"), (17, 4, 0, "INDEX 2"),
            (25, 17, 0, "SEARCH book USING INDEX bp (pages=?)"),
        ],
        [],
        "",
    ),
    Case(
        "select * from (select distinct title from book) s join author a on a.name=s.title",
        [
            (3, 0, 0, "MATERIALIZE s"), (7, 3, 0, "SCAN book"), (17, 3, 0, "USE TEMP B-TREE FOR DISTINCT"),
            (20, 0, 0, "SCAN a"), (34, 0, 0, "SEARCH s USING AUTOMATIC COVERING INDEX (title=?)"),
        ],
        [("scan", "book", (), (), False), ("sort", "", (), (), False), ("scan", "author", (), (), False)],
        "SCAN book",
    ),
    Case(
        "with recursive c(x) as (select 1 union all select x+1 from c) select x from c",
        [
            (2, 0, 0, "CO-ROUTINE c"), (5, 2, 0, "SETUP"), (6, 5, 0, "SCAN CONSTANT ROW"), (17, 2, 0, "RECURSIVE STEP"),
            (18, 17, 0, "SCAN c"), (26, 0, 0, "SCAN c"),
        ],
        [],
        "",
    ),
]  # fmt: skip


def read(sql: str, rows: Rows) -> Plan:
    return plan_of(rows, one_select(sql), TABLES.get)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sql)
def test_a_plan_tells_what_is_read_whole_and_sorted_and_marks_what_costs(case: Case) -> None:
    plan = read(case.sql, case.rows)

    told = [(fact.kind, fact.table, fact.columns, fact.patterns, fact.is_served) for fact in plan.findings]
    costly = [node.text for _, node in plan.root.walk() if node.is_costly]
    assert told == case.facts
    assert costly == ([case.costly] if case.costly else [])


def test_the_tree_is_that_of_the_parents() -> None:
    plan = read(CASES[7].sql, CASES[7].rows)

    assert [(depth, node.text) for depth, node in plan.root.walk()] == [
        (0, "QUERY PLAN"),
        (1, "SCAN a"),
        (1, "CORRELATED SCALAR SUBQUERY 1"),
        (2, "SCAN u0"),
    ]


def test_an_index_is_missing_from_so_many_rows_on_and_only_for_a_filter_that_none_serves() -> None:
    assert [fact.table for fact in read(CASES[0].sql, CASES[0].rows).missing_indexes(5_000)] == ["book"]
    assert read(CASES[0].sql, CASES[0].rows).missing_indexes(5_001) == []
    assert read(CASES[4].sql, CASES[4].rows).missing_indexes(1) == []  # there is one, and it was not chosen
    assert read(CASES[5].sql, CASES[5].rows).missing_indexes(1) == []  # no filter
