"""What MongoDB's filters and pipelines come to."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.queries.tenant_guard.documents import MAX_CONDITIONS, verdict_of_command
from perfsuite.queries.tenant_guard.schema import FINE, NOT_UNDERSTOOD, Verdict
from tests.queries.tenant_guard.sql_table import SCHEMA

# The filter, and whether it holds lead to a tenant.
FILTERS: list[tuple[Any, bool]] = [
    ({"tenant_id": 5}, True),
    ({"tenant_id": 5, "name": "x"}, True),
    ({"tenant_id": {"$eq": 5}}, True),
    ({"tenant_id": {"$in": [5, 6]}}, True),
    ({"tenant_id": {"$eq": 5, "$exists": True}}, True),
    ({"$and": [{"name": "x"}, {"tenant_id": 5}]}, True),
    ({"$and": [{"$and": [{"tenant_id": 5}]}]}, True),
    ({"$or": [{"tenant_id": 5, "name": "x"}, {"tenant_id": 6}]}, True),
    ({"$expr": {"$eq": ["$tenant_id", 5]}}, True),
    ({"$expr": {"$and": [{"$gt": ["$x", 1]}, {"$eq": [{"$literal": 5}, "$tenant_id"]}]}}, True),
    ({"$expr": {"$in": ["$tenant_id", [5, 6]]}}, True),
    ({"$expr": {"$or": [{"$eq": ["$tenant_id", 5]}, {"$eq": ["$tenant_id", 6]}]}}, True),
    ({}, False),
    (None, False),
    ({"_id": 1}, False),
    ({"name": {"tenant_id": 5}}, False),
    ({"name": "tenant_id"}, False),
    ({"tenant_id": None}, False),
    ({"tenant_id": {"$in": [5, None]}}, False),
    ({"tenant_id": {"$ne": 5}}, False),
    ({"tenant_id": {"$gt": 0}}, False),
    ({"tenant_id": {"$exists": True}}, False),
    ({"tenant_id": {"$not": {"$eq": 5}}}, False),
    ({"tenant_id": re.compile(".")}, False),
    ({"tenant_id": {"$nin": [5]}}, False),
    ({"$or": [{"tenant_id": 5}, {"name": "x"}]}, False),
    ({"$nor": [{"tenant_id": 5}]}, False),
    ({"$expr": {"$eq": ["$tenant_id", "$other"]}}, False),
    ({"$expr": {"$ne": ["$tenant_id", 5]}}, False),
    ({"$expr": {"$or": [{"$eq": ["$tenant_id", 5]}, {"$eq": ["$x", 6]}]}}, False),
    ({"$expr": {"$not": [{"$eq": ["$tenant_id", 5]}]}}, False),
    ({"$expr": {"$eq": ["$tenant_id", "$$NOW"]}}, False),
]


@pytest.mark.parametrize(("condition", "is_held"), FILTERS, ids=[str(condition) for condition, _ in FILTERS])
@pytest.mark.parametrize(
    "name", ["find", "count", "distinct", "findAndModify", "update", "delete", "aggregate"]
)
def test_a_filter_holds_documents_to_a_tenant_or_does_not(name: str, condition: Any, is_held: bool) -> None:
    verdict = verdict_of_command(name, command(name, condition), SCHEMA)

    assert verdict.understood
    assert [owned.table for owned in verdict.unscoped] == ([] if is_held else ["lead"])
    assert verdict_of_command(name, {**command(name, condition), name: "other"}, SCHEMA) == FINE


def command(name: str, condition: Any) -> dict[str, Any]:
    if name == "aggregate":
        return {name: "lead", "pipeline": [{"$match": condition}] if condition is not None else []}
    if name in ("update", "delete"):
        return {name: "lead", f"{name}s": [{"q": condition}]}
    return {name: "lead", {"find": "filter"}.get(name, "query"): condition}


MATCH = {"$match": {"tenant_id": 5}}
UNWIND = {"$unwind": "$note"}
NOTES = {"$lookup": {"from": "note", "localField": "_id", "foreignField": "lead_id", "as": "note"}}
LEADS = {"$lookup": {"from": "lead", "localField": "_id", "foreignField": "tenant_id", "as": "leads"}}
PAGE = {"$lookup": {"from": "page", "localField": "page_id", "foreignField": "_id", "as": "page"}}
# What django-mongodb-backend puts where a LEFT JOIN found nothing.
KEPT = {"$set": {"note": {"$cond": {"if": {"$eq": [{"$size": "$note"}, 0]}, "then": [{}], "else": "$note"}}}}


def notes_where(*conditions: Any) -> dict[str, Any]:
    joined = {"$eq": ["$$parent__field__0", "$lead_id"]}
    return {
        "$lookup": {
            "from": "note",
            "let": {"parent__field__0": "$_id"},
            "pipeline": [{"$match": {"$and": [{"$expr": {"$and": [joined]}}, *conditions]}}],
            "as": "note",
        }
    }


def listed(*conditions: Any, of: str = "$lead_id", **others: Any) -> list[Any]:
    """Return what django-mongodb-backend makes of ``IN (SELECT ...)`` over notes, for a pipeline of leads."""
    group = {"$group": {"_id": None, "tmp_name": {"$addToSet": of}, **others}}
    taken = {"$getField": {"input": {"$arrayElemAt": ["$group", 0]}, "field": "tmp_name"}}
    pipeline = [
        *conditions,
        {"$facet": {"group": [group]}},
        {"$project": {"lead_id": {"$ifNull": [taken, []]}}},
    ]
    return [
        {"$lookup": {"from": "note", "let": {}, "pipeline": pipeline, "as": "__subquery0"}},
        {"$set": {"__subquery0": {"$arrayElemAt": ["$__subquery0", 0]}}},
        {"$match": {"$expr": {"$in": ["$_id", "$__subquery0.lead_id"]}}},
    ]


# The collection, the pipeline, and what it reaches without its tenant.
PIPELINES: list[tuple[str, Any, str]] = [
    ("lead", [MATCH, {"$group": {"_id": None}}], ""),
    ("lead", [{"$sort": {"x": 1}}, MATCH], ""),
    ("lead", [{"$geoNear": {"query": {"tenant_id": 5}}}], ""),
    ("lead", [{"$group": {"_id": "$tenant_id"}}, {"$match": {"tenant_id": 5}}], "lead"),
    ("lead", [{"$project": {"tenant_id": 5}}, MATCH], "lead"),
    ("lead", [{"$addFields": {"tenant_id": 5}}, MATCH], "lead"),
    ("lead", [{"$addFields": {"other": 5}}, MATCH], ""),
    ("lead", [MATCH, NOTES], ""),
    ("lead", [NOTES, UNWIND, MATCH], ""),
    ("lead", [PAGE, {"$unwind": "$page"}, {"$match": {"page.tenant_id": 5}}], ""),
    ("lead", [PAGE, {"$match": {"page.tenant_id": 5}}], ""),
    ("lead", [NOTES, KEPT, UNWIND, {"$match": {"note.tenant_id": 5}}], ""),
    ("lead", [NOTES, KEPT, UNWIND, {"$match": {"$or": [{"note.tenant_id": 5}, {"x": 1}]}}], "lead, note"),
    ("lead", [notes_where({"tenant_id": 5}), UNWIND], ""),
    ("lead", [notes_where({"tenant_id": 5}), KEPT, UNWIND], "lead"),
    ("lead", [notes_where({"tenant_id": 5})], "lead"),
    ("lead", [notes_where(), UNWIND, MATCH], ""),
    ("lead", [MATCH, {"$lookup": {"from": "note", "pipeline": [], "as": "n"}}], "note"),
    ("lead", [MATCH, {"$lookup": {"from": "note", "localField": "x", "foreignField": "x", "as": "n"}}], "note"),
    ("lead", [MATCH, {"$lookup": {"from": "note", "localField": "tenant_id", "foreignField": "tenant_id", "as": "n"}}], ""),
    ("lead", [MATCH, {"$lookup": {"from": "country", "localField": "c", "foreignField": "_id", "as": "c"}}], ""),
    ("other", [{"$lookup": {"from": "lead", "localField": "x", "foreignField": "_id", "as": "lead"}}], "lead"),
    ("other", [{"$match": {"x": 1}}], ""),
    ("company", [{"$match": {"slug": "acme"}}, LEADS], ""),
    ("company", [{"$match": {"country": "de"}}, LEADS], "lead"),
    ("lead", [MATCH, {"$unionWith": {"coll": "lead", "pipeline": [MATCH]}}], ""),
    ("lead", [MATCH, {"$unionWith": {"coll": "lead", "pipeline": []}}], "lead"),
    ("lead", [MATCH, {"$unionWith": "note"}], "note"),
    ("other", [{"$unionWith": "lead"}, MATCH], "lead"),
    ("lead", [MATCH, {"$facet": {"a": [{"$count": "n"}], "b": [NOTES]}}], ""),
    ("lead", [{"$facet": {"a": [MATCH], "b": [{"$count": "n"}]}}], "lead"),
    ("lead", [MATCH, {"$graphLookup": {"from": "page", "startWith": "$page_id", "as": "p"}}], "page"),
    ("lead", [MATCH, {"$graphLookup": {"from": "page", "restrictSearchWithMatch": {"tenant_id": 5}, "as": "p"}}], ""),
    ("lead", listed(MATCH), ""),
    ("lead", listed(), "lead, note"),
    ("lead", [*listed(), MATCH], ""),
    ("lead", listed(MATCH, of="$name"), ""),
    ("country", listed(MATCH), ""),
    ("lead", listed({"$group": {"_id": "$lead_id"}}, MATCH), "lead, note"),
    ("lead", listed(MATCH, {"$project": {"lead_id": "$other"}}), "lead"),
    ("lead", listed(MATCH, other={"$addToSet": "$page_id"}), "lead"),
    ("lead", [*listed(MATCH)[:2], {"$match": {"$expr": {"$nin": ["$_id", "$__subquery0.lead_id"]}}}], "lead"),
    ("lead", [NOTES, {"$match": {"$expr": {"$in": ["$_id", "$note.lead_id"]}}}], "lead, note"),
    ("lead", "no pipeline", "?"),
    ("lead", [{"$match": 5}], "?"),
    ("lead", [{"$match": {}, "$sort": {}}], "?"),
]  # fmt: skip


@pytest.mark.parametrize(("collection", "pipeline", "expected"), PIPELINES, ids=range(len(PIPELINES)))
def test_a_pipeline_reaches_what_the_table_says(collection: str, pipeline: Any, expected: str) -> None:
    verdict = verdict_of_command("aggregate", {"aggregate": collection, "pipeline": pipeline}, SCHEMA)
    tables = ", ".join(sorted(owned.table for owned in verdict.unscoped)) if verdict.understood else "?"
    assert tables == expected


def test_each_filter_of_a_batch_has_to_hold() -> None:
    updates = [{"q": {"tenant_id": 5}}, {"q": {"_id": 1}}]
    verdict = verdict_of_command("update", {"update": "lead", "updates": updates}, SCHEMA)
    assert [owned.table for owned in verdict.unscoped] == ["lead"]


HELD, OPEN = {"tenant_id": 5}, {"_id": 1}
# The operations of a client's bulk write on the collections lead, note and other, and what they reach without its tenant.
BULKS: list[tuple[Any, str]] = [
    ([{"insert": 0, "document": {}}, {"delete": 2, "filter": {}, "multi": True}], ""),
    ([{"update": 0, "filter": HELD, "updateMods": {}}, {"delete": 1, "filter": HELD}], ""),
    ([{"update": 0, "filter": HELD, "updateMods": {}}, {"delete": 0, "filter": {}, "multi": True}], "lead"),
    ([{"update": 1, "filter": OPEN, "updateMods": {}}, {"delete": 0, "filter": HELD}], "note"),
    ([{"delete": 0, "filter": OPEN}, {"delete": 1}], "lead, note"),
    ([{"delete": 0, "filter": OPEN}, {"delete": 1, "filter": 5}], "lead"),
    ([{"delete": 1, "filter": 5}], "?"),
    ([{"delete": 3, "filter": {}}], "?"),
    ([5], "?"),
    (5, "?"),
]


@pytest.mark.parametrize(("operations", "expected"), BULKS, ids=range(len(BULKS)))
def test_each_filter_of_a_clients_bulk_write_has_to_hold(operations: Any, expected: str) -> None:
    places = [{"ns": f"shop.{name}"} for name in ("Lead", "note", "other")]
    verdict = verdict_of_command("bulkWrite", {"bulkWrite": 1, "ops": operations, "nsInfo": places}, SCHEMA)
    tables = ", ".join(sorted(owned.table for owned in verdict.unscoped)) if verdict.understood else "?"
    assert tables == expected


def test_inserts_and_other_commands_are_nobodys_business() -> None:
    for name in ("insert", "createIndexes", "getMore", "ping", "explain"):
        assert verdict_of_command(name, {name: "lead", "documents": [{}]}, SCHEMA) == FINE


def test_what_nests_too_deeply_or_is_too_long_is_not_understood() -> None:
    deep: list[Any] = []
    for _ in range(100):
        deep = [{"$lookup": {"from": "lead", "pipeline": deep or [{"$match": {}}], "as": "x"}}]
    assert verdict_of_command("aggregate", {"aggregate": "lead", "pipeline": deep}, SCHEMA) == NOT_UNDERSTOOD
    long = {f"f{number}": number for number in range(MAX_CONDITIONS + 1)}
    assert verdict_of_command("find", {"find": "lead", "filter": long}, SCHEMA) == NOT_UNDERSTOOD
    nested: Any = {"tenant_id": 5}
    for _ in range(5_000):
        nested = {"$and": [nested]}
    assert verdict_of_command("find", {"find": "lead", "filter": nested}, SCHEMA) == NOT_UNDERSTOOD


KEYS = st.sampled_from(
    ["tenant_id", "$and", "$or", "$expr", "$eq", "$in", "$match", "$lookup", "from", "pipeline", "let", "as", "$unwind", "$facet",
     "$unionWith", "$set", "q", "localField", "foreignField", "$graphLookup", "restrictSearchWithMatch"]
)  # fmt: skip
LEAVES = (
    st.none()
    | st.integers()
    | st.sampled_from(["lead", "note", "$tenant_id", "$$x", "$note", ""])
    | st.binary(max_size=3)
)
VALUES = st.recursive(
    LEAVES, lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3)
)


@given(st.sampled_from(["find", "aggregate", "update", "delete", "distinct"]), VALUES)
def test_no_document_breaks_it(name: str, value: Any) -> None:
    assert isinstance(verdict_of_command(name, command(name, value), SCHEMA), Verdict)
    if name == "aggregate":
        assert isinstance(verdict_of_command(name, {name: "lead", "pipeline": value}, SCHEMA), Verdict)
