"""The Cache-Status field: RFC 9211."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.responses.policy import cache_status
from perfsuite.responses.policy.structured import dictionary


@pytest.mark.parametrize(
    ("given_values", "wanted"),
    [
        ({"hit": True}, "perfsuite; hit"),
        ({"hit": True, "ttl": 30.9}, "perfsuite; hit; ttl=30"),
        ({"hit": True, "ttl": -1.5}, "perfsuite; hit; ttl=-2"),
        ({"hit": True, "ttl": float("inf")}, "perfsuite; hit; ttl=999999999999999"),
        ({"hit": True, "fwd": "miss", "stored": True}, "perfsuite; hit"),
        ({"fwd": "uri-miss", "stored": True}, "perfsuite; fwd=uri-miss; stored"),
        ({"fwd": "stale", "fwd_status": 304, "ttl": 60}, "perfsuite; fwd=stale; fwd-status=304; ttl=60"),
        ({"fwd": "miss", "collapsed": True}, "perfsuite; fwd=miss; collapsed"),
        ({"fwd": "bypass", "detail": "set-cookie"}, "perfsuite; fwd=bypass; detail=set-cookie"),
        (
            {"hit": True, "key": 'a"b\\c\né', "detail": "two words"},
            'perfsuite; hit; key="a\\"b\\\\c??"; detail="two words"',
        ),
        ({"hit": True, "before": "origin; hit"}, "origin; hit, perfsuite; hit"),
    ],
)
def test_it_says_what_was_done(given_values: dict[str, object], wanted: str) -> None:
    assert cache_status("perfsuite", **given_values) == wanted  # type: ignore[arg-type]


def test_a_name_that_is_no_token_is_a_string() -> None:
    assert cache_status("our cache", hit=True) == '"our cache"; hit'


@given(st.text(max_size=20), st.text(max_size=20))
def test_it_is_a_structured_field_whatever_the_words(key: str, detail: str) -> None:
    value = cache_status("perfsuite", fwd="miss", key=key, detail=detail)
    assert dictionary(value) is not None  # one member with parameters: the grammar of an item's is the same
