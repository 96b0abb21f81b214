"""System checks of compression: where its middleware stands among the others, and options that cannot be meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks

from perfsuite.conf import middleware_places
from perfsuite.responses import codings
from perfsuite.responses.conf import ResponsesSettings

Messages = list[checks.CheckMessage]

PATH = "perfsuite.responses.CompressionMiddleware"
OTHERS = frozenset(
    {
        "django.middleware.gzip.GZipMiddleware",
        "compression_middleware.middleware.CompressionMiddleware",
        "django_brotli.middleware.BrotliMiddleware",
        "django_http_compression.middleware.HttpCompressionMiddleware",
    }
)
CONDITIONAL = "django.middleware.http.ConditionalGetMiddleware"
DEBUG_TOOLBAR = "debug_toolbar.middleware.DebugToolbarMiddleware"


@checks.register("perfsuite")
def check_compression_order(**kwargs: Any) -> Messages:
    """Report another middleware that compresses (W001) and wrong orders (W002 to W005)."""
    places = middleware_places("perfsuite.responses", "CompressionMiddleware")
    if not places:
        return []
    paths = [str(path) for path in settings.MIDDLEWARE or ()]
    return [
        *_check_others(paths),
        *_check_twice(places),
        *_check_order(places[0], paths),
        *_check_cache(places[0]),
    ]


def _check_others(paths: list[str]) -> Iterator[checks.CheckMessage]:
    for path in paths:
        if path in OTHERS:
            yield checks.Warning(
                f"{path!r} is in MIDDLEWARE beside CompressionMiddleware; what the inner one compresses, or leaves alone, the "
                "other does not see as it was.",
                hint=f"Remove {path!r}; CompressionMiddleware sends gzip, too.",
                id="perfsuite_responses.W001",
            )


def _check_twice(places: list[int]) -> Iterator[checks.CheckMessage]:
    if len(places) > 1:
        yield checks.Warning(
            f"CompressionMiddleware is in MIDDLEWARE {len(places)} times; only the innermost one does something.",
            hint=f"Keep only the first entry, {PATH!r}.",
            id="perfsuite_responses.W002",
        )


def _check_order(place: int, paths: list[str]) -> Iterator[checks.CheckMessage]:
    if CONDITIONAL in paths[:place]:
        yield checks.Warning(
            "ConditionalGetMiddleware is before CompressionMiddleware, so it makes ETags of compressed bodies: another one for "
            "each coding and, because of the random padding, for each answer; so nothing is ever answered 304.",
            hint=f"Put {PATH!r} before {CONDITIONAL!r}.",
            id="perfsuite_responses.W003",
        )
    if DEBUG_TOOLBAR in paths[:place]:
        yield checks.Warning(
            "DebugToolbarMiddleware is before CompressionMiddleware, so the toolbar cannot be put into compressed pages.",
            hint=f"Put {PATH!r} before {DEBUG_TOOLBAR!r}.",
            id="perfsuite_responses.W004",
        )


def _check_cache(place: int) -> Iterator[checks.CheckMessage]:
    if any(cache < place for cache in middleware_places("perfsuite.responses", "ResponseCacheMiddleware")):
        yield checks.Warning(
            "ResponseCacheMiddleware is before CompressionMiddleware, so it stores compressed bodies, each coding as a page of "
            "its own that runs the view anew.",
            hint=f"Put {PATH!r} before 'perfsuite.responses.ResponseCacheMiddleware', which stores what it compresses beside "
            "the page.",
            id="perfsuite_responses.W005",
        )


@checks.register("perfsuite")
def check_codings(**kwargs: Any) -> Messages:
    """Report CODINGS (W006) and COMPRESS_TYPES (W007) that cannot be meant."""
    options = ResponsesSettings.get()
    found: Messages = []
    for name in options.codings:
        if name not in codings.NAMES:
            close = difflib.get_close_matches(name.lower(), [*codings.NAMES, "brotli", "zstandard"], 1, 0.5)
            meant = {"brotli": "br", "zstandard": "zstd"}.get(close[0], close[0]) if close else ""
            message = (
                f"PERFSUITE['RESPONSES']['CODINGS'] has {name!r}, which is no coding that there is here."
            )
            hint = f"Did you mean {meant!r}?" if meant else f"Known are: {', '.join(codings.NAMES)}."
            found.append(checks.Warning(message, hint=hint, id="perfsuite_responses.W006"))
    for pattern in options.compress_types:
        if pattern.count("/") != 1 or ";" in pattern or any(c.isspace() for c in pattern):
            message = (
                f"PERFSUITE['RESPONSES']['COMPRESS_TYPES'] has {pattern!r}, which no content type is like."
            )
            hint = "Write a type and a subtype, such as 'application/json' or 'text/*'."
            found.append(checks.Warning(message, hint=hint, id="perfsuite_responses.W007"))
    return found


@checks.register("perfsuite", deploy=True)
def check_compression_enabled(**kwargs: Any) -> Messages:
    """Report that the middleware is there and switched off (W008)."""
    if (
        not middleware_places("perfsuite.responses", "CompressionMiddleware")
        or ResponsesSettings.get().compression_enabled
    ):
        return []
    message = "COMPRESSION_ENABLED is false: every body is sent as it is."
    hint = "Remove COMPRESSION_ENABLED from the environment and from PERFSUITE['RESPONSES'] once the reason for it is gone."
    return [checks.Warning(message, hint=hint, id="perfsuite_responses.W008")]
