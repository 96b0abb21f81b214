"""How long a response is fresh, and how old it is: RFC 9111 4.2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.responses.policy import (
    DEFAULT,
    Policy,
    Stored,
    current_age,
    freshness_lifetime,
    keep,
    served_headers,
    terms,
)
from tests.responses.policy.messages import NOW, http, kept, request, response

DAY = 86_400.0


def lifetime(settings: Policy = DEFAULT, status: int = 200, **fields: str) -> float:
    return freshness_lifetime(response(status, **fields), settings, NOW)


def test_s_maxage_comes_before_max_age_and_max_age_before_expires() -> None:
    assert lifetime(cache_control="max-age=60, s-maxage=30", expires=http(90)) == 30
    assert lifetime(cache_control="s-maxage=90, max-age=60") == 90
    assert lifetime(cache_control="max-age=60", expires=http(90)) == 60
    assert lifetime(expires=http(90)) == 90


def test_s_maxage_is_for_shared_caches_alone() -> None:
    assert lifetime(Policy(shared=False), cache_control="s-maxage=90, max-age=60") == 60
    assert lifetime(Policy(shared=False), cache_control="s-maxage=90", expires=http(30)) == 30


def test_expires_is_ignored_beside_max_age_or_s_maxage() -> None:
    assert lifetime(cache_control="max-age=60", expires="0") == 60
    assert lifetime(cache_control="max-age=0", expires=http(60)) == 0
    assert lifetime(cache_control="s-maxage=60", expires=http(-60)) == 60


def test_expires_counts_from_date_or_without_it_from_the_arrival() -> None:
    assert lifetime(expires=http(90), date=http(30)) == 60
    assert lifetime(expires=http(90), date="foo") == 90
    assert lifetime(expires=http(300), date=http(400)) == 0
    assert lifetime(expires=http(0), date=http(0)) == 0


@pytest.mark.parametrize(
    "value",
    ["0", "", "-1", "never", "Thu, 18 Aug 2050 02:01:18 UTC", "Thu, 18 Aug 50 02:01:18 GMT", "9" * 65536],
)
def test_expires_that_is_no_date_is_in_the_past(value: str) -> None:
    assert lifetime(expires=value, last_modified=http(-DAY)) == 0


def test_expires_far_in_the_future_is_a_long_time() -> None:
    assert lifetime(expires="Fri, 31 Dec 9999 23:59:59 GMT") > 1e11


@pytest.mark.parametrize(
    "value",
    ["max-age=a", "max-age=-1", "max-age", "max-age=60, max-age=30", "s-maxage=x, max-age=60", "max-age =60"],
)
def test_a_lifetime_that_is_malformed_makes_the_response_stale(value: str) -> None:
    assert lifetime(cache_control=value, expires=http(60), last_modified=http(-DAY)) == 0


def test_an_enormous_lifetime_is_a_long_one() -> None:
    assert lifetime(cache_control=f"max-age={'9' * 5000}") == 2**31


def test_without_a_stated_lifetime_it_is_a_tenth_of_the_time_since_the_last_change() -> None:
    assert lifetime(last_modified=http(-1000)) == 100
    assert lifetime(last_modified=http(-1000), date=http(-500)) == 50
    assert lifetime(last_modified=http(-100 * DAY)) == DAY
    assert lifetime(last_modified=http(60)) == 0
    assert lifetime(last_modified="0") == 0
    assert lifetime() == 0


def test_no_guess_is_made_where_a_lifetime_is_stated() -> None:
    for fields in (
        {"cache_control": "max-age=0"},
        {"cache_control": "s-maxage=0"},
        {"expires": "0"},
        {"expires": http(-5)},
    ):
        assert lifetime(last_modified=http(-1000), **fields) == 0


def test_how_to_guess_is_a_setting() -> None:
    settings = Policy(heuristic_fraction=0.5, heuristic_max_s=300, heuristic_default_s=7)
    assert lifetime(settings, last_modified=http(-400)) == 200
    assert lifetime(settings, last_modified=http(-4000)) == 300
    assert lifetime(settings) == 7


@pytest.mark.parametrize("status", [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])
def test_a_guess_is_made_for_the_statuses_that_allow_it(status: int) -> None:
    assert lifetime(status=status, last_modified=http(-1000)) == 100


@pytest.mark.parametrize("status", [201, 202, 302, 303, 307, 400, 403, 500, 502, 503, 504, 599])
def test_a_guess_is_made_for_other_statuses_only_if_the_response_is_public(status: int) -> None:
    assert lifetime(status=status, last_modified=http(-1000)) == 0
    assert lifetime(Policy(shared=False), status, last_modified=http(-1000)) == 0
    assert lifetime(status=status, last_modified=http(-1000), cache_control='private="x-a"') == 0
    assert lifetime(status=status, last_modified=http(-1000), cache_control="public") == 100
    assert lifetime(Policy(shared=False), status, last_modified=http(-1000), cache_control="private") == 100


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"cdn_cache_control": "max-age=90", "cache_control": "max-age=60"}, 90),
        ({"cdn_cache_control": "max-age=30", "cache_control": "s-maxage=60"}, 30),
        ({"cdn_cache_control": "max-age=90", "expires": http(-60)}, 90),
        ({"cdn_cache_control": "max-age=0", "expires": http(60)}, 0),
        ({"cdn_cache_control": "max-age=99999999999"}, 2**31),
        ({"cdn_cache_control": "max-age=60.5", "cache_control": "max-age=60"}, 0),
        ({"cdn_cache_control": "max-age=-5", "cache_control": "max-age=60"}, 0),
        ({"cdn_cache_control": "max-age =90", "cache_control": "max-age=60"}, 60),
        ({"cdn_cache_control": "MaX-aGe=90", "cache_control": "max-age=60"}, 60),
        ({"cdn_cache_control": "foobar, max-age=90"}, 90),
        ({"cdn_cache_control": "none", "last_modified": http(-1000)}, 100),
    ],
)
def test_cdn_cache_control_replaces_cache_control_and_expires_if_it_is_valid(
    fields: dict[str, str], wanted: float
) -> None:
    assert lifetime(**fields) == wanted


def age(asked_at: float = NOW, answered_at: float = NOW, now: float = NOW, **fields: str) -> float:
    stored = keep(request(), response(cache_control="max-age=60", **fields), asked_at, answered_at)
    bare = Stored(response(**fields), asked_at, answered_at)
    assert current_age(stored, now) == pytest.approx(current_age(bare, now))
    return current_age(stored, now)


def test_age_grows_with_the_time_in_the_store() -> None:
    assert age() == 0
    assert age(now=NOW + 30) == 30
    assert age(now=NOW + 30, age="15") == 45


def test_age_is_relative_to_the_time_of_the_request() -> None:
    assert age(asked_at=NOW - 4, age="15") == 19
    assert age(asked_at=NOW - 4) == 4
    assert age(asked_at=NOW + 4) == 0  # a clock that was set back


def test_age_is_at_least_the_time_since_date() -> None:
    assert age(date=http(-20)) == 20
    assert age(date=http(-20), age="15") == 20
    assert age(date=http(-10), age="15") == 15
    assert age(date=http(20)) == 0
    assert age(date="foo", age="15") == 15


@pytest.mark.parametrize(
    ("value", "wanted"),
    [("15, 0", 15), ("0,15", 0), ("15,15", 15), (", 15", 15), ("15 , foo", 15), ("foo, 15", 0)],
)
def test_of_several_ages_the_first_counts(value: str, wanted: float) -> None:
    assert age(age=value) == wanted


@pytest.mark.parametrize("value", ["", "foo", "-15", "+15", "15.0", "1e3", "15 s", '"15"', ","])
def test_an_age_that_is_malformed_is_ignored(value: str) -> None:
    assert age(age=value) == 0


def test_an_enormous_age_makes_the_response_stale() -> None:
    assert age(age="9" * 65536) == 2**31


def test_a_response_from_the_store_has_its_age_and_not_the_one_it_came_with() -> None:
    stored = kept(cache_control="max-age=60", age="15", x="1")
    served = served_headers(stored.response.headers, current_age(stored, NOW + 30.9))
    assert served == {**stored.response.headers, "age": "45"}
    assert served_headers({}, 1e12) == {"age": "2147483648"}


def test_age_is_never_negative() -> None:
    assert age(now=NOW - 100) == 0


@pytest.mark.parametrize(
    ("value", "never_stale"),
    [
        ("max-age=60", False),
        ("max-age=60, must-revalidate", True),
        ("max-age=60, Proxy-Revalidate", True),
        ("s-maxage=60", True),
        ("max-age=60, immutable", False),
    ],
)
def test_some_directives_forbid_to_serve_stale(value: str, never_stale: bool) -> None:
    assert terms(response(cache_control=value), NOW, NOW).never_stale is never_stale
    private = terms(response(cache_control=value), NOW, NOW, Policy(shared=False))
    assert private.never_stale is ("must-revalidate" in value)


def test_whether_s_maxage_forbids_to_serve_stale_is_a_setting() -> None:
    assert not terms(
        response(cache_control="s-maxage=60"), NOW, NOW, Policy(s_maxage_forbids_stale=False)
    ).never_stale


def test_times_of_staleness_are_those_of_the_response_or_of_the_settings() -> None:
    settings = Policy(stale_while_revalidate_s=5, stale_if_error_s=7)
    named = kept(
        settings=settings, cache_control="max-age=1, stale-while-revalidate=30, stale-if-error=40"
    ).terms
    unnamed = kept(settings=settings, cache_control="max-age=1").terms
    malformed = kept(
        settings=settings, cache_control="max-age=1, stale-while-revalidate=x, stale-if-error"
    ).terms
    assert named is not None
    assert unnamed is not None
    assert malformed is not None
    assert (named.stale_while_revalidate, named.stale_if_error) == (30, 40)
    assert (unnamed.stale_while_revalidate, unnamed.stale_if_error) == (5, 7)
    assert (malformed.stale_while_revalidate, malformed.stale_if_error) == (0, 0)


ANYTHING = st.text(alphabet='0123456789,:= "GMTacdeghimnorstvxy-;\t\\é', max_size=50)


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ["age", "date", "expires", "cache-control", "last-modified", "cdn-cache-control"], ANYTHING
        ),
    )
)
def test_whatever_the_fields_hold_there_is_a_lifetime_and_an_age(headers: dict[str, str]) -> None:
    made = response(200)
    made = type(made)(200, headers)
    found = terms(made, NOW, NOW)
    assert 0 <= found.lifetime < float("inf")
    assert found.born_at <= NOW
