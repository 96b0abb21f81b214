"""A plan as text for a terminal and as plain types for the panel."""

from __future__ import annotations

import json

import pytest

from perfsuite.queries.explain.plans import Fact, Node, Plan, Table, marked, scan

LEAF = Node("Seq Scan on book", "Filter: x", cost=12.345, rows=2000.0)
PLAN = Plan(
    "postgresql",
    Node("Sort", cost=20.0, rows=1.0, children=(Node("Hash", children=(LEAF,)),)),
    (Fact("sort", "book", ("pages",)),),
    ("A note.",),
    examined=2000,
    returned=1,
)


def test_the_text_has_a_line_for_each_node_an_arrow_at_the_costly_one_and_then_what_stands_out() -> None:
    plan = Plan(**{**PLAN.__dict__, "root": marked(PLAN.root, {id(LEAF): 3.0, id(PLAN.root): 1.0})})

    assert plan.as_text() == (
        "   Sort  (cost 20, rows 1)\n"
        "     Hash\n"
        "=>     Seq Scan on book  (cost 12.3, rows 2,000)  Filter: x\n"
        "\n"
        "2,000 examined, 1 returned.\n"
        "Rows of book are sorted by pages; no index gives that order.\n"
        "A note."
    )


def test_a_plan_without_anything_to_say_is_its_tree_alone() -> None:
    assert Plan("sqlite", Node("SEARCH book")).as_text() == "   SEARCH book"
    assert Plan("sqlite", Node("SCAN b"), notes=("So.",)).as_text() == "   SCAN b\n\nSo."


def test_where_nothing_weighs_anything_nothing_is_marked() -> None:
    assert marked(PLAN.root, {}) == marked(PLAN.root, {id(LEAF): 0.0}) == PLAN.root


def test_the_plain_types_are_json_and_say_all() -> None:
    told = json.loads(json.dumps(PLAN.as_json()))

    assert told["root"]["children"][0]["children"][0] == {
        "text": "Seq Scan on book", "detail": "Filter: x", "cost": 12.345, "rows": 2000.0, "is_costly": False, "children": [],
    }  # fmt: skip
    assert told["findings"][0]["text"] == PLAN.findings[0].text
    assert (told["engine"], told["examined"], told["returned"], told["notes"]) == (
        "postgresql",
        2000,
        1,
        ["A note."],
    )


SENTENCES = [
    (Fact("sort", "", ()), "Rows are sorted; no index gives that order."),
    (scan("book", None, [], []), "All of book is read."),
    (
        scan("book", Table(1_234), ["a", "b"], ["b"]),
        "All of book (rows: 1,234) is read and filtered by a, b; no index serves that.",
    ),
    (
        scan("book", Table(5, frozenset(["a"])), ["a", "b"], ["b"]),
        "All of book (rows: 5) is read and filtered by a, b; there is an index on it, which was not chosen.",
    ),
    (
        scan("book", Table(5, frozenset(["id"])), ["a"], ["a"]),
        (
            "All of book (rows: 5) is read and filtered by a; a plain index does not serve a search inside a text, "
            "a trigram or full-text index does."
        ),
    ),
]


@pytest.mark.parametrize(("fact", "sentence"), SENTENCES)
def test_each_fact_is_one_sentence(fact: Fact, sentence: str) -> None:
    assert fact.text == sentence
