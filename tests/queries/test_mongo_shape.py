"""Shapes of MongoDB commands: what is alike is one shape, no value is in it, and hostile commands cost little."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest
from django.utils.safestring import SafeString
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.queries import mongo_shape
from perfsuite.queries.fingerprint import MAX_FINGERPRINT_CHARS
from perfsuite.queries.mongo_shape import MAX_KEYS, shape

Document = dict[str, Any]


def find(condition: Any) -> Document:
    return {"find": "orders", "filter": condition}


def aggregate(*stages: Any) -> Document:
    return {"aggregate": "orders", "pipeline": list(stages), "cursor": {}}


def text(command: Document) -> str:
    return shape("shop", next(iter(command)), command).fingerprint


class Field(StrEnum):
    """Names of fields, as a host may keep them."""

    STATUS = "status"


SHAPES: list[tuple[Document, str]] = [
    (find({}), "shop.orders.find{}"),
    (find(None), "shop.orders.find{}"),
    ({"find": "orders"}, "shop.orders.find{}"),
    (find({"status": "x", "placed_at": {"$gte": 1, "$lt": 2}}), "shop.orders.find{placed_at.$gte, placed_at.$lt, status}"),
    (find({"b": 1, "a": 2}), "shop.orders.find{a, b}"),
    (find({"$or": [{"a": 1}, {"b.c": {"$in": [1, 2]}}]}), "shop.orders.find{$or.a, $or.b.c.$in}"),
    (find({"$and": [{"$or": [{"a": 1}]}]}), "shop.orders.find{$and.$or.a}"),
    (find({"items.0.sku": "x", "a.12": 1}), "shop.orders.find{a.?, items.?.sku}"),
    (find({"a": {"$elemMatch": {"sku": "x", "n": {"$gt": 1}}}}), "shop.orders.find{a.$elemMatch.n.$gt, a.$elemMatch.sku}"),
    (find({"a": {"$not": {"$regex": "^x"}}}), "shop.orders.find{a.$not.$regex}"),
    (find({"address": {"jane@example.org": 1}}), "shop.orders.find{address}"),
    (find({"a": {"$gt": [{"jane": 1}]}}), "shop.orders.find{a.$gt}"),
    (find({"$expr": {"$eq": ["$a", {"jane": 1}]}}), "shop.orders.find{$expr.$eq.$a}"),
    (find({"tags": ["a", "b"]}), "shop.orders.find{tags}"),
    (find({"$expr": {"$eq": ["$tenant_id", 5]}}), "shop.orders.find{$expr.$eq.$tenant_id}"),
    (find({"$expr": {"$gt": ["$x", {"$literal": {"$secret": 1}}]}}), "shop.orders.find{$expr.$gt.$literal, $expr.$gt.$x}"),
    (find({"$expr": "$is_open"}), "shop.orders.find{$expr.$is_open}"),
    (find({"a": {"$eq": "$5 off"}}), "shop.orders.find{a.$eq}"),
    (find({1: 2}), "shop.orders.find{…}"),
    (find({Field.STATUS: 2}), "shop.orders.find{status}"),
    (find({SafeString("status"): {"$gt": 2}}), "shop.orders.find{status.$gt}"),
    (find([1]), "shop.orders.find{…}"),
    ({"count": "orders", "query": {"a": 1}}, "shop.orders.count{a}"),
    ({"distinct": "orders", "key": "b", "query": {"a": 1}}, "shop.orders.distinct{a}"),
    ({"findAndModify": "orders", "query": {"a": 1}, "update": {"$set": {"b": "x"}}}, "shop.orders.findAndModify{a}"),
    ({"update": "orders", "updates": [{"q": {"a": 1}, "u": {"$set": {"b": 1}}}, {"q": {"c": 1}}]}, "shop.orders.update{a}"),
    ({"delete": "orders", "deletes": [{"q": {"a": {"$lt": 1}}, "limit": 0}]}, "shop.orders.delete{a.$lt}"),
    ({"delete": "orders", "deletes": []}, "shop.orders.delete{}"),
    ({"insert": "orders", "documents": [{"name": "jane"}]}, "shop.orders.insert"),
    ({"ping": 1}, "shop.ping"),
    ({"create": "orders", "validator": {"a": 1}}, "shop.orders.create"),
    (aggregate(), "shop.orders.aggregate[]"),
    (aggregate({"$match": {"a": 1}}, {"$sort": {"b": 1}}, {"$limit": 3}), "shop.orders.aggregate[$match{a}, $sort{b}, $limit]"),
    (aggregate({"$match": {"$expr": {"$eq": ["$a", 1]}}}, {"$group": {"_id": "$b"}}),
        "shop.orders.aggregate[$match{$expr.$eq.$a}, $group]"),
    (aggregate("nonsense", {}), "shop.orders.aggregate[…, …]"),
    ({"aggregate": 1, "pipeline": [{"$currentOp": {}}]}, "shop.aggregate[$currentOp]"),
    ({"aggregate": "orders", "pipeline": None}, "shop.orders.aggregate[]"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "expected"), SHAPES, ids=[expected for _, expected in SHAPES])
def test_the_shape_has_the_keys_of_the_filter_and_none_of_its_values(
    command: Document, expected: str
) -> None:
    assert text(command) == expected
    assert text(command) == expected  # as remembered, too


def test_the_operation_is_that_of_the_command_and_others_are_one() -> None:
    assert shape("shop", "find", {"find": "orders"}).operation == "find"
    assert shape("shop", "voteForMe", {"voteForMe": 1}).operation == "OTHER"


def test_a_filter_of_ten_thousand_keys_is_looked_at_in_part() -> None:
    found = text(find({f"key_{number}": number for number in range(10_000)}))

    assert found.count("key_") == MAX_KEYS
    assert found.endswith("…}")
    assert len(found) <= MAX_FINGERPRINT_CHARS


def test_a_filter_nested_a_hundred_deep_is_followed_in_part() -> None:
    condition: Document = {"secret": 1}
    for _ in range(100):
        condition = {"$and": [condition]}

    assert text(find(condition)) == "shop.orders.find{…}"


def test_a_pipeline_of_a_thousand_stages_is_looked_at_in_part() -> None:
    assert text(aggregate(*[{"$limit": 1}] * 1_000)).count("$limit") == MAX_KEYS


def test_long_keys_and_texts_are_cut() -> None:
    found = text(find({f"{number:03}{'k' * 10_000}": 1 for number in range(90)}))

    assert len(found) == MAX_FINGERPRINT_CHARS
    assert found.endswith("…")


def test_what_is_remembered_is_bounded() -> None:
    for number in range(3 * mongo_shape.MAX_CACHED):
        text(find({f"key_{number}": 1}))

    assert mongo_shape._remembered.cache_info().currsize <= mongo_shape.MAX_CACHED
    assert 0 < len(mongo_shape._plain) <= mongo_shape.MAX_CACHED


LONG = "k" * 2 * mongo_shape.MAX_KEY_CHARS
PLAIN = [
    {}, {"a": 1}, {"a": None, "b": "x"}, {"b": "x", "a": 1}, {"a.0": 1}, {"$expr": "$a"}, {"$expr": "$b"}, {"$where": "x"},
    {"a": {"$gt": 1}}, {"a": []}, {1: 2}, {LONG: 1}, {LONG + "k": 1}, dict.fromkeys("abcdef", 1), None,
]  # fmt: skip


@pytest.mark.parametrize("condition", PLAIN, ids=str)
@pytest.mark.parametrize("rest", [{}, {"sort": {"a": -1}}, {"find": "tags"}, {"find": 1}], ids=str)
def test_what_asks_for_fields_has_the_same_shape_the_second_time(condition: Any, rest: Document) -> None:
    mongo_shape._plain.clear()
    for database in ("shop", "other", "shop"):
        for each in (*PLAIN, condition):
            command = {**find(each), **rest}
            collection = command["find"] if type(command["find"]) is str else ""
            assert shape(database, "find", command) == mongo_shape._shape(
                database, collection, "find", command
            )
    assert not any(LONG in fields or "$expr" in fields for fields in mongo_shape._plain)


VALUES = st.recursive(
    st.just("SECRET") | st.integers(900_000, 999_999) | st.none() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("SECRET"), inner, max_size=2),
    max_leaves=8,
)
CONDITIONS = st.recursive(
    st.dictionaries(st.sampled_from(["a", "b.c", "d.0"]), VALUES, max_size=3),
    lambda inner: (
        st.dictionaries(st.sampled_from(["$or", "$and", "$nor"]), st.lists(inner, max_size=3), max_size=2)
        | st.dictionaries(
            st.sampled_from(["a", "e"]),
            st.dictionaries(st.sampled_from(["$in", "$gt", "$eq", "$all", "$geometry"]), VALUES, min_size=1, max_size=2),
            max_size=2,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.hypothesis
@given(CONDITIONS)
def test_no_value_is_ever_in_a_shape_and_no_filter_breaks_it(condition: Document) -> None:
    for command in (
        find(condition),
        aggregate({"$match": condition}),
        {"delete": "o", "deletes": [{"q": condition}]},
    ):
        found = text(command)
        assert "SECRET" not in found
        assert not any(character.isdigit() for character in found)
