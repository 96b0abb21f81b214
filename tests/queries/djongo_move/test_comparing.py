"""Checksums that depend on what documents say and on nothing else."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

pytest.importorskip("bson", reason="pymongo is not installed; runs in the MongoDB lanes")

from bson import Int64, ObjectId

from perfsuite.queries.djongo_move.comparing import compare, digest

DOCUMENT: dict[str, Any] = {"_id": 1, "a": "x", "b": {"c": [1, 2], "d": datetime(2026, 1, 2)}}


@pytest.mark.parametrize(
    "same",
    [
        {"b": {"d": datetime(2026, 1, 2), "c": [1, 2]}, "a": "x", "_id": 1},
        {"_id": Int64(1), "a": "x", "b": {"c": [Int64(1), 2], "d": datetime(2026, 1, 2)}},
    ],
)
def test_the_order_of_keys_and_the_width_of_integers_make_no_difference(same: dict[str, Any]) -> None:
    assert digest(same) == digest(DOCUMENT)


@pytest.mark.parametrize(
    "other",
    [
        {**DOCUMENT, "_id": 2},
        {**DOCUMENT, "a": "y"},
        {**DOCUMENT, "a": None},
        {**DOCUMENT, "e": None},
        {**DOCUMENT, "b": {"c": [2, 1], "d": datetime(2026, 1, 2)}},
        {**DOCUMENT, "_id": True},
        {**DOCUMENT, "_id": "1"},
        {**DOCUMENT, "_id": 1.0},
    ],
)
def test_everything_else_does(other: dict[str, Any]) -> None:
    assert digest(other) != digest(DOCUMENT)


def documents(*ids: object, **more: object) -> list[dict[str, Any]]:
    return [{"_id": each, **more} for each in ids]


def test_the_order_of_documents_makes_no_difference() -> None:
    found = compare("c", lambda: documents(1, 2, 3), lambda: documents(3, 1, 2))
    assert found.equal
    assert (found.first.count, found.second.count, found.example) == (3, 3, None)


@pytest.mark.parametrize(
    ("first", "second", "example"),
    [
        (documents(1, 2), documents(1), 2),
        (documents(1), documents(1, 2), 2),
        (documents(1, 2), documents(1, 2, more=1), 1),
        (documents(), documents("a"), "a"),
        (documents(1, "x", ObjectId("0" * 24)), documents("x", ObjectId("0" * 24)), 1),
    ],
)
def test_a_difference_is_named_by_an_id(
    first: list[dict[str, Any]], second: list[dict[str, Any]], example: object
) -> None:
    found = compare("c", lambda: first, lambda: second)
    assert not found.equal
    assert found.example == example
