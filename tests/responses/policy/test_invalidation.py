"""What an unsafe request makes outdated: RFC 9111 4.4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.responses.policy import invalidated_uris
from tests.responses.policy.messages import URI, request, response


def uris(method: str = "POST", status: int = 200, uri: str = URI, **fields: str) -> tuple[str, ...]:
    return invalidated_uris(request(method, uri), response(status, **fields))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "M-SEARCH", "FOO", "get", ""])
def test_a_change_makes_its_target_outdated(method: str) -> None:
    for status in (200, 201, 204, 299, 301, 303, 399):
        assert uris(method, status) == (URI,)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_a_safe_method_makes_nothing_outdated(method: str) -> None:
    assert uris(method, location="/other") == ()


@pytest.mark.parametrize("status", [100, 400, 403, 404, 409, 499, 500, 503])
def test_an_error_makes_nothing_outdated(status: int) -> None:
    assert uris(status=status, location="/other") == ()


def test_location_and_content_location_are_outdated_too() -> None:
    found = uris(location="/a?b=1#c", content_location="https://EXAMPLE.com:443/d")
    assert found == (URI, "https://example.com/a?b=1", "https://example.com/d")
    assert uris(location="other") == (URI, "https://example.com/other")
    assert uris(location="https://example.com") == (URI, "https://example.com/")
    assert uris(location=URI, content_location="/page") == (URI,)
    assert uris(uri="https://example.com:443/page", location="/a")[1] == "https://example.com:443/a"


@pytest.mark.parametrize(
    "location",
    [
        "https://other.example/a",
        "http://example.com/a",
        "https://example.com:8443/a",
        "https://example.com@other.example/a",
        "https://example.com.other.example/a",
        "//other.example/a",
        "javascript:alert(1)",
        "https://[::1/a",
        "https://example.com:port/a",
        "https://example.com:99999999/a",
        "/" + "a" * 65_536,
        "",
    ],
)
def test_what_is_of_another_origin_is_left_alone(location: str) -> None:
    assert uris(location=location, content_location=location) == (URI,)


@given(st.text(max_size=60))
def test_whatever_location_holds_only_this_origin_is_outdated(location: str) -> None:
    for found in uris(location=location):
        assert found.startswith("https://example.com/")
