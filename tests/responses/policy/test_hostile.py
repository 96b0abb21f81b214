"""Whatever the fields hold and however long they are, every function answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.responses import policy
from tests.responses.policy.messages import NOW, URI

REQUEST_FIELDS = [
    "accept",
    "authorization",
    "cache-control",
    "cookie",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "pragma",
    "range",
]
RESPONSE_FIELDS = [
    "age",
    "cache-control",
    "cdn-cache-control",
    "connection",
    "content-length",
    "content-location",
    "date",
    "etag",
    "expires",
    "last-modified",
    "location",
    "set-cookie",
    "vary",
]
PIECES = st.sampled_from(
    [
        "max-age=",
        "s-maxage=",
        "no-store",
        "no-cache",
        "private",
        "public",
        "must-understand",
        "must-revalidate",
        "bytes=",
        '"',
        "\\",
        ",",
        ", ",
        ";",
        "=",
        "*",
        "W/",
        " ",
        "\t",
        "\r\n",
        "\x00",
        "é",
        "�",
        "😀",
        "9",
        "-",
        "0-",
        "99999999999",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "https://",
        "example.com",
        "/",
        "[",
        "(",
        ")",
        ":",
    ]
)
VALUES = st.lists(PIECES, max_size=8).map("".join) | st.text(max_size=30)


def ask_everything(
    asked: dict[str, str], had: dict[str, str], method: str = "GET", status: int = 200
) -> policy.Verdict:
    request = policy.Request(method, URI, asked)
    response = policy.Response(status, had)
    verdict = policy.may_store(request, response)
    stored = policy.keep(request, response, NOW, NOW)
    for failed in (False, True):
        policy.decide(request, stored, NOW + 1, failed=failed)
    policy.select([stored], request)
    policy.precondition(request, response, NOW)
    policy.precondition(request, response, NOW, origin=True)
    policy.byte_range(request, response, 10)
    policy.validation_request(request, stored)
    policy.freshen(request, stored, policy.Response(304, had), NOW, NOW)
    policy.freshen_by_head(request, stored, response, NOW, NOW)
    policy.invalidated_uris(request, response)
    policy.not_modified_headers(had)
    policy.cache_status("perfsuite", fwd="miss", detail=had.get("vary", ""))
    return verdict


@given(
    st.dictionaries(st.sampled_from(REQUEST_FIELDS), VALUES, max_size=4),
    st.dictionaries(st.sampled_from(RESPONSE_FIELDS), VALUES, max_size=5),
    st.sampled_from(["GET", "HEAD", "POST", "FOO"]),
    st.integers(-1, 1000),
)
def test_no_field_raises(asked: dict[str, str], had: dict[str, str], method: str, status: int) -> None:
    ask_everything(asked, had, method, status)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "9",
        ",",
        '"',
        "\\",
        "=",
        "a,",
        'a="',
        'a="b",',
        '"\\',
        " ",
        "\t,",
        "; ",
        "(",
        "a;",
        "a=(1 ",
        "0-,",
        'W/"a", ',
        "x-1,",
        "é",
    ],
)
def test_fields_of_64_kilobytes_are_answered(piece: str) -> None:
    long = (piece * 65_536)[:65_536]
    verdict = ask_everything(dict.fromkeys(REQUEST_FIELDS, long), dict.fromkeys(RESPONSE_FIELDS, long))
    assert not verdict.ok


@pytest.mark.parametrize("prefix", ["", "max-age=60, ", "public, max-age=60, "])
def test_a_cache_control_that_is_too_long_to_read_is_not_stored(prefix: str) -> None:
    had = {"cache-control": prefix + "x, " * 30_000, "etag": '"a"'}
    assert ask_everything({}, had).reason == "no-store"


def test_ten_thousand_names_in_vary_are_refused() -> None:
    had = {"cache-control": "max-age=60", "vary": ", ".join(f"x-{number}" for number in range(10_000))}
    assert ask_everything({}, had).reason == "vary-many"


@given(
    st.dictionaries(st.sampled_from(RESPONSE_FIELDS), VALUES, max_size=4),
    st.sampled_from(["private", "no-store", "Private", " NO-STORE ", 'no-store="x"', "private, public"]),
)
def test_nothing_beside_it_lets_what_is_private_be_stored(had: dict[str, str], said: str) -> None:
    had = {name: value for name, value in had.items() if name not in ("cdn-cache-control", "cache-control")}
    assert not ask_everything({}, {**had, "cache-control": f"max-age=60, {said}", "etag": '"a"'}).ok


@given(st.dictionaries(st.sampled_from(REQUEST_FIELDS), VALUES, max_size=4))
def test_the_parts_of_a_request_change_nothing_that_is_stored(asked: dict[str, str]) -> None:
    before = {"cache-control": "max-age=60", "etag": '"a"'}
    request = policy.Request("GET", URI, asked)
    one = policy.keep(request, policy.Response(200, before), NOW, NOW)
    other = policy.keep(policy.Request("GET", URI, {}), policy.Response(200, before), NOW, NOW)
    assert one == other
