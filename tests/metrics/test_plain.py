"""Details as JSON of bounded length: whatever is given, a text that every database takes, and never an exception."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.metrics.plain import CUT, MAX_DEPTH, MAX_ITEMS, clean, to_json

LIMIT = 1_000


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def nested(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(depth):
        made = {"a": made}
    return made


@pytest.mark.parametrize(
    ("data", "read"),
    [
        ({}, {}),
        ({"n": 1, "x": 1.5, "t": True, "none": None}, {"n": 1, "x": 1.5, "t": True, "none": None}),
        ({"list": [1, ("a", {2})]}, {"list": [1, ["a", [2]]]}),
        ({1: "key"}, {"1": "key"}),
        ({"money": Decimal("1.50")}, {"money": "1.50"}),
        ({"at": datetime(2026, 1, 2, tzinfo=UTC)}, {"at": "2026-01-02 00:00:00+00:00"}),
        ({"body": b"secret"}, {"body": "<6 bytes>"}),
        ({"big": 2**80}, {"big": str(2**80)}),
        ({"nan": float("nan"), "inf": float("inf")}, {"nan": "nan", "inf": "inf"}),
        ({"nul": "a\0b", "half": "\ud83c", "é": "漢"}, {"nul": "a\0b", "half": "\ud83c", "é": "漢"}),
        ({"many": range(3)}, {"many": "range(0, 3)"}),
        ({"odd": Broken()}, {}),
    ],
    ids=str,
)
def test_details_become_what_json_has(data: Any, read: Any) -> None:
    text = to_json(data, LIMIT)
    assert text.isascii()
    assert "\0" not in text
    assert json.loads(text) == read


def test_long_lists_and_deep_nesting_are_cut() -> None:
    assert len(json.loads(to_json({"a": list(range(10_000))}, LIMIT))["a"]) == MAX_ITEMS
    deepest = json.loads(to_json(nested(50), LIMIT))
    for _ in range(MAX_DEPTH):
        deepest = deepest["a"]
    assert isinstance(deepest, str)


def test_the_longest_value_is_cut_and_the_others_stay() -> None:
    read = json.loads(to_json({"sql": "x" * 5_000, "site": "a.py:1 in b", "us": 5.0}, LIMIT))
    assert (read["site"], read["us"]) == ("a.py:1 in b", 5.0)
    assert read["sql"].startswith("x" * 800)
    assert read["sql"].endswith(CUT)


def test_a_list_that_does_not_fit_goes_whole() -> None:
    assert json.loads(to_json({"params": ["x" * 99] * 90, "us": 1}, LIMIT)) == {"params": None, "us": 1}


@given(
    st.dictionaries(
        st.text(max_size=300),
        st.recursive(
            st.none() | st.integers() | st.floats() | st.text(max_size=2_000) | st.binary(max_size=50),
            lambda inner: (
                st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner, max_size=5)
            ),
            max_leaves=20,
        ),
        max_size=20,
    )
)
def test_any_details_are_json_of_bounded_length(data: dict[str, Any]) -> None:
    text = to_json(data, LIMIT)
    assert len(text) <= LIMIT
    assert text.isascii()
    assert isinstance(json.loads(text), dict)


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("", ""),
        ("plain", "plain"),
        ("é漢🎉", "é漢🎉"),
        ("a\0b", "a�b"),
        ("half \ud83c", "half ?"),
        ("x" * 11, "x" * 9 + CUT),
        (5, "5"),
    ],
)
def test_a_text_is_cut_and_holds_nothing_that_a_database_refuses(text: Any, cleaned: str) -> None:
    assert clean(text, 10) == cleaned
