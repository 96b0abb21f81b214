"""What to do with a request: RFC 9111 4 and 5.2, RFC 5861."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.responses.policy import Action, Policy, Stored, decide
from tests.responses.policy.messages import NOW, decided, http, kept, request

HIT = ("hit", "fresh")
STALE = ("revalidate", "stale")
ASKED = ("revalidate", "request")


def test_a_fresh_response_is_served_and_a_stale_one_is_validated() -> None:
    stored = kept(cache_control="max-age=60", etag='"a"')
    assert decided(stored, 0) == HIT
    assert decided(stored, 59.9) == HIT
    assert decided(stored, 60) == STALE
    assert decided(stored, 1e9) == STALE


def test_nothing_stored_is_a_miss() -> None:
    assert decided(None) == ("miss", "miss")


def test_head_is_answered_from_get() -> None:
    stored = kept(cache_control="max-age=60")
    assert decided(stored, method="HEAD") == HIT
    assert decided(stored, 61, method="HEAD") == STALE


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO", "get"])
def test_any_other_method_is_written_through(method: str) -> None:
    assert decided(kept(cache_control="max-age=60"), method=method) == ("miss", "method")
    assert decided(kept(cache_control="max-age=60"), method=method, cache_control="only-if-cached") == (
        "miss",
        "method",
    )


def test_no_cache_in_the_response_means_validation_before_each_use() -> None:
    settings = Policy(stale_while_revalidate_s=60, stale_if_error_s=60)
    for value in (
        "no-cache, max-age=60",
        "No-Cache",
        'max-age=60, no-cache=""',
        "max-age=60, no-cache=, stale-if-error=60",
    ):
        stored = kept(settings=settings, cache_control=value, etag='"a"')
        assert decided(stored) == STALE
        assert decided(stored, cache_control="max-stale") == STALE
        assert decided(stored, failed=True)[0] == "miss"


def test_a_stored_response_says_how_old_it_is() -> None:
    stored = kept(cache_control="max-age=60", age="10")
    decision = decide(request(), stored, NOW + 5)
    assert (decision.age, decision.ttl) == (15, 45)
    stale = decide(request(), stored, NOW + 65)
    assert (stale.age, stale.ttl) == (75, -15)


def test_without_worked_out_terms_the_fields_are_read() -> None:
    stored = kept(cache_control="max-age=60, stale-while-revalidate=10")
    bare = Stored(stored.response, NOW, NOW)
    for after_s in (0, 59, 61, 71):
        assert decided(bare, after_s) == decided(stored, after_s)


@pytest.mark.parametrize(
    ("value", "after_s", "wanted"),
    [
        ("max-age=0", 0, ASKED),
        ("max-age=10", 10, HIT),
        ("max-age=10", 11, ASKED),
        ("max-age=foo", 0, ASKED),
        ("max-age=100", 61, STALE),
        ("min-fresh=50", 10, HIT),
        ("min-fresh=50", 11, ASKED),
        ("min-fresh=1000", 0, ASKED),
        ("no-cache", 0, ASKED),
        ("No-Cache", 0, ASKED),
        ("no-store", 0, HIT),
        ("no-transform", 0, HIT),
        ("foo, bar=1", 0, HIT),
        ("", 0, HIT),
    ],
)
def test_request_directives_limit_what_is_fresh_enough(
    value: str, after_s: float, wanted: tuple[str, str]
) -> None:
    assert decided(kept(cache_control="max-age=60", etag='"a"'), after_s, cache_control=value) == wanted


def test_a_request_with_no_store_may_be_answered_from_the_store() -> None:
    assert decided(kept(cache_control="max-age=60"), cache_control="no-store") == HIT


def test_pragma_no_cache_counts_without_cache_control_alone() -> None:
    stored = kept(cache_control="max-age=60")
    assert decided(stored, pragma="no-cache") == ASKED
    assert decided(stored, pragma="foo") == HIT
    assert decided(stored, pragma="no-cache", cache_control="max-age=60") == HIT


def test_pragma_in_a_response_means_nothing() -> None:
    assert decided(kept(cache_control="max-age=60", pragma="no-cache")) == HIT


def test_a_site_may_ignore_what_requests_ask_for() -> None:
    deaf = Policy(obey_requests=False)
    stored = kept(cache_control="max-age=60, stale-while-revalidate=60")
    for value in ("no-cache", "max-age=0", "min-fresh=600"):
        assert decided(stored, 1, deaf, cache_control=value) == HIT
        assert decided(stored, 61, deaf, cache_control=value) == ("stale", "stale-while-revalidate")
    assert decided(stored, 1, deaf, pragma="no-cache") == HIT


@pytest.mark.parametrize(
    ("value", "after_s", "wanted"),
    [
        ("max-stale", 1e6, ("stale", "max-stale")),
        ("max-stale=10", 70, ("stale", "max-stale")),
        ("max-stale=10", 71, STALE),
        ("max-stale=foo", 61, STALE),
        ("max-stale=-1", 61, STALE),
        ("max-stale=10, max-age=65", 65, ("stale", "max-stale")),
        ("max-stale=10, max-age=65", 66, STALE),
        ("max-stale, min-fresh=1", 61, STALE),
        ("max-stale, no-cache", 61, STALE),
    ],
)
def test_a_request_may_accept_what_is_stale(value: str, after_s: float, wanted: tuple[str, str]) -> None:
    stored = kept(cache_control="max-age=60")
    assert decided(stored, after_s, cache_control=value) == wanted
    assert decided(stored, after_s, Policy(accept_stale=False), cache_control=value) == STALE


@pytest.mark.parametrize("value", ["must-revalidate", "proxy-revalidate", "no-cache", "s-maxage=60"])
def test_what_forbids_stale_responses_forbids_them_always(value: str) -> None:
    settings = Policy(stale_while_revalidate_s=1e6, stale_if_error_s=1e6)
    stored = kept(
        settings=settings,
        cache_control=f"max-age=60, {value}, stale-while-revalidate=600, stale-if-error=600",
    )
    assert decided(stored, 61, settings) == STALE
    assert decided(stored, 61, settings, cache_control="max-stale, stale-if-error=600") == STALE
    assert decided(stored, 61, settings, failed=True) == ("miss", "stale")
    assert decided(stored, 61, settings, cache_control="max-stale, only-if-cached") == (
        "gateway-timeout",
        "stale",
    )


def test_no_stale_response_is_served_unless_something_allows_it() -> None:
    stored = kept(cache_control="max-age=60")
    assert decided(stored, 61) == STALE
    assert decided(stored, 61, failed=True) == ("miss", "stale")


def test_stale_while_revalidate_serves_and_refreshes_for_its_time() -> None:
    stored = kept(cache_control="max-age=60, stale-while-revalidate=30")
    assert decided(stored, 59) == HIT
    decision = decide(request(), stored, NOW + 90)
    assert (decision.action, decision.reason, decision.refresh) == (
        Action.STALE,
        "stale-while-revalidate",
        True,
    )
    assert decided(stored, 91) == STALE
    assert decided(stored, 70, cache_control="no-cache") == STALE
    assert decided(stored, 70, cache_control="max-age=100") == STALE
    assert decided(stored, 70, cache_control="min-fresh=1") == STALE


def test_stale_if_error_serves_after_a_failure_for_its_time() -> None:
    stored = kept(cache_control="max-age=60, stale-if-error=30")
    served = ("stale", "stale-if-error")
    assert decided(stored, 61) == STALE
    assert decided(stored, 90, failed=True) == served
    assert decided(stored, 91, failed=True) == ("miss", "stale")
    assert decided(stored, 70, cache_control="max-age=0", failed=True) == served
    assert decided(stored, 10, cache_control="max-age=0", failed=True) == served
    assert decided(stored, 70, cache_control="no-cache", failed=True) == ("miss", "stale")
    assert decided(stored, 10, failed=True) == HIT


def test_a_request_may_say_stale_if_error_too() -> None:
    stored = kept(cache_control="max-age=60")
    assert decided(stored, 70, cache_control="stale-if-error=30", failed=True) == ("stale", "stale-if-error")
    assert decided(stored, 91, cache_control="stale-if-error=30", failed=True) == ("miss", "stale")
    assert decided(
        stored, 70, Policy(accept_stale=False), cache_control="stale-if-error=30", failed=True
    ) == ("miss", "stale")


def test_a_failed_refresh_leaves_what_may_be_stale() -> None:
    stored = kept(cache_control="max-age=60, stale-while-revalidate=30")
    decision = decide(request(), stored, NOW + 70, failed=True)
    assert (decision.action, decision.refresh) == (Action.STALE, False)


def test_the_settings_stand_in_for_times_of_staleness() -> None:
    settings = Policy(stale_while_revalidate_s=10, stale_if_error_s=20)
    stored = kept(settings=settings, cache_control="max-age=60")
    assert decided(stored, 70, settings) == ("stale", "stale-while-revalidate")
    assert decided(stored, 71, settings) == STALE
    assert decided(stored, 80, settings, failed=True) == ("stale", "stale-if-error")
    never = kept(settings=settings, cache_control="max-age=60, stale-while-revalidate=0")
    assert decided(never, 61, settings) == STALE


def test_only_if_cached_is_answered_from_the_store_or_with_504() -> None:
    stored = kept(cache_control="max-age=60", etag='"a"')
    assert decided(None, cache_control="only-if-cached") == ("gateway-timeout", "miss")
    assert decided(stored, cache_control="only-if-cached") == HIT
    assert decided(stored, 61, cache_control="only-if-cached") == ("gateway-timeout", "stale")
    assert decided(stored, 61, cache_control="only-if-cached, max-stale") == ("stale", "max-stale")
    assert decided(stored, 0, cache_control="only-if-cached, max-age=0") == ("gateway-timeout", "request")


DIRECTIVES = st.lists(
    st.sampled_from(
        [
            "max-age=30",
            "max-age=0",
            "s-maxage=30",
            "no-cache",
            "no-store",
            "must-revalidate",
            "proxy-revalidate",
            "public",
            "max-stale",
            "max-stale=9",
            "min-fresh=5",
            "only-if-cached",
            "stale-while-revalidate=9",
            "stale-if-error=9",
            "x",
        ]
    ),
    max_size=5,
).map(", ".join)


@given(DIRECTIVES, DIRECTIVES, st.integers(0, 60), st.booleans())
def test_nothing_is_served_that_is_forbidden(said: str, asked: str, after_s: int, failed: bool) -> None:
    stored = kept(cache_control=said, last_modified=http(-300), etag='"a"')
    assert stored.terms is not None
    decision = decide(request(cache_control=asked), stored, NOW + after_s, failed=failed)
    served = decision.action in (Action.HIT, Action.STALE)
    if "no-cache" in said or "no-cache" in asked:
        assert not served
    if decision.action is Action.HIT:
        assert after_s < stored.terms.lifetime
    if decision.action is Action.STALE:
        assert not {"must-revalidate", "proxy-revalidate", "s-maxage=30"} & set(said.split(", "))
        assert "max-stale" in asked or "stale-" in said or "stale-if-error" in asked
    if "only-if-cached" in asked:
        assert decision.action is not Action.REVALIDATE
