"""What a view says of its own responses: ``@cache_response`` and ``@never_cache_response``, for views of both kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, TypeVar, cast

import django
from asgiref.sync import iscoroutinefunction
from django.core.exceptions import ImproperlyConfigured
from django.views.decorators.http import condition

from perfsuite.caching import templates
from perfsuite.caching.tags import checked_tags
from perfsuite.responses.exchange import EVERYONE, TENANT, USER, Exchange, ViewOptions
from perfsuite.responses.inner import ATTRIBUTE
from perfsuite.responses.making import COOKIE_FIELD
from perfsuite.responses.store import faults

V = TypeVar("V", bound=Callable[..., Any])


def cache_response(
    timeout: float | None = None,
    *,
    tags: Iterable[str] | Callable[..., Iterable[str]] = (),
    per: str = EVERYONE,
    vary_on: Sequence[str] = (),
    stale_for: float | None = None,
    etag: Callable[..., str | None] | None = None,
    last_modified: Callable[..., Any] | None = None,
) -> Callable[[V], V]:
    """Keep a view's responses ``timeout`` seconds long in this site's cache (None: as their own fields say).

    ``per`` says whose they are: "everyone"; "tenant", which needs TenantMiddleware outside of the cache; or "user": of one user
    in one session, dropped at logout and when the user is saved. ``tags`` are templates with the names of the view's
    arguments, ``"page:{slug}"`` or ``"tenant:{tenant_id}"``, or a callable that gets the request and the arguments. ``vary_on``
    names header fields, and cookies as ``"cookie:theme"``. For ``stale_for`` seconds more a response is served while it is
    made anew, or when that fails. ``etag`` and ``last_modified`` are as in Django's ``condition``: a client that has what they
    say gets a 304 without the view. What belongs to somebody is still not stored for everyone.
    """
    if callable(timeout):
        raise TypeError(
            "@cache_response takes its options in parentheses; write @cache_response() or @cache_response(60)."
        )
    if per not in (EVERYONE, TENANT, USER):
        raise ImproperlyConfigured(f'per is {per!r}; write "everyone", "tenant" or "user".')
    if isinstance(vary_on, str):
        raise TypeError(f"vary_on is {vary_on!r}; write a list of strings, such as [{vary_on!r}].")
    cookies = tuple([name[len(COOKIE_FIELD) :] for name in vary_on if name.startswith(COOKIE_FIELD)])
    options = ViewOptions(
        timeout=timeout,
        tags=tags if callable(tags) else _checked(tags),
        per=per,
        fields=tuple([name for name in vary_on if not name.startswith(COOKIE_FIELD)]),
        cookies=cookies,
        stale_for=stale_for,
    )

    def decorate(view: V) -> V:
        asked: Any = view
        if etag is not None or last_modified is not None:
            if iscoroutinefunction(view) and django.VERSION < (5, 0):
                raise ImproperlyConfigured(
                    "etag and last_modified of an async view need Django 5.0; leave them out."
                )
            asked = condition(etag, last_modified)(view)
        return _wrapped(
            view, asked, lambda exchange, args, kwargs: _declare(exchange, options, args, kwargs), options
        )

    return decorate


def never_cache_response(view: V) -> V:
    """Never keep a view's responses in this site's cache. What browsers and proxies may keep, its own Cache-Control says."""

    def forbid(exchange: Exchange, args: Any, kwargs: Any) -> None:
        exchange.never = True

    return _wrapped(view, view, forbid, None)


def _wrapped(view: V, run: Any, tell: Callable[[Exchange, Any, Any], None], options: ViewOptions | None) -> V:
    """Return a view that tells the exchange of its request, if there is one, and then runs."""
    if iscoroutinefunction(view):

        @wraps(view)
        async def awrapped(request: Any, *args: Any, **kwargs: Any) -> Any:
            _tell(request, tell, args, kwargs)
            return await run(request, *args, **kwargs)

        wrapped: Any = awrapped
    else:

        @wraps(view)
        def wrapped(request: Any, *args: Any, **kwargs: Any) -> Any:
            _tell(request, tell, args, kwargs)
            return run(request, *args, **kwargs)

    setattr(wrapped, ATTRIBUTE, options)
    return cast(V, wrapped)


def _tell(request: Any, tell: Callable[[Exchange, Any, Any], None], args: Any, kwargs: Any) -> None:
    exchange = getattr(request, "perfsuite", None)
    if isinstance(exchange, Exchange):
        tell(exchange, args, kwargs)


def _declare(exchange: Exchange, options: ViewOptions, args: Any, kwargs: Any) -> None:
    exchange.options = options
    try:
        exchange.tags.update(_tags(exchange, options, args, kwargs))
    except Exception as exc:  # noqa: BLE001 - a page without its tags would never be outdated
        exchange.never = True
        faults.add(exc, "Filling in the tags of a view")


def _tags(exchange: Exchange, options: ViewOptions, args: Any, kwargs: Any) -> Iterable[str]:
    if callable(options.tags):
        return checked_tags(options.tags(exchange.request, *args, **kwargs))
    if not options.tags:
        return ()
    lookup = templates.from_arguments({"tenant_id": _or_missing(exchange.tenant), **kwargs})
    return [templates.fill(tag, lookup) for tag in options.tags]


def _or_missing(tenant: Any) -> Any:
    return templates.MISSING if tenant is None else tenant


def _checked(tags: Iterable[str]) -> tuple[str, ...]:
    found = checked_tags(tags)
    for tag in found:
        templates.parts(tag)
    return found
