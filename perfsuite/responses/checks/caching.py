"""System checks of the response cache: where its middleware stands among the others, and options that cannot work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks

from perfsuite.caching.conf import CachingSettings
from perfsuite.conf import middleware_places
from perfsuite.responses import keys
from perfsuite.responses.conf import ResponsesSettings
from perfsuite.responses.config import OURS, position

Messages = list[checks.CheckMessage]

PATH = "perfsuite.responses.ResponseCacheMiddleware"
# What a page depends on only if its view has asked for it, so that a hit needs none of them.
INSIDE = ("SessionMiddleware", "AuthenticationMiddleware", "CsrfViewMiddleware", "MessageMiddleware")
DJANGOS = ("UpdateCacheMiddleware", "FetchFromCacheMiddleware", "CacheMiddleware")
DUMMY = "django.core.cache.backends.dummy.DummyCache"


@checks.register("perfsuite")
def check_cache_order(**kwargs: Any) -> Messages:
    """Report wrong orders (W009 to W013, W015, W016) and Django's cache beside ours (W014)."""
    place = position(OURS)
    if place is None:
        return []
    return [
        *_check_twice(),
        *_check_inside(place),
        *_check_outside(place),
        *_check_djangos_cache(),
        *_check_bodies(place),
    ]


def _check_twice() -> Iterator[checks.CheckMessage]:
    places = middleware_places("perfsuite.responses", OURS)
    if len(places) > 1:
        yield checks.Warning(
            f"ResponseCacheMiddleware is in MIDDLEWARE {len(places)} times; each page is looked up and stored as often.",
            hint=f"Keep one entry, {PATH!r}.",
            id="perfsuite_responses.W009",
        )


def _check_inside(ours: int) -> Iterator[checks.CheckMessage]:
    for name in INSIDE:
        place = position(name)
        if place is not None and place < ours:
            yield checks.Warning(
                f"{name} is before ResponseCacheMiddleware, so each hit does its work for nothing, and what it adds to a "
                "response is not seen when that is judged.",
                hint=f"Put {PATH!r} before {settings.MIDDLEWARE[place]!r}.",
                id="perfsuite_responses.W010",
            )


def _check_outside(ours: int) -> Iterator[checks.CheckMessage]:
    place = position("SecurityMiddleware")
    if place is not None and place > ours:
        yield checks.Warning(
            "SecurityMiddleware is after ResponseCacheMiddleware, so a hit is not redirected to https, and its security fields "
            "are those of the day when it was stored.",
            hint=f"Put {settings.MIDDLEWARE[place]!r} before {PATH!r}.",
            id="perfsuite_responses.W011",
        )
    place = position("TenantMiddleware")
    if place is not None and place > ours:
        yield checks.Warning(
            "TenantMiddleware is after ResponseCacheMiddleware, which cannot tell tenants apart then, and stores no page but "
            "those of single users.",
            hint=f"Put {settings.MIDDLEWARE[place]!r} before {PATH!r}.",
            id="perfsuite_responses.W012",
        )
    place = position("RequestMetricsMiddleware")
    if place is not None and place > ours:
        yield checks.Warning(
            "RequestMetricsMiddleware is after ResponseCacheMiddleware, so requests that are answered from the cache are not "
            "measured.",
            hint=f"Put {settings.MIDDLEWARE[place]!r} first.",
            id="perfsuite_responses.W013",
        )


def _check_djangos_cache() -> Iterator[checks.CheckMessage]:
    for name in DJANGOS:
        place = position(name)
        if place is not None:
            yield checks.Warning(
                f"Django's {name} is in MIDDLEWARE beside ResponseCacheMiddleware, so pages are stored twice, and what is "
                "invalidated here is still answered from there.",
                hint=f"Remove {settings.MIDDLEWARE[place]!r}; what CACHE_MIDDLEWARE_SECONDS was, is DEFAULT_TIMEOUT_S in "
                "PERFSUITE['RESPONSES'].",
                id="perfsuite_responses.W014",
            )


