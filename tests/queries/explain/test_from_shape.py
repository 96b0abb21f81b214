"""A filter made again of a shape, for the shapes that perfsuite itself writes."""

from __future__ import annotations

from typing import Any

import pytest

from perfsuite.queries.explain import NotExplainable
from perfsuite.queries.explain.from_shape import command_of, is_shape
from perfsuite.queries.mongo_shape import shape

MADE: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"find": "a.b", "filter": {"x": 1, "y.z": {"$gt": 1, "$lt": 2}}, "sort": {"x": 1}},
        {"find": "a.b", "filter": {"x": "?", "y.z": {"$gt": "?", "$lt": "?"}}},
    ),
    (
        {"find": "c", "filter": {"$or": [{"x": 1}, {"y": {"$in": [1]}}], "l.0.z": 3}},
        {"find": "c", "filter": {"$or": [{"x": "?"}, {"y": {"$in": "?"}}], "l.0.z": "?"}},
    ),
    (
        {"find": "c", "filter": {"x": {"$elemMatch": {"y": {"$gt": 1}}}, "z": {"$not": {"$gt": 1}}}},
        {"find": "c", "filter": {"x": {"$elemMatch": {"y": {"$gt": "?"}}}, "z": {"$not": {"$gt": "?"}}}},
    ),
    (
        {
            "aggregate": "c",
            "pipeline": [
                {"$match": {"$expr": {"$and": [{"$eq": ["$x", 1]}, {"$gt": ["$y.z", 3]}]}}},
                {"$sort": {"x": 1}},
            ],
        },
        {
            "aggregate": "c",
            "pipeline": [{"$match": {"$and": [{"$expr": {"$eq": ["$x", "?"]}}, {"$expr": {"$gt": ["$y.z", "?"]}}]}}],
        },
    ),
    (
        {"aggregate": "c", "pipeline": [{"$match": {"$expr": {"$regexMatch": {"input": "$x", "regex": "y"}}}}]},
        {"aggregate": "c", "pipeline": []},
    ),
    ({"aggregate": "c", "pipeline": [{"$group": {"_id": "$x"}}]}, {"aggregate": "c", "pipeline": []}),
    ({"count": "c", "query": {"x": 1}}, {"count": "c", "query": {"x": "?"}}),
    ({"distinct": "c", "key": "x", "query": {}}, {"distinct": "c", "query": {}, "key": "_id"}),
]  # fmt: skip


@pytest.mark.parametrize(("command", "made"), MADE)
def test_the_filter_of_a_shape_is_made_again_with_a_placeholder_for_each_value(
    command: dict[str, Any], made: dict[str, Any]
) -> None:
    text = shape("shop", next(iter(command)), command).fingerprint

    assert is_shape(text)
    assert command_of(text) == made


def test_a_filter_that_was_cut_is_refused() -> None:
    text = shape("shop", "find", {"find": "c", "filter": {f"key{n}": 1 for n in range(200)}}).fingerprint

    with pytest.raises(NotExplainable, match="only its beginning"):
        command_of(text)


def test_what_is_no_shape_is_told() -> None:
    assert not is_shape('{"find": "c", "filter": {"a.b.c": "?"}}')
    assert not is_shape("SELECT ?")
    with pytest.raises(NotExplainable, match="no command of it is remembered"):
        command_of("SELECT ?")
