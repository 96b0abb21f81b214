"""Which stored response fits a request: RFC 9111 4.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.responses.policy import matches, select, vary_names, varying
from tests.responses.policy.messages import http, kept, request, response


def match(vary: str, first: dict[str, str], second: dict[str, str]) -> bool:
    stored = kept(request(**first), cache_control="max-age=60", vary=vary)
    return matches(stored, request(**second))


@pytest.mark.parametrize(
    ("vary", "first", "second", "wanted"),
    [
        ("", {"foo": "1"}, {"foo": "2"}, True),
        ("Foo", {"foo": "1"}, {"foo": "1"}, True),
        ("Foo", {"foo": "1"}, {"foo": "2"}, False),
        ("Foo", {"foo": "1"}, {"foo": "1", "bar": "2"}, True),
        ("FOO,, bar", {"foo": "1", "bar": "2"}, {"foo": "1", "bar": "2"}, True),
        ("Foo, Bar", {"foo": "1", "bar": "2"}, {"foo": "1", "bar": "3"}, False),
        ("Foo, Bar", {"foo": "1", "bar": "2"}, {"foo": "2", "bar": "1"}, False),
        ("Foo", {"foo": "a"}, {"foo": "A"}, False),
    ],
)
def test_the_fields_that_vary_names_must_match(
    vary: str, first: dict[str, str], second: dict[str, str], wanted: bool
) -> None:
    assert match(vary, first, second) is wanted


def test_an_absent_field_matches_only_an_absent_one() -> None:
    assert match("Foo", {}, {})
    assert not match("Foo", {}, {"foo": ""})
    assert not match("Foo", {"foo": ""}, {})
    assert not match("Foo", {}, {"foo": "None"})
    assert match("Foo", {"foo": ""}, {"foo": " "})


@pytest.mark.parametrize(
    ("name", "first", "second", "wanted"),
    [
        ("foo", "1,2", " 1 ,\t2 ", True),
        ("foo", "1,2", "1,,2,", True),
        ("foo", "1,2", "2,1", False),
        ("foo", "1 2", "12", False),
        ("foo", '"a, b"', '"a,b"', False),
        ("accept-encoding", "gzip, br", "BR,gzip", True),
        ("accept-encoding", "gzip;q=0, br", "gzip;q=1, br", False),
        ("accept-encoding", "gzip; q=0.5", "gzip;q=0.5", True),
        ("accept-encoding", "gzip, " * 100 + "br", "br" + ",gzip" * 100, True),
        ("accept-language", "en-GB, de", "en-gb,de", True),
        ("accept-language", "en, de", "de, en", False),
        ("accept", "text/html, */*", "text/html,*/*", True),
        ("cookie", "a=1,2", "a=1, 2", False),
        ("authorization", "Digest a=1,b=2", "Digest a=1, b=2", False),
        ("user-agent", "a (b,c)", "a (b, c)", False),
    ],
)
def test_what_means_the_same_matches(name: str, first: str, second: str, wanted: bool) -> None:
    assert match(name, {name: first}, {name: second}) is wanted


@pytest.mark.parametrize("vary", ["*", "*, *", ", *", "Foo, *", "*, Foo"])
def test_vary_with_a_star_matches_nothing(vary: str) -> None:
    assert vary_names(response(vary=vary)) is None
    assert varying(request(foo="1"), response(vary=vary)) is None


@pytest.mark.parametrize(
    "vary", ["Foo Bar", "Foo; q=1", "Foo, Bar Baz", '"Foo"', "Foo\u00e9", "Foo:", "Foo\x00"]
)
def test_vary_that_cannot_be_read_matches_nothing(vary: str) -> None:
    assert vary_names(response(vary=vary)) is None
    assert varying(request(foo="1"), response(vary=vary)) is None


def test_the_most_recent_of_those_that_match_is_chosen_by_its_date() -> None:
    older = kept(cache_control="max-age=60", date=http(-20), x="older")
    newer = kept(cache_control="max-age=60", date=http(-10), x="newer")
    other = kept(request(foo="1"), cache_control="max-age=60", date=http(0), vary="foo")
    for candidates in ([older, newer, other], [other, newer, older]):
        assert select(candidates, request()) is newer
    assert select([other], request()) is None
    assert select([], request()) is None


def test_a_response_with_vary_is_chosen_before_one_without() -> None:
    without = kept(cache_control="max-age=60", date=http(0))
    varied = kept(request(foo="1"), cache_control="max-age=60", date=http(-30), vary="foo")
    assert select([without, varied], request(foo="1")) is varied
    assert select([without, varied], request(foo="2")) is without


@given(
    st.sampled_from(["cookie", "authorization", "x-user", "accept-language"]),
    st.text(alphabet='abA=;," \t', max_size=12),
    st.text(alphabet='abA=;," \t', max_size=12),
)
def test_different_values_never_match_but_by_space_and_case(name: str, first: str, second: str) -> None:
    if match(name, {name: first}, {name: second}):
        bare = [value.replace(" ", "").replace("\t", "").lower() for value in (first, second)]
        parts = [[part for part in value.split(",") if part] for value in bare]
        assert parts[0] == parts[1]
        if name in ("cookie", "authorization"):
            assert first.strip(" \t") == second.strip(" \t")


def test_ten_thousand_names_are_read_once_each() -> None:
    names = vary_names(response(vary=", ".join(f"X-{number % 5000}" for number in range(10_000))))
    assert names is not None
    assert len(names) == 5000
