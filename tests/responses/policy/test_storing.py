"""Whether a response may be stored, and what of it: RFC 9111 3."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from perfsuite.responses.policy import (
    DEFAULT,
    HEURISTICALLY_CACHEABLE,
    REASONS,
    Policy,
    keep,
    may_store,
    stored_headers,
)
from perfsuite.responses.policy.fields import http_date
from tests.responses.policy.messages import NOW, http, kept, request, response

PRIVATE_CACHE = Policy(shared=False)
FRESH = "max-age=60"


def reason(
    settings: Policy = DEFAULT,
    *,
    method: str = "GET",
    status: int = 200,
    asked: dict[str, str] | None = None,
    **fields: str,
) -> str:
    verdict = may_store(request(method, **(asked or {})), response(status, **fields), settings)
    assert verdict.ok is (verdict.reason == "ok")
    assert verdict.reason in REASONS
    return verdict.reason


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "FOO", "get", ""])
def test_only_answers_to_get_are_stored(method: str) -> None:
    assert reason(method="GET", cache_control=FRESH) == "ok"
    assert reason(method=method, cache_control=FRESH) == "method"


@pytest.mark.parametrize("status", [0, 100, 101, 103, 199, 206, 304, 600, 999])
def test_what_is_not_final_or_not_whole_is_not_stored(status: int) -> None:
    assert reason(status=status, cache_control=FRESH, etag='"a"') == "status"


@pytest.mark.parametrize("status", [200, 203, 204, 299, 301, 302, 307, 400, 404, 410, 499, 500, 503, 599])
def test_any_final_status_is_stored_with_a_stated_lifetime(status: int) -> None:
    for fields in ({"cache_control": FRESH}, {"cache_control": "s-maxage=60"}, {"expires": http(60)}):
        assert reason(status=status, **fields) == "ok"


@pytest.mark.parametrize(
    "status", [each.value for each in HTTPStatus if each >= 200 and each not in (206, 304)]
)
def test_without_a_stated_lifetime_only_public_or_some_statuses_are_stored(status: int) -> None:
    guessed = status in HEURISTICALLY_CACHEABLE
    assert reason(status=status, last_modified=http(-600)) == ("ok" if guessed else "no-lifetime")
    assert reason(status=status, last_modified=http(-600), cache_control="public") == "ok"
    assert reason(PRIVATE_CACHE, status=status, last_modified=http(-600), cache_control="private") == "ok"
    wanted = "ok" if guessed else "no-lifetime"
    assert reason(PRIVATE_CACHE, status=status, last_modified=http(-600)) == wanted
    assert reason(status=status, last_modified=http(-600), cache_control='private="x-a"') == wanted


@pytest.mark.parametrize(
    "value", ["no-store", "No-Store", " no-store\t", "max-age=60, no-store", 'no-store="a"', "no-store=1"]
)
def test_a_response_with_no_store_is_not_stored(value: str) -> None:
    assert reason(cache_control=value, expires=http(60)) == "no-store"
    assert reason(PRIVATE_CACHE, cache_control=value) == "no-store"


def test_a_request_with_no_store_has_its_response_not_stored() -> None:
    assert reason(asked={"cache_control": "no-store"}, cache_control=FRESH) == "request-no-store"
    assert (
        reason(Policy(obey_requests=False), asked={"cache_control": "no-store"}, cache_control=FRESH)
        == "request-no-store"
    )


def test_must_understand_overrides_no_store_for_a_status_that_is_understood() -> None:
    assert reason(cache_control="max-age=60, no-store, must-understand") == "ok"
    assert reason(status=599, cache_control="max-age=60, no-store, must-understand") == "must-understand"
    assert reason(status=599, cache_control="max-age=60, must-understand") == "must-understand"
    assert (
        reason(Policy(understood_statuses=frozenset()), cache_control="max-age=60, must-understand")
        == "must-understand"
    )


@pytest.mark.parametrize(
    "value",
    ["private", "Private", "\tprivate ", "private, max-age=60", "private=", 'private=""', "private =x"],
)
def test_a_shared_cache_does_not_store_what_is_private(value: str) -> None:
    wanted = "ok" if value.endswith("=x") else "private"
    assert reason(cache_control=value, expires=http(60)) == wanted
    assert reason(PRIVATE_CACHE, cache_control=value, expires=http(60)) == "ok"


def test_private_fields_are_left_out_and_the_rest_is_stored() -> None:
    fields = {"cache_control": 'max-age=60, private="X-A, x-b"', "x_a": "1", "x_b": "2", "x_c": "3"}
    assert reason(**fields) == "ok"
    headers = kept(**fields).response.headers
    assert "x-a" not in headers
    assert "x-b" not in headers
    assert headers["x-c"] == "3"
    assert kept(settings=PRIVATE_CACHE, **fields).response.headers["x-a"] == "1"
    assert reason(Policy(field_names=False), **fields) == "private"


def test_fields_that_no_cache_names_are_left_out_and_the_rest_is_stored() -> None:
    stored = kept(cache_control='max-age=60, no-cache="X-A"', x_a="1", x_b="2")
    assert "x-a" not in stored.response.headers
    assert stored.response.headers["x-b"] == "2"
    assert stored.terms is not None
    assert not stored.terms.always_validate


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (FRESH, "authorization"),
        ("max-age=60, proxy-revalidate", "authorization"),
        ("no-cache", "authorization"),
        ("public, max-age=60", "ok"),
        ("s-maxage=60", "ok"),
        ("max-age=60, must-revalidate", "ok"),
        ("public, private", "private"),
    ],
)
def test_an_answer_to_authorization_needs_public_s_maxage_or_must_revalidate(value: str, wanted: str) -> None:
    credentials = {"authorization": "Basic YTpi"}
    assert reason(asked=credentials, cache_control=value, etag='"a"') == wanted
    assert reason(asked={"authorization": ""}, cache_control=value, etag='"a"') == wanted
    if wanted == "authorization":
        assert reason(PRIVATE_CACHE, asked=credentials, cache_control=value, etag='"a"') == "ok"


def test_a_response_with_a_cookie_is_not_stored_unless_told() -> None:
    assert reason(cache_control="public, max-age=60", set_cookie="a=b") == "set-cookie"
    told = Policy(store_cookies=True)
    assert reason(told, cache_control=FRESH, set_cookie="a=b") == "ok"
    assert kept(settings=told, cache_control=FRESH, set_cookie="a=b").response.headers["set-cookie"] == "a=b"


@pytest.mark.parametrize("value", ["*", " * ", "*, *", ", *", "*, Accept", "Accept, *"])
def test_a_response_that_varies_by_everything_is_not_stored(value: str) -> None:
    assert reason(cache_control=FRESH, vary=value) == "vary-star"


def test_a_response_that_varies_by_too_much_is_not_stored() -> None:
    names = [f"x-{number}" for number in range(33)]
    assert reason(cache_control=FRESH, vary=", ".join(names[:32])) == "ok"
    assert reason(cache_control=FRESH, vary=", ".join([*names[:32], "X-0"])) == "ok"
    assert reason(cache_control=FRESH, vary=", ".join(names)) == "vary-many"
    assert (
        reason(cache_control=FRESH, vary=",".join(f"x-{number}" for number in range(10_000))) == "vary-many"
    )


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, "useless"),
        ({"cache_control": "max-age=0"}, "useless"),
        ({"cache_control": "no-cache"}, "useless"),
        ({"cache_control": "no-cache, max-age=60"}, "useless"),
        ({"expires": "0"}, "useless"),
        ({"cache_control": "max-age=0, must-revalidate, stale-if-error=60"}, "useless"),
        ({"cache_control": "max-age=0, stale-while-revalidate=60"}, "ok"),
        ({"cache_control": "max-age=0, stale-if-error=60"}, "ok"),
        ({"cache_control": "no-cache", "etag": '"a"'}, "ok"),
        ({"cache_control": "no-cache", "last_modified": http(-60)}, "ok"),
        ({"etag": '"a"'}, "ok"),
    ],
)
def test_what_is_never_fresh_needs_a_validator_to_be_worth_storing(
    fields: dict[str, str], wanted: str
) -> None:
    assert reason(**fields) == wanted


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"cdn_cache_control": "max-age=60", "cache_control": "no-store"}, "ok"),
        ({"cdn_cache_control": "no-store", "cache_control": FRESH}, "no-store"),
        ({"cdn_cache_control": "private", "cache_control": FRESH}, "private"),
        ({"cdn_cache_control": "max-age=60, &&&", "cache_control": "no-store"}, "no-store"),
        ({"cdn_cache_control": "", "cache_control": "no-store"}, "no-store"),
        ({"cdn_cache_control": 'max-age="60"', "cache_control": FRESH}, "useless"),
        ({"cdn_cache_control": "none", "expires": http(60)}, "useless"),
    ],
)
def test_a_targeted_field_that_is_valid_replaces_cache_control_and_expires(
    fields: dict[str, str], wanted: str
) -> None:
    assert reason(**fields) == wanted


def test_the_first_targeted_field_that_is_valid_counts_and_others_change_nothing() -> None:
    ours = Policy(targeted=("our-cache-control", "cdn-cache-control"))
    assert reason(ours, our_cache_control="no-store", cdn_cache_control="max-age=60") == "no-store"
    assert (
        reason(ours, our_cache_control="&", cdn_cache_control="no-store", cache_control=FRESH) == "no-store"
    )
    assert reason(our_cache_control="no-store", cache_control=FRESH) == "ok"
    assert (
        kept(our_cache_control="no-store", cache_control=FRESH).response.headers["our-cache-control"]
        == "no-store"
    )
    assert reason(Policy(targeted=()), cdn_cache_control="no-store", cache_control=FRESH) == "ok"


def test_all_fields_are_stored_but_those_of_the_connection_and_the_proxy() -> None:
    fields = {
        "Content-Type": "text/html",
        "X-Unknown": "1",
        "Connection": "close, X-Hop",
        "X-Hop": "1",
        "Keep-Alive": "1",
        "Proxy-Authenticate": "Basic",
        "Proxy-Authentication-Info": "a",
        "Proxy-Authorization": "a",
        "Proxy-Connection": "a",
        "TE": "trailers",
        "Transfer-Encoding": "chunked",
        "Upgrade": "h2c",
        "Set-Cookie": "a=b",
    }
    lower = {name.lower(): value for name, value in fields.items()}
    assert stored_headers(lower) == {"content-type": "text/html", "x-unknown": "1"}


@pytest.mark.parametrize("date", [None, "yesterday"])
def test_a_response_without_a_date_gets_the_time_of_its_arrival(date: str | None) -> None:
    fields = {"cache_control": FRESH} | ({} if date is None else {"date": date})
    stored = keep(request(), response(**fields), NOW + 0.5, NOW + 0.75)
    assert stored.response.headers["date"] == http_date(NOW)
    assert stored.terms is not None
    assert stored.terms.born_at == NOW + 0.5


def test_a_date_that_is_there_is_kept() -> None:
    assert kept(cache_control=FRESH, date=http(-9)).response.headers["date"] == http(-9)


def test_trailer_fields_have_no_place_among_the_stored_ones() -> None:
    assert stored_headers({"trailer": "x-checksum", "x-a": "1"}) == {"x-a": "1"}


def test_directives_are_stored_as_they_came() -> None:
    for value in ("Max-Age=60 ,no-transform", 'max-age=60, community="UCI"', 'max-age=060, no-cache="X-A"'):
        assert kept(cache_control=value).response.headers["cache-control"] == value
