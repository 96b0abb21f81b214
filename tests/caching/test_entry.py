"""The wire: what is encoded comes back, and what is no envelope is a miss and never an exception of another kind."""

from __future__ import annotations

import pickle
from math import inf
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from perfsuite.caching.entry import (
    COMPRESSED,
    END_AT,
    PICKLED,
    RAW,
    BadEnvelope,
    Entry,
    compressed,
    decode,
    encode,
    expanded,
    packed,
    packed_end,
)

NOW = 1_700_000_000.0
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4) | st.tuples(inner)
    ),
    max_leaves=10,
)
names = st.text(min_size=1, max_size=30) | st.just("half of a pair: \ud800")
token = st.tuples(*[st.integers(0, 2**64 - 1)] * 3)


def entry(value: Any, tags: Any = (), stale_for: float = 0.0, expires: float = NOW + 60) -> Entry:
    made = Entry(*packed(value), NOW, expires, tags)
    made.stale_for, made.cost_s = stale_for, 0.25
    return made


@given(
    values,
    st.lists(st.tuples(names, token), max_size=4),
    st.sampled_from([0.0, 30.0]),
    st.sampled_from([None, 0, 1_000]),
)
def test_what_is_encoded_comes_back_with_its_type(
    value: Any, tags: Any, stale_for: float, above: int | None
) -> None:
    sent = entry(value, tuple(tags), stale_for)
    got = decode(encode(sent, above), NOW)
    assert got.value() == value
    assert type(got.value()) is type(value)
    assert got.tags == sent.tags
    if type(value) is not int or tags or stale_for:
        assert (got.created, got.expires, got.stale_for, got.cost_s) == (NOW, sent.expires, stale_for, 0.25)


@pytest.mark.parametrize("number", [0, 1, -1, 2**63 - 1, -(2**63)])
def test_a_bare_number_is_its_digits(number: int) -> None:
    assert encode(entry(number), None) == b"%d" % number
    assert decode(b"%d" % number, NOW).value() == number


@pytest.mark.parametrize("value", [True, False, 2**63, -(2**63) - 1, 10**40])
def test_what_a_server_cannot_count_up_is_no_bare_number(value: Any) -> None:
    data = encode(entry(value), None)
    assert data.startswith(b"pS")
    assert decode(data, NOW).value() is value or decode(data, NOW).value() == value


@pytest.mark.parametrize("expires", [inf, NOW + 1])
def test_its_end_is_where_a_touch_writes_it(expires: float) -> None:
    import struct

    data = encode(entry(["x"], expires=expires), None)
    assert struct.unpack_from("<d", data, END_AT) == (expires,)
    touched = data[:END_AT] + packed_end(NOW + 5) + data[END_AT + 12 :]
    assert decode(touched, NOW).expires == NOW + 5


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"pS",
        b"pS\x01",
        b"pS\x63" + b"\0" * 60,
        b"\x80\x05K\x01.",
        b"text",
        b"-",
        b"1.5",
        b"1" * 30,
        pickle.dumps({"a": 1}),
    ],
)
def test_what_is_no_envelope_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(BadEnvelope):
        decode(data, NOW)


tagged = st.lists(st.tuples(st.text(min_size=1, max_size=10), token), max_size=2)


@given(values.filter(lambda value: type(value) is not int), tagged)
@settings(max_examples=max(10, settings().max_examples // 5))
def test_a_truncated_envelope_or_one_with_a_changed_byte_is_said_to_be_none(value: Any, tags: Any) -> None:
    data = encode(entry(value, tuple(tags), stale_for=3.0), 100)
    for length in range(len(data)):
        with pytest.raises(BadEnvelope):
            decode(data[:length], NOW)
    for at in range(len(data)):
        for bits in (0x01, 0x80, 0xFF):
            with pytest.raises(BadEnvelope):
                decode(data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :], NOW)


@given(st.binary(max_size=120))
def test_whatever_else_is_there_is_said_to_be_none_or_is_a_number(data: bytes) -> None:
    for each in (data, b"pS" + data, b"pS\x01" + data):
        try:
            found = decode(each, NOW)
        except BadEnvelope:
            continue
        assert type(found.payload) is int


@pytest.mark.parametrize("other", ["1.0", True, 1, b"1.0", None, [1.0]])
def test_a_value_of_another_type_has_another_digest(other: Any) -> None:
    assert entry(1.0).digest() != entry(other).digest()


def test_what_depends_on_other_tags_has_another_digest_whatever_their_tokens_are() -> None:
    def digest(*tags: tuple[str, int]) -> int:
        return entry("value", tuple((name, (seq, 0, 0)) for name, seq in tags)).digest()

    assert digest(("a", 1), ("b", 1)) == digest(("b", 2), ("a", 3))
    assert len({digest(), digest(("a", 1)), digest(("b", 1)), digest(("a", 1), ("b", 1))}) == 4


@given(values)
def test_equal_values_have_equal_digests_and_another_value_another(value: Any) -> None:
    assert entry(value).digest() == entry(value).digest()
    assert entry([value]).digest() != entry([value, "more"]).digest()


@pytest.mark.parametrize("value", ["text " * 1_000, b"bytes" * 1_000, list(range(2_000))])
def test_compressing_and_expanding_gives_the_same_back(value: Any) -> None:
    small = compressed(entry(value, (("t", (1, 0, 0)),), stale_for=5), 100)
    assert small.form == COMPRESSED
    assert small.value() == value
    back = expanded(small)
    assert back.form == (PICKLED if isinstance(value, list) else RAW)
    assert back.value() == value
    assert (back.tags, back.stale_for, back.cost_s) == (small.tags, 5, 0.25)
    assert decode(encode(small, None), NOW).value() == value