def _check_bodies(ours: int) -> Iterator[checks.CheckMessage]:
    place = position("ConditionalGetMiddleware")
    if place is not None and place < ours and not ResponsesSettings.get().etags:
        yield checks.Warning(
            "ConditionalGetMiddleware is before ResponseCacheMiddleware, whose ETAGS is false, so each hit gets its ETag "
            "computed anew.",
            hint=f"Put {PATH!r} before {settings.MIDDLEWARE[place]!r}, or remove ETAGS from PERFSUITE['RESPONSES'].",
            id="perfsuite_responses.W015",
        )
    place = position("GZipMiddleware")
    if place is not None and position("CompressionMiddleware") is None:  # else W001 says it
        consequence = (
            "each hit is compressed anew"
            if place < ours
            else "compressed bodies are stored, one for each Accept-Encoding that a client sends, and each runs the view anew"
        )
        yield checks.Warning(
            f"GZipMiddleware is {'before' if place < ours else 'after'} ResponseCacheMiddleware, so {consequence}.",
            hint="Have 'perfsuite.responses.CompressionMiddleware' in its place, before ResponseCacheMiddleware.",
            id="perfsuite_responses.W016",
        )


@checks.register("perfsuite")
def check_sessions(**kwargs: Any) -> Messages:
    """Report that every request of a visitor with a session changes it (W017)."""
    if not getattr(settings, "SESSION_SAVE_EVERY_REQUEST", False):
        return []
    if position(OURS) is None or position("SessionMiddleware") is None:
        return []
    message = (
        "SESSION_SAVE_EVERY_REQUEST is on, so each response to a visitor with a session sets a cookie and is not stored, and "
        "a hit does not prolong the session."
    )
    hint = "Remove SESSION_SAVE_EVERY_REQUEST; set SESSION_COOKIE_AGE to as long as a session is to live."
    return [checks.Warning(message, hint=hint, id="perfsuite_responses.W017")]


@checks.register("perfsuite")
def check_cache_options(**kwargs: Any) -> Messages:
    """Report an ALIAS that is not there (E001) or keeps nothing (W018), and an unknown QUERY (W019)."""
    if position(OURS) is None:
        return []
    found: Messages = []
    options = ResponsesSettings.get()
    alias, rules = options.alias, (keys.AS_IS, keys.SORTED, keys.ALLOWED)
    if alias not in settings.CACHES:
        message = f"PERFSUITE['RESPONSES']['ALIAS'] is {alias!r}, which is not in CACHES; nothing is stored."
        hint = f"Write one of {', '.join(sorted(settings.CACHES))}."
        found.append(checks.Error(message, hint=hint, id="perfsuite_responses.E001"))
    elif settings.CACHES[alias].get("BACKEND") == DUMMY:
        message = f"PERFSUITE['RESPONSES']['ALIAS'] is {alias!r}, a DummyCache, which keeps nothing."
        hint = "Name another cache, or remove ResponseCacheMiddleware from MIDDLEWARE where nothing is to be kept."
        found.append(checks.Warning(message, hint=hint, id="perfsuite_responses.W018"))
    if options.query not in rules:
        message = f"PERFSUITE['RESPONSES']['QUERY'] is {options.query!r}, which is no rule; query strings count as they are."
        hint = f"Write one of {', '.join(map(repr, rules))}."
        found.append(checks.Warning(message, hint=hint, id="perfsuite_responses.W019"))
    return found


@checks.register("perfsuite", deploy=True)
def check_cache_enabled(**kwargs: Any) -> Messages:
    """Report that the middleware is there and switched off (W020)."""
    if position(OURS) is None or (ResponsesSettings.get().cache_enabled and CachingSettings.get().enabled):
        return []
    message = (
        "CACHE_ENABLED is false: ResponseCacheMiddleware stores nothing, and each request runs its view."
    )
    hint = (
        "Remove CACHE_ENABLED from the environment and from PERFSUITE['RESPONSES'], and ENABLED from PERFSUITE['CACHING'], once "
        "the reason for it is gone."
    )
    return [checks.Warning(message, hint=hint, id="perfsuite_responses.W020")]
