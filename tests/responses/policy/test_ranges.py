"""Parts of a stored body: RFC 9110 14, If-Range, and range bombs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.responses.policy import (
    UNSATISFIABLE,
    Range,
    Unsatisfiable,
    byte_range,
    may_store,
    partial_headers,
    unsatisfiable_headers,
)
from tests.responses.policy.messages import http, request, response

BODY = b"0123456789"


def part(
    value: str,
    length: int = 10,
    *,
    method: str = "GET",
    status: int = 200,
    if_range: str | None = None,
    **fields: str,
) -> Range | Unsatisfiable | None:
    asked = {"range": value} | ({} if if_range is None else {"if_range": if_range})
    return byte_range(request(method, **asked), response(status, **fields), length)


@pytest.mark.parametrize(
    ("value", "cut"),
    [
        ("bytes=0-0", b"0"),
        ("bytes=0-1", b"01"),
        ("bytes=2-5", b"2345"),
        ("bytes=5-", b"56789"),
        ("bytes=-3", b"789"),
        ("bytes=-30", BODY),
        ("bytes=0-99", BODY),
        ("bytes=9-9", b"9"),
        ("bytes=007-0008", b"78"),
        ("BYTES=0-1", b"01"),
        (" bytes= 0-1 ,", b"01"),
        (f"bytes=8-{'9' * 500}", b"89"),
        (f"bytes=-{'9' * 500}", BODY),
    ],
)
def test_a_single_range_is_cut_out(value: str, cut: bytes) -> None:
    found = part(value)
    assert isinstance(found, Range)
    assert BODY[found.slice] == cut
    assert found.length == len(cut)


@pytest.mark.parametrize(
    "value", ["bytes=10-", "bytes=10-20", "bytes=99-", "bytes=-0", f"bytes={'9' * 500}-"]
)
def test_a_range_that_cannot_be_satisfied_is_a_416(value: str) -> None:
    assert part(value) is UNSATISFIABLE


@pytest.mark.parametrize(
    "value",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-3",
        "bytes=a-b",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=1 - 2",
        "bytes = 1-2",
        "bytes=1.0-2",
        "bytes=٣-٤",
        "bytes=0-1\n",
        "items=0-1",
        "bytes=0-1, 3-4",
        "bytes=0-,0-,0-",
        "bytes=" + ",".join(["0-"] * 10_000),
        "bytes=" + ",".join(f"{at}-{at}" for at in range(10_000)),
        "bytes=" + " " * 65_536 + "0-1",
        "bytes=0-" + "1" * 65_536,
    ],
)
def test_several_ranges_and_what_is_malformed_are_ignored(value: str) -> None:
    assert part(value) is None


def test_only_a_200_to_get_has_parts() -> None:
    assert part("bytes=0-1", method="HEAD") is None
    assert part("bytes=0-1", method="POST") is None
    for status in (204, 206, 301, 404, 500):
        assert part("bytes=0-1", status=status) is None
    assert byte_range(request(), response(), 10) is None


def test_nothing_has_no_parts() -> None:
    assert part("bytes=0-", 0) is UNSATISFIABLE
    assert part("bytes=-1", 0) is None


@pytest.mark.parametrize(
    ("validator", "had", "wanted"),
    [
        ('"a"', {"etag": '"a"'}, True),
        ('"a"', {"etag": '"b"'}, False),
        ('"a"', {}, False),
        ('W/"a"', {"etag": 'W/"a"'}, False),
        ('"a"', {"etag": 'W/"a"'}, False),
        ("a", {"etag": "a"}, False),
        ('"a", "b"', {"etag": '"a"'}, False),
        (http(-60), {"last_modified": http(-60), "date": http(0)}, True),
        (http(-60), {"last_modified": http(-60), "date": http(-59)}, True),
        (http(-60), {"last_modified": http(-60), "date": http(-60)}, False),
        (http(-60), {"last_modified": http(-60)}, False),
        (http(-30), {"last_modified": http(-60), "date": http(0)}, False),
        ("foo", {"last_modified": "foo", "date": http(0)}, False),
        ("", {"etag": '"a"'}, False),
    ],
)
def test_if_range_compares_strongly(validator: str, had: dict[str, str], wanted: bool) -> None:
    assert (part("bytes=0-1", if_range=validator, **had) == Range(0, 1)) is wanted
    assert (part("bytes=99-", if_range=validator, **had) is UNSATISFIABLE) is wanted


def test_a_206_is_marked_as_a_part() -> None:
    headers = {"content-type": "a/b", "content-length": "10", "etag": '"a"', "age": "3"}
    assert partial_headers(headers, Range(2, 5), 10) == {
        **headers,
        "content-range": "bytes 2-5/10",
        "content-length": "4",
    }


def test_a_part_has_the_digest_of_the_whole_but_not_that_of_the_content_of_another_message() -> None:
    digests = {"content-digest": "sha-256=:a:", "content-md5": "b", "repr-digest": "sha-256=:c:"}
    part = partial_headers({"etag": '"a"', **digests}, Range(2, 5), 10)
    assert part.keys() & digests.keys() == {"repr-digest"}


def test_a_part_is_never_stored_as_the_whole() -> None:
    assert may_store(request(range="bytes=0-1"), response(206, cache_control="max-age=60")).reason == "status"


def test_a_416_says_how_long_the_whole_is() -> None:
    headers = {
        "content-type": "a/b",
        "content-length": "10",
        "etag": '"a"',
        "cache-control": "max-age=60",
        "vary": "a",
    }
    assert unsatisfiable_headers(headers, 10) == {
        "content-range": "bytes */10",
        "content-length": "0",
        "cache-control": "no-store",
        "vary": "a",
    }


@given(st.integers(0, 30), st.integers(0, 30) | st.none(), st.integers(0, 30) | st.none())
def test_a_part_is_never_empty_and_never_beyond_the_body(
    length: int, first: int | None, last: int | None
) -> None:
    found = part(f"bytes={'' if first is None else first}-{'' if last is None else last}", length)
    if isinstance(found, Range):
        assert 0 <= found.start <= found.end < length
        wanted = (
            range(length)[-last:]
            if first is None and last
            else range(first or 0, min((last or length - 1) + 1, length))
        )
        if not (first is not None and last == 0):
            assert list(range(length))[found.slice] == list(wanted)


@given(st.text(alphabet="bytes=0123456789-, \t", max_size=40))
def test_any_text_is_a_range_or_ignored(text: str) -> None:
    found = part(text)
    assert found is None or found is UNSATISFIABLE or isinstance(found, Range)
