"""Names are stable, differ where indexes differ, and fit."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from perfsuite.indexes.naming import default_name, shortened
from perfsuite.indexes.spec import Index

pytestmark = pytest.mark.hypothesis
COLUMNS = {name: name for name in ("a", "b", "email", "tenant_id", "created_at", "status", "x.y")} | {
    "tenant": "tenant_id"
}


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (Index("tenant_id", "-created_at"), "site_lead_tenant_id_created_at_desc_idx"),
        (Index("tenant", "-created_at"), "site_lead_tenant_id_created_at_desc_idx"),
        (Index("tenant_id", "email", unique=True), "site_lead_tenant_id_email_uniq_idx"),
        (Index("lower(email)"), "site_lead_lower_email_idx"),
        (Index("email", kind="text"), "site_lead_email_text_idx"),
        (Index("x.y"), "site_lead_x_y_idx"),
        (Index("a", where={"status": "new"}), "site_lead_a_b39c802a_idx"),
    ],
)
def test_a_name_says_the_table_and_the_columns(index: Index, name: str) -> None:
    assert default_name("site_lead", index, COLUMNS) == name


@pytest.mark.parametrize(
    "options",
    [
        {"where": {"status": "new"}},
        {"where": {"status": "won"}},
        {"where": {"status": {"$ne": "new"}}},
        {"include": ["b"]},
        {"sparse": True},
        {"collation": "C"},
        {"collation": {"locale": "en"}},
        {"opclass": "text_pattern_ops"},
        {"unique": True},
    ],
)
def test_options_make_another_name(options: dict[str, Any]) -> None:
    names = {default_name("t", Index("a", **each), COLUMNS) for each in ({}, options, {"where": {"b": 1}})}
    assert len(names) == 3


@given(st.text(min_size=1, max_size=200), st.integers(20, 80))
def test_a_short_name_fits_in_bytes_and_is_the_same_each_time(name: str, limit: int) -> None:
    short = shortened(name, limit)

    assert len(short.encode()) <= limit
    assert short == shortened(name, limit)
    assert (short == name) == (len(name.encode()) <= limit)


def test_long_names_that_begin_alike_stay_apart() -> None:
    first, second = ("x" * 70 + end for end in "ab")
    assert shortened(first, 63) != shortened(second, 63)
    assert shortened(first, 63) == "x" * 54 + "_" + "6e42a575"
    assert shortened(first, None) == first
