"""Keys: no two different requests share one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.responses.keys import (
    ALLOWED,
    AS_IS,
    MAX_PARAMETERS,
    SORTED,
    URI_TAGS,
    canonical_query,
    page_key,
    partition,
    tag_of_uri,
    uri_tag,
    variant_key,
)

parts = st.text(alphabet="ab:/?1é\udc80", max_size=6)
five = st.tuples(parts, parts, parts, parts, parts)


@given(five, five)
def test_only_equal_parts_share_a_key(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert (page_key(*one) == page_key(*other)) == (one == other)


fields = st.lists(st.tuples(parts, st.none() | parts), max_size=3)


@given(fields, fields)
def test_only_equal_fields_share_a_variant_and_absent_is_not_empty(
    one: list[tuple[str, str | None]], other: list[tuple[str, str | None]]
) -> None:
    assert (variant_key("page", one) == variant_key("page", other)) == (one == other)


@given(
    st.none() | parts | st.integers(), st.none() | parts | st.integers(), st.none() | parts | st.integers()
)
def test_partitions_tell_numbers_from_digits_and_nobody_from_nothing(a: object, b: object, c: object) -> None:
    assert (partition(tenant=a, user=b) == partition(tenant=a, user=c)) == (b == c and type(b) is type(c))


def test_a_tenant_is_not_a_language() -> None:
    assert (
        len(
            {
                partition(tenant=1),
                partition(tenant="1"),
                partition(language="1"),
                partition(),
                partition(tenant=""),
            }
        )
        == 5
    )


@pytest.mark.parametrize(
    ("query", "rule", "allowed", "expected"),
    [
        ("b=2&a=1", AS_IS, (), "b=2&a=1"),
        ("b=2&a=1", SORTED, (), "a=1&b=2"),
        ("a=2&a=1&A=3", SORTED, (), "A=3&a=2&a=1"),
        ("a=&b", SORTED, (), "a=&b="),
        ("b=2&utm=9&a=1", ALLOWED, ("a", "b"), "a=1&b=2"),
        ("utm=9", ALLOWED, ("a",), ""),
        ("a=%26&b=1", SORTED, (), "a=%26&b=1"),
        ("", SORTED, (), ""),
        ("a=1", "nonsense", (), "a=1"),
    ],
)
def test_queries_by_their_rule(query: str, rule: str, allowed: tuple[str, ...], expected: str) -> None:
    assert canonical_query(query, rule, allowed) == expected


def test_a_query_that_is_too_much_counts_as_it_is() -> None:
    long, many = (
        "b=" + "x" * 9_000 + "&a=1",
        "&".join(f"p{MAX_PARAMETERS - i}=1" for i in range(MAX_PARAMETERS + 1)),
    )

    assert canonical_query(long, SORTED) == long
    assert canonical_query(many, ALLOWED) == many


@pytest.mark.parametrize(
    ("uri", "same_as"),
    [
        ("http://a.test/p/?q=1", ("http", "a.test", "/p/", "q=1")),
        ("HTTP://A.test/p/?q=1", ("http", "a.test", "/p/", "q=1")),
        ("http://a.test/%C3%A4%20b/", ("http", "a.test", "/ä b/", "")),
        ("http://a.test", ("http", "a.test", "/", "")),
    ],
)
def test_the_tag_of_a_uri_is_that_of_its_request(uri: str, same_as: tuple[str, str, str, str]) -> None:
    assert tag_of_uri(uri) == uri_tag(*same_as)


@pytest.mark.parametrize("uri", ["", "/p/", "p", "http://", "http://[::1", "//a.test/p/"])
def test_what_is_no_absolute_uri_has_no_tag(uri: str) -> None:
    assert tag_of_uri(uri) is None


@given(parts)
def test_the_tags_of_uris_are_bounded(path: str) -> None:
    tag = uri_tag("http", "a.test", path, "")

    assert tag.startswith("perfsuite:uri:")
    assert 0 <= int(tag.rpartition(":")[2]) < URI_TAGS
