"""The system checks of the response cache: a wrong order, a cache of Django's beside it, and options that cannot work."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.sessions.backends.signed_cookies import SessionStore
from django.core import checks
from django.middleware.security import SecurityMiddleware
from django.test import override_settings

from tests.responses.site import (
    AUTH,
    COMMON,
    CSRF,
    LOCALE,
    LOCMEM,
    MESSAGES,
    OURS,
    SESSIONS,
    SYNC,
    TENANTS,
    serving,
    text,
)

BY_MODULE = "perfsuite.responses.caching.ResponseCacheMiddleware"
COMPRESSION = "perfsuite.responses.CompressionMiddleware"
METRICS = "perfsuite.monitoring.RequestMetricsMiddleware"
SECURITY = "django.middleware.security.SecurityMiddleware"
UPDATE = "django.middleware.cache.UpdateCacheMiddleware"
FETCH = "django.middleware.cache.FetchFromCacheMiddleware"
BOTH = "django.middleware.cache.CacheMiddleware"
CONDITIONAL = "django.middleware.http.ConditionalGetMiddleware"
GZIP = "django.middleware.gzip.GZipMiddleware"
DUMMY = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}


class HostsSecurityMiddleware(SecurityMiddleware):
    """One that a host derives from Django's."""


def found(
    middleware: list[str], deploy: bool = False, settings: Any = None, **options: Any
) -> dict[str, Any]:
    given = {"CACHES": {"default": LOCMEM}, "PERFSUITE": {"RESPONSES": options}, **(settings or {})}
    with override_settings(MIDDLEWARE=middleware, **given):
        messages = checks.run_checks(tags=["perfsuite"], include_deployment_checks=deploy)
    return {str(m.id).partition(".")[2]: m for m in messages if str(m.id).startswith("perfsuite_responses.")}


@pytest.mark.parametrize(
    "middleware",
    [
        [],
        [OURS],
        [BY_MODULE],
        [
            METRICS,
            SECURITY,
            TENANTS,
            COMPRESSION,
            OURS,
            CONDITIONAL,
            SESSIONS,
            LOCALE,
            COMMON,
            CSRF,
            AUTH,
            MESSAGES,
        ],
        [METRICS, SECURITY, COMPRESSION, CONDITIONAL, OURS],
        # Without ours, others are free to stand as they like.
        [SESSIONS, UPDATE, TENANTS, FETCH, GZIP, SECURITY, METRICS],
    ],
)
def test_a_right_order_is_no_reason_to_complain(middleware: list[str]) -> None:
    assert found(middleware) == {}


@pytest.mark.parametrize(
    ("middleware", "number", "said"),
    [
        ([OURS, BY_MODULE], "W009", "2 times"),
        ([SESSIONS, OURS], "W010", "SessionMiddleware is before"),
        ([AUTH, OURS], "W010", "AuthenticationMiddleware is before"),
        ([CSRF, BY_MODULE], "W010", "CsrfViewMiddleware is before"),
        ([MESSAGES, OURS], "W010", "MessageMiddleware is before"),
        ([OURS, SECURITY], "W011", "not redirected to https"),
        ([OURS, f"{__name__}.HostsSecurityMiddleware"], "W011", "not redirected to https"),
        ([OURS, TENANTS], "W012", "tell tenants apart"),
        ([OURS, METRICS], "W013", "not measured"),
        ([UPDATE, OURS], "W014", "UpdateCacheMiddleware"),
        ([OURS, FETCH], "W014", "FetchFromCacheMiddleware"),
        ([OURS, BOTH], "W014", "CacheMiddleware"),
        ([GZIP, OURS], "W016", "compressed anew"),
        ([OURS, GZIP], "W016", "runs the view anew"),
    ],
)
def test_a_wrong_order_is_said_with_what_to_write(middleware: list[str], number: str, said: str) -> None:
    messages = found(middleware)

    assert list(messages) == [number]
    assert said in messages[number].msg
    assert messages[number].hint


def test_each_middleware_that_stands_wrong_is_named() -> None:
    with override_settings(MIDDLEWARE=[SESSIONS, AUTH, OURS], CACHES={"default": LOCMEM}):
        messages = checks.run_checks(tags=["perfsuite"])
    assert [m.msg.split()[0] for m in messages if m.id == "perfsuite_responses.W010"] == [
        "SessionMiddleware",
        "AuthenticationMiddleware",
    ]


def test_another_that_compresses_is_said_once() -> None:
    assert list(found([COMPRESSION, GZIP, OURS])) == ["W001"]


def test_etags_that_are_computed_for_each_hit_are_told() -> None:
    assert list(found([CONDITIONAL, OURS], ETAGS=False)) == ["W015"]
    assert found([OURS, CONDITIONAL], ETAGS=False) == {}


def test_a_session_that_every_request_changes_is_told() -> None:
    every = {"SESSION_SAVE_EVERY_REQUEST": True}
    assert list(found([OURS, SESSIONS], settings=every)) == ["W017"]
    assert found([OURS], settings=every) == {}
    assert found([SESSIONS], settings=every) == {}


@pytest.mark.parametrize("every", [True, False])
def test_what_is_told_of_such_sessions_is_so(every: bool) -> None:
    signed = "django.contrib.sessions.backends.signed_cookies"
    options = {"SESSION_ENGINE": signed, "SESSION_SAVE_EVERY_REQUEST": every}
    with serving(SYNC, {"": lambda request: text()}, (OURS, SESSIONS), **options) as site:
        session = SessionStore()
        session["basket"] = 3
        session.save()
        for _ in range(2):
            response = site.get("/", cookie=f"sessionid={session.session_key}")
        assert len(site.runs) == (2 if every else 1)
        assert ("sessionid" in response.cookies) is every


def test_a_cache_that_is_not_there_is_an_error() -> None:
    messages = found([OURS], ALIAS="pages")
    assert list(messages) == ["E001"]
    assert "'pages'" in messages["E001"].msg
    assert "default" in messages["E001"].hint
    assert found([SESSIONS], ALIAS="pages") == {}


def test_a_cache_that_keeps_nothing_is_told() -> None:
    assert list(found([OURS], settings={"CACHES": {"default": DUMMY}})) == ["W018"]
    assert found([SESSIONS], settings={"CACHES": {"default": DUMMY}}) == {}


def test_a_rule_for_queries_that_is_none_is_told() -> None:
    messages = found([OURS], QUERY="sort")
    assert list(messages) == ["W019"]
    assert "'sorted'" in messages["W019"].hint
    assert [found([OURS], QUERY=rule) for rule in ("as-is", "sorted", "allowed")] == [{}, {}, {}]


def test_being_switched_off_is_told_before_a_deployment() -> None:
    assert found([OURS], CACHE_ENABLED=False) == {}
    assert found([SECURITY], deploy=True, CACHE_ENABLED=False) == {}
    assert list(found([OURS], deploy=True, CACHE_ENABLED=False)) == ["W020"]
    off = {"PERFSUITE": {"CACHING": {"ENABLED": False}}}
    assert list(found([OURS], deploy=True, settings=off)) == ["W020"]
    assert found([OURS], deploy=True) == {}
