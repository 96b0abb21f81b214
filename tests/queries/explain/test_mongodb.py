"""What MongoDB 6.0.5 answered to ``explain``, read as a plan; and which commands are asked for at all."""

from __future__ import annotations

from typing import Any

import pytest

from perfsuite.queries.explain import NotExplainable
from perfsuite.queries.explain.mongodb import fields_of, filled, one_read, plan_of
from perfsuite.queries.explain.plans import Plan, Table
from tests.queries.explain.answers import answers

ANSWERS = answers("mongodb6")
TABLES = {"books": Table(2_000, frozenset(["_id", "pages"])), "authors": Table(10, frozenset(["_id"]))}
SCANNED = ("scan", "books", ("title",), (), False)

# What was asked and how -> what stands out, the costly node, and what was examined and returned.
EXPECTED: dict[tuple[str, str], tuple[list[tuple[object, ...]], str, tuple[int | None, int | None]]] = {
    ("filter and sort", "run"): ([SCANNED, ("sort", "books", ("author",), (), False)], "COLLSCAN books", (2_000, 1)),
    ("filter and sort", "not run"): (
        [SCANNED, ("sort", "books", ("author",), (), False)], "COLLSCAN books", (None, None),
    ),
    ("an index and a rest", "run"): ([], "FETCH", (9, 9)),
    ("search in a text", "run"): ([("scan", "books", ("title",), ("title",), False)], "COLLSCAN books", (2_000, 976)),
    ("match by an expression", "run"): ([SCANNED, ("sort", "", ("title",), (), False)], "COLLSCAN books", (2_000, 1)),
    ("lookup pushed down", "run"): (
        [SCANNED, ("scan", "authors", ("name",), (), False)], "COLLSCAN books", (2_010, 1),
    ),
    ("lookup by a pipeline", "run"): ([SCANNED, ("scan", "authors", (), (), False)], "COLLSCAN books", (2_010, 1)),
    ("group", "run"): ([("scan", "books", (), (), False)], "COLLSCAN books", (2_000, 10)),
    ("count", "run"): ([("scan", "books", ("author",), (), False)], "COLLSCAN books", (2_000, 200)),
    ("distinct", "run"): ([("scan", "books", ("author",), (), False)], "COLLSCAN books", (2_000, 400)),
    ("nothing there", "run"): ([], "", (0, 0)),
    ("two indexes", "run"): ([], "FETCH", (1, 1)),
}  # fmt: skip


def read(key: tuple[str, str]) -> Plan:
    asked: dict[str, Any] = ANSWERS[key]
    return plan_of(asked["answer"], asked["collection"], TABLES.get)


@pytest.mark.parametrize("key", ANSWERS)
def test_a_plan_tells_what_is_read_whole_and_sorted_and_what_was_examined(key: tuple[str, str]) -> None:
    plan = read(key)

    facts, costly, figures = EXPECTED[key]
    told = [(fact.kind, fact.table, fact.columns, fact.patterns, fact.is_served) for fact in plan.findings]
    assert told == facts
    assert [node.text for _, node in plan.root.walk() if node.is_costly] == ([costly] if costly else [])
    assert (plan.examined, plan.returned) == figures


def test_an_index_scan_is_named_with_its_index_and_keys_and_no_value_is_shown() -> None:
    text = read(("an index and a rest", "run")).as_text()

    assert "IXSCAN pages_1 on books  (rows 9)  keys: pages; examined: keys 9" in text
    assert "1990" not in text


def test_the_plans_of_shards_stand_beside_each_other() -> None:
    one = ANSWERS["filter and sort", "run"]["answer"]

    plan = plan_of({"shards": {"a": one, "b": one}}, "books", TABLES.get)

    assert [node.text for _, node in plan.root.walk()] == ["SHARDS", *["SORT", "COLLSCAN books"] * 2]


REFUSED: dict[str, dict[str, Any]] = {
    "it is 'insert'": {"insert": "books", "documents": []},
    "it is 'mapReduce'": {"mapReduce": "books"},
    "it is ''": {},
    "it reads no collection": {"aggregate": 1, "pipeline": [{"$currentOp": {}}]},
    "$out": {"aggregate": "books", "pipeline": [{"$out": "copied"}]},
    "$merge": {"aggregate": "books", "pipeline": [{"$merge": {"into": "copied"}}]},
    "$where": {"find": "books", "filter": {"$or": [{"$where": "sleep(1)"}]}},
    "$function": {"aggregate": "books", "pipeline": [{"$project": {"a": {"$function": {"body": "x"}}}}]},
    "$accumulator": {
        "aggregate": "b",
        "pipeline": [{"$facet": {"a": [{"$group": {"b": {"$accumulator": {}}}}]}}],
    },
}


@pytest.mark.parametrize(("why", "command"), REFUSED.items())
def test_what_writes_or_runs_code_is_refused(why: str, command: dict[str, Any]) -> None:
    with pytest.raises(NotExplainable) as caught:
        one_read(command)

    assert why in str(caught.value)


def test_a_command_nested_without_end_is_refused() -> None:
    nested: dict[str, Any] = {}
    nested["a"] = nested
    with pytest.raises(NotExplainable, match="nested too deep"):
        one_read({"find": "books", "filter": nested})


def test_of_a_command_only_what_it_reads_is_sent() -> None:
    sent = {"find": "books", "filter": {"a": 1}, "limit": 3}
    sessions = {
        "lsid": {"id": 1},
        "$db": "shop",
        "txnNumber": 3,
        "maxTimeMS": 9,
        "comment": "x",
        "allowDiskUse": True,
    }

    assert one_read({**sent, **sessions}) == ("find", sent)
    assert one_read({"aggregate": "b", "pipeline": [], "cursor": {"batchSize": 1}})[1]["cursor"] == {}


def test_where_values_are_blanked_something_stands_that_the_server_takes() -> None:
    command = {
        "find": "books", "filter": {"a": "?", "b": {"$gt": "?"}, "c": {"$in": ["?"]}, "d": {"$regex": "?", "$options": "?"}},
        "sort": {"a": "?"}, "limit": "?",
    }  # fmt: skip

    assert filled(command) == (
        {
            "find": "books",
            "filter": {
                "a": None,
                "b": {"$gt": None},
                "c": {"$in": [None]},
                "d": {"$regex": "^a", "$options": ""},
            },
            "sort": {"a": 1},
        },
        False,
    )
    assert filled({"find": "books", "filter": {"a": 1}}) == ({"find": "books", "filter": {"a": 1}}, True)


def test_fields_are_those_that_an_index_could_serve() -> None:
    condition = {
        "$and": [{"a": 1}, {"b": {"$ne": 2}}],
        "c": {"$regex": "x"},
        "$expr": {"$and": [{"$eq": ["$d", "$$now"]}, {"$regexMatch": {"input": "$e", "regex": "x"}}]},
    }

    assert fields_of(condition) == (["a", "c", "d", "e"], ["c", "e"])
    assert fields_of(condition, served_only=False)[0] == ["a", "b", "c", "d", "e"]
    assert fields_of("?") == ([], [])
