"""Conditional requests answered from what is stored: RFC 9110 13, RFC 9111 4.3.2."""

from __future__ import annotations

import pytest

from perfsuite.responses.policy import not_modified_headers, precondition
from tests.responses.policy.messages import NOW, http, kept, request, response


def answer(
    asked: dict[str, str],
    had: dict[str, str],
    *,
    method: str = "GET",
    status: int = 200,
    origin: bool = False,
) -> int | None:
    return precondition(request(method, **asked), response(status, **had), NOW, origin=origin)


@pytest.mark.parametrize(
    ("asked", "tag", "wanted"),
    [
        ('"a"', '"a"', 304),
        ('W/"a"', '"a"', 304),
        ('"a"', 'W/"a"', 304),
        ('W/"a"', 'W/"a"', 304),
        ('"b", W/"c" ,"a"', '"a"', 304),
        ("*", '"a"', 304),
        (" * ", '"a"', 304),
        ('"b"', '"a"', None),
        ('"A"', '"a"', None),
        ('"a", ' * 3, '"a"', 304),
        ("a", '"a"', None),
        ("", '"a"', None),
        ('w/"b"', '"b"', None),
        ('"a" "b"', '"b"', None),
        ('"x", ' * 20_000 + '"a"', '"a"', None),
        ('"ü"', '"ü"', 304),
    ],
)
def test_if_none_match_compares_weakly(asked: str, tag: str, wanted: int | None) -> None:
    assert answer({"if_none_match": asked}, {"etag": tag}) == wanted
    assert answer({"if_none_match": asked}, {"etag": tag}, method="HEAD") == wanted


def test_if_none_match_with_a_star_needs_no_entity_tag_and_a_list_does() -> None:
    assert answer({"if_none_match": "*"}, {}) == 304
    assert answer({"if_none_match": '"a"'}, {}) is None


def test_if_none_match_comes_before_if_modified_since() -> None:
    had = {"etag": '"a"', "last_modified": http(-60)}
    assert answer({"if_none_match": '"a"', "if_modified_since": http(-90)}, had) == 304
    assert answer({"if_none_match": '"b"', "if_modified_since": http(0)}, had) is None


@pytest.mark.parametrize(
    ("since", "wanted"),
    [
        (http(-60), 304),
        (http(-30), 304),
        (http(-61), None),
        (http(3600), 304),
        ("foo", None),
        ("", None),
        ("Sunday, 06-Nov-94 08:49:37 GMT", None),
        (f"{http(-30)}, {http(-30)}", None),
    ],
)
def test_if_modified_since_compares_with_last_modified(since: str, wanted: int | None) -> None:
    assert answer({"if_modified_since": since}, {"last_modified": http(-60)}) == wanted


def test_if_modified_since_in_an_old_form_is_understood() -> None:
    assert (
        answer(
            {"if_modified_since": "Sunday, 06-Nov-94 08:49:37 GMT"},
            {"last_modified": "Sun Nov  6 08:49:37 1994"},
        )
        == 304
    )


def test_without_last_modified_the_date_or_the_arrival_counts() -> None:
    assert answer({"if_modified_since": http(-60)}, {"date": http(-60)}) == 304
    assert answer({"if_modified_since": http(-61)}, {"date": http(-60)}) is None
    assert answer({"if_modified_since": http(-60)}, {"date": http(-60), "last_modified": "foo"}) == 304
    arrived = kept(cache_control="max-age=60").response
    assert precondition(request(if_modified_since=http(0)), arrived, NOW) == 304
    assert precondition(request(if_modified_since=http(-1)), arrived, NOW) is None
    assert answer({"if_modified_since": http(0)}, {}) is None


@pytest.mark.parametrize("status", [204, 301, 404, 500])
def test_only_a_200_is_compared(status: int) -> None:
    assert answer({"if_none_match": '"a"'}, {"etag": '"a"'}, status=status) is None
    assert answer({"if_none_match": "*"}, {}, status=status) is None


def test_what_is_for_the_origin_is_not_evaluated_by_the_cache() -> None:
    had = {"etag": '"a"', "last_modified": http(-60)}
    assert answer({"if_match": '"b"'}, had) is None
    assert answer({"if_unmodified_since": http(-90)}, had) is None
    assert answer({"if_match": '"b"', "if_none_match": '"a"'}, had) == 304


@pytest.mark.parametrize(
    ("asked", "had", "wanted"),
    [
        ({"if_match": '"b", "a"'}, {"etag": '"a"'}, None),
        ({"if_match": "*"}, {}, None),
        ({"if_match": '"b"'}, {"etag": '"a"'}, 412),
        ({"if_match": 'W/"a"'}, {"etag": 'W/"a"'}, 412),
        ({"if_match": '"a"'}, {}, 412),
        ({"if_unmodified_since": http(-60)}, {"last_modified": http(-60)}, None),
        ({"if_unmodified_since": http(-61)}, {"last_modified": http(-60)}, 412),
        ({"if_unmodified_since": "foo"}, {"last_modified": http(-60)}, None),
        ({"if_unmodified_since": http(-61)}, {}, None),
        (
            {"if_match": '"a"', "if_unmodified_since": http(-61)},
            {"etag": '"a"', "last_modified": http(-60)},
            None,
        ),
        ({"if_match": '"a"', "if_none_match": '"a"'}, {"etag": '"a"'}, 304),
    ],
)
def test_at_the_origin_all_preconditions_count_in_their_order(
    asked: dict[str, str], had: dict[str, str], wanted: int | None
) -> None:
    assert answer(asked, had, origin=True) == wanted


def test_a_condition_on_a_change_fails_with_412() -> None:
    assert answer({"if_none_match": '"a"'}, {"etag": '"a"'}, method="PUT", origin=True) == 412
    assert (
        answer({"if_modified_since": http(0)}, {"last_modified": http(-60)}, method="PUT", origin=True)
        is None
    )


def test_a_304_has_the_fields_that_caches_go_by_and_none_about_content() -> None:
    headers = {
        "cache-control": "max-age=60",
        "content-location": "/b",
        "date": http(0),
        "etag": '"a"',
        "expires": http(60),
        "vary": "accept",
        "age": "3",
        "content-security-policy": "default-src 'self'",
        "x-other": "1",
    }
    about_content = {
        "content-type": "text/html",
        "content-length": "9",
        "content-encoding": "gzip",
        "last-modified": http(-60),
    }
    assert not_modified_headers({**headers, **about_content}) == headers
    assert not_modified_headers({"last-modified": http(-60), "content-type": "a/b"}) == {
        "last-modified": http(-60)
    }
