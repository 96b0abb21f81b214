"""The system checks of compression: a wrong order, another that compresses, and options that cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks
from django.test import override_settings

OURS = "perfsuite.responses.CompressionMiddleware"
BY_MODULE = "perfsuite.responses.compression.CompressionMiddleware"
CACHE = "perfsuite.responses.ResponseCacheMiddleware"
CONDITIONAL = "django.middleware.http.ConditionalGetMiddleware"
GZIP = "django.middleware.gzip.GZipMiddleware"
TOOLBAR = "debug_toolbar.middleware.DebugToolbarMiddleware"
SECURITY = "django.middleware.security.SecurityMiddleware"


def found(middleware: list[str], deploy: bool = False, **options: Any) -> dict[str, Any]:
    with override_settings(MIDDLEWARE=middleware, PERFSUITE={"RESPONSES": options}):
        messages = checks.run_checks(tags=["perfsuite"], include_deployment_checks=deploy)
    return {str(m.id).partition(".")[2]: m for m in messages if str(m.id).startswith("perfsuite_responses.")}


@pytest.mark.parametrize(
    "middleware",
    [
        [],
        [SECURITY],
        [GZIP, CONDITIONAL],
        [CONDITIONAL],
        [SECURITY, OURS, CACHE, TOOLBAR, CONDITIONAL],
        [OURS],
        [BY_MODULE, CONDITIONAL],
    ],
)
def test_a_right_order_is_no_reason_to_complain(middleware: list[str]) -> None:
    assert found(middleware) == {}


@pytest.mark.parametrize(
    ("middleware", "number", "said"),
    [
        ([GZIP, OURS], "W001", "GZipMiddleware"),
        ([OURS, GZIP], "W001", "GZipMiddleware"),
        ([OURS, SECURITY, OURS], "W002", "2 times"),
        ([OURS, BY_MODULE], "W002", "2 times"),
        ([SECURITY, CONDITIONAL, OURS], "W003", "nothing is ever answered 304"),
        ([TOOLBAR, OURS], "W004", "toolbar"),
        ([CACHE, OURS], "W005", "stores compressed bodies"),
        ([CACHE, BY_MODULE], "W005", "stores compressed bodies"),
    ],
)
def test_a_wrong_order_is_said_with_what_to_write(middleware: list[str], number: str, said: str) -> None:
    messages = found(middleware)

    assert list(messages) == [number]
    assert said in messages[number].msg
    assert messages[number].hint


@pytest.mark.parametrize(
    ("codings", "hint"),
    [
        (["brotli"], "'br'"),
        (["gzip", "Zstd"], "'zstd'"),
        (["zstandard"], "'zstd'"),
        (["deflate"], "zstd, br, gzip"),
        ([""], "zstd, br, gzip"),
    ],
)
def test_an_unknown_coding_is_named_with_what_may_be_meant(codings: list[str], hint: str) -> None:
    messages = found([OURS], CODINGS=codings)
    assert list(messages) == ["W006"]
    assert hint in messages["W006"].hint


@pytest.mark.parametrize("pattern", ["html", "text/html; charset=utf-8", "text /html", "a/b/c", ""])
def test_a_type_that_is_none_is_named(pattern: str) -> None:
    messages = found([OURS], COMPRESS_TYPES=["text/*", pattern])
    assert list(messages) == ["W007"]
    assert repr(pattern) in messages["W007"].msg


def test_being_switched_off_is_told_before_a_deployment() -> None:
    assert found([OURS], COMPRESSION_ENABLED=False) == {}
    assert found([SECURITY], deploy=True, COMPRESSION_ENABLED=False) == {}
    assert list(found([OURS], deploy=True, COMPRESSION_ENABLED=False)) == ["W008"]


@pytest.mark.parametrize(
    ("option", "value"), [("BR_LEVEL", 11), ("ZSTD_LEVEL", 19), ("GZIP_LEVEL", 0), ("PADDING_BYTES", 300)]
)
def test_a_level_that_would_hold_requests_up_is_refused(option: str, value: int) -> None:
    with override_settings(PERFSUITE={"RESPONSES": {option: value}}):
        messages = checks.run_checks(tags=["perfsuite"])
    assert [m.id for m in messages if option in m.msg] == ["perfsuite.E003"]
