"""Equal arguments have one identity, and different ones of whatever types do not share it."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from itertools import combinations
from typing import Any

import pytest
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.caching import identity
from tests.testapp.models import Author, Book

ID = uuid.UUID(int=7)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


DIFFERENT: list[Any] = [
    *(
        None,
        1,
        "1",
        b"1",
        True,
        1.0,
        Decimal(1),
        "True",
        "None",
        0,
        False,
        "",
        (),
        [],
        {},
        set(),
        frozenset(),
    ),
    *(("a", "bc"), ("ab", "c"), ["a", "bc"], ("a", ("bc",)), (("a", "bc"),), {"a": "bc"}, {"a", "bc"}),
    *(ID, str(ID), Author(pk=ID), Book(pk=ID), Author, Book, Colour.RED, Colour.BLUE, "red"),
    *(date(2026, 1, 2), datetime(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC), time(1), timedelta(1)),
    datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1))),
    *(1 + 0j, -1, "-1", "str:1:1", "\ud800", float("nan"), float("inf")),
]
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


def test_no_two_of_these_share_an_identity() -> None:
    for one, other in combinations(DIFFERENT, 2):
        assert identity.digest(one) != identity.digest(other), (one, other)


@given(plain, plain)
def test_an_identity_is_shared_by_what_has_the_same_types_and_values_alone(one: Any, other: Any) -> None:
    # repr tells the types of all these apart; the order in a dict does not matter.
    is_same = one == other and sorted(repr(one)) == sorted(repr(other))
    if identity.canonical(one) == identity.canonical(other):
        assert is_same
    elif repr(one) == repr(other):
        raise AssertionError((one, other))


def test_order_matters_where_there_is_one() -> None:
    assert identity.digest({"a": 1, "b": 2}) == identity.digest({"b": 2, "a": 1})
    assert identity.digest({3, 1, 2}) == identity.digest({1, 2, 3})
    assert identity.digest([1, 2]) != identity.digest([2, 1])


def test_a_lazy_translation_is_what_it_reads_as() -> None:
    assert identity.digest(gettext_lazy("Yes")) == identity.digest("Yes")


@pytest.mark.parametrize("value", [object(), Author(pk=None), lambda: None, [object()], iter([])])
def test_what_has_no_stable_identity_is_refused(value: Any) -> None:
    with pytest.raises(identity.NoIdentity):
        identity.digest(value)
