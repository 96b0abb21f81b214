"""Declarations are read as they are meant, and what cannot be meant is said in one sentence."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from perfsuite.indexes.errors import DeclarationError, did_you_mean
from perfsuite.indexes.spec import Condition, Index, Key

pytestmark = pytest.mark.hypothesis
NAMES = st.text("abcdefgh_", min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("given", "keys"),
    [
        (("tenant_id", "-created_at"), (Key("tenant_id"), Key("created_at", "desc"))),
        (({"tenant_id": 1, "email": -1},), (Key("tenant_id"), Key("email", "desc"))),
        (({"searchKeywords": "text"},), (Key("searchKeywords", "text"),)),
        (({"_id": "hashed"},), (Key("_id", "hashed"),)),
        (({"tags": "gin"},), (Key("tags", "gin"),)),
        (("tenant_id", {"body": "text"}), (Key("tenant_id"), Key("body", "text"))),
        (("lower(email)",), (Key("email", "asc", "lower"),)),
        (("-UPPER(email)",), (Key("email", "desc", "upper"),)),
        (("address.city",), (Key("address.city"),)),
    ],
)
def test_the_notations_mean_what_they_say(given: tuple[Any, ...], keys: tuple[Key, ...]) -> None:
    assert Index(*given).keys == keys


@pytest.mark.parametrize(
    ("index", "kind"),
    [
        (Index("a"), "btree"),
        (Index("a", kind="text"), "text"),
        (Index({"a": "text"}), "text"),
        (Index("a", kind="hashed"), "hashed"),
        (Index("a", kind="gin"), "gin"),
        (Index("a", expire_after_s=60), "ttl"),
        (Index("a", kind="ttl", expire_after_s=60), "ttl"),
    ],
)
def test_the_kind_follows_from_the_keys_and_options(index: Index, kind: str) -> None:
    assert index.kind == kind


@pytest.mark.parametrize("form", ["a", {"a": 1}, ("a",), ["a"], Index("a")])
def test_an_index_can_be_written_in_several_forms(form: Any) -> None:
    assert Index.of(form) == Index("a")


def test_a_filter_is_read_in_the_notation_of_mongodb() -> None:
    index = Index("a", where={"b": "x", "c": {"$gt": 1, "$lte": 5}, "d": {"$in": [1, 2]}, "e": None})

    assert index.where == (
        Condition("b", "$eq", "x"),
        Condition("c", "$gt", 1),
        Condition("c", "$lte", 5),
        Condition("d", "$in", (1, 2)),
        Condition("e", "$eq", None),
    )
    assert index.fields == ("a", "b", "c", "d", "e")


@pytest.mark.parametrize(
    ("fields", "options", "sentence"),
    [
        ((), {}, "Index() has no fields; write Index('tenant_id', '-created_at')."),
        (("a",), {"kind": "txt"}, "Index('a') has the unknown kind 'txt'; did you mean 'text'?"),
        (
            ("a",),
            {"kind": "zzz"},
            "Index('a') has the unknown kind 'zzz'; known are btree, gin, hashed, text, ttl.",
        ),
        (({"a": 2},), {}, "gives 'a' the direction 2; write 1, -1, 'text', 'hashed' or 'gin'."),
        (({"a": True},), {}, "gives 'a' the direction True; write 1, -1,"),
        ((7,), {}, "has 7, which is no field's name; write it as a string."),
        (({7: 1},), {}, "which is no field's name"),
        (("a b",), {}, "has 'a b', which is no field; write 'field', '-field' or 'lower(field)'."),
        (("--a",), {}, "has '--a', which is no field"),
        (("",), {}, "has '', which is no field"),
        (("f(g(a))",), {}, "has 'f(g(a))', which is no field"),
        (("a); DROP TABLE x; --",), {}, "which is no field"),
        (("a", "-a"), {}, "names 'a' twice."),
        (("-a",), {"kind": "text"}, "cannot descend: a text index has no order; write 'a'."),
        (("a",), {"kind": "ttl"}, "expires nothing; write expire_after_s=86400, in seconds."),
        (("a",), {"expire_after_s": -1}, "has expire_after_s=-1; write whole seconds from 0 to 2147483647."),
        (("a",), {"expire_after_s": True}, "has expire_after_s=True; write whole seconds"),
        (("a",), {"expire_after_s": 1.5}, "has expire_after_s=1.5; write whole seconds"),
        (("a", "b"), {"expire_after_s": 5}, "has expire_after_s, which takes exactly one field"),
        (("a",), {"expire_after_s": 5, "kind": "text"}, "has expire_after_s, which takes exactly one field"),
        (("a",), {"kind": "text", "unique": True}, "cannot be unique: a text index has no order."),
        (("a",), {"sparse": True, "where": {"b": 1}}, "is sparse and has a where; write {'$exists': True}"),
        (("a",), {"kind": "gin", "include": ["b"]}, "cannot include fields: a gin index carries none."),
        (("a",), {"include": "b"}, "has include='b'; write include=('b',)."),
        (("a", "b"), {"kind": "hashed"}, "has several hashed fields; an index takes one."),
        (("a",), {"where": "b = 1"}, "has where='b = 1'; write a mapping such as {'status': 'new'}."),
        (
            ("a",),
            {"where": {"b": {"$gte ": 1}}},
            "has the unknown operator '$gte ' in where; did you mean '$gte'?",
        ),
        (("a",), {"where": {"b": {"$in": "xy"}}}, "has {'$in': 'xy'} in where; write a list of values."),
        (("a",), {"where": {"b": {"$in": []}}}, "has {'$in': []} in where; write a list of values."),
        (("a",), {"where": {"b": {"$gt": None}}}, "compares 'b' with None; write {'$exists': True}."),
        (("a",), {"name": "x\ny"}, "has the name 'x\\ny', which is not printable text."),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_sentence(
    fields: tuple[Any, ...], options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DeclarationError) as raised:
        Index(*fields, **options)
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_no_index_at_all_is_said_too() -> None:
    with pytest.raises(DeclarationError, match=r"7 is no index; write Index\('tenant_id', '-created_at'\)."):
        Index.of(7)


@given(
    st.lists(
        st.tuples(NAMES, st.sampled_from([1, -1])), min_size=1, max_size=5, unique_by=lambda pair: pair[0]
    )
)
def test_names_with_signs_and_a_mapping_say_the_same(pairs: list[tuple[str, int]]) -> None:
    named = Index(*(name if direction == 1 else f"-{name}" for name, direction in pairs))

    assert named == Index(dict(pairs))
    assert Index(*str(named).split(", ")) == named


@given(
    st.lists(
        st.one_of(st.text(max_size=8), st.integers(), st.none(), st.dictionaries(st.text(), st.integers())),
        max_size=4,
    )
)
def test_whatever_is_given_is_an_index_or_a_sentence(fields: list[Any]) -> None:
    try:
        index = Index(*fields)
    except DeclarationError:
        return
    assert index.keys
    assert hash(index) == hash(Index(*fields))


def test_of_many_names_that_are_not_close_only_the_first_are_said() -> None:
    names = [f"index_{number:03}" for number in range(100)]
    assert did_you_mean("zzz", names).endswith("index_010, index_011, and 88 others.")
    assert did_you_mean("zzz", names[:12]).endswith("index_010, index_011.")
    assert did_you_mean("indx_042", names) == "did you mean 'index_042'?"
    assert did_you_mean("zzz", ()) == "there are none."
