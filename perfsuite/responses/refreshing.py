"""Making a stale page anew while it is served: once at a time, in this process and, with a shared store, in all of them.

The view gets a request like the one that found the page stale, without what makes that one particular: no conditions, no
credentials, and of the cookies only those that the page may depend on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http.cookies import SimpleCookie
from io import BytesIO
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from perfsuite.caching import refresh
from perfsuite.metrics.request import suppress
from perfsuite.responses import deduplication, looking, pages
from perfsuite.responses.deduplication import elsewhere, failed, leading, needs_no_refresh, refresh_key
from perfsuite.responses.exchange import Exchange
from perfsuite.responses.forwarding import forward
from perfsuite.responses.making import COOKIE_FIELD
from perfsuite.responses.pages import Page
from perfsuite.responses.steps import ASK, Steps, atake, take

logger = logging.getLogger("perfsuite.responses")

THROTTLE_S = 5.0
# Another process is asked again whether it still makes a page after this long.
ASK_AGAIN_S = 0.5
# Nobody waits for a page that is made anew, so its lock may be longer than LOCK_S; a process that died holds it for so long.
REFRESH_LOCK_S = 30.0
MAX_TASKS = 100
_LEFT_OUT = frozenset(
    {
        "HTTP_AUTHORIZATION", "HTTP_CACHE_CONTROL", "HTTP_COOKIE", "HTTP_IF_MATCH", "HTTP_IF_MODIFIED_SINCE",
        "HTTP_IF_NONE_MATCH", "HTTP_IF_RANGE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_PRAGMA", "HTTP_RANGE", "REMOTE_USER",
        "CONTENT_LENGTH", "CONTENT_TYPE",
    }
)  # fmt: skip
_tasks: set[asyncio.Task[None]] = set()


def refresh_later(
    exchange: Exchange, key: str, page: Page, get_response: Callable[[Any], Any], is_async: bool
) -> None:
    """Have a page made anew soon, unless that is under way or failed a moment ago. Never raises."""
    try:
        if needs_no_refresh(key):
            return
        flight: Any
        flights = deduplication.flights
        flight, leads = flights.join(refresh_key(key))
        if not leads:
            return
        started = False
        try:
            request = copy_of(exchange.request, page, exchange.user is not None)
            if request is not None:
                again = _exchange_like(exchange, request)
                started = _start(again, key, page, flight, get_response, is_async)
        finally:
            if not started:
                flights.abandon(refresh_key(key), flight)
    except Exception:
        logger.exception("A stale page could not be made anew; it is served on.")


def _start(
    exchange: Exchange, key: str, page: Page, flight: Any, get_response: Callable[[Any], Any], is_async: bool
) -> bool:
    def end() -> None:
        deduplication.flights.abandon(refresh_key(key), flight)

    if not is_async:

        def work() -> None:
            try:
                with suppress():
                    take(_again(exchange, key, page), get_response, exchange.request)
            except Exception:
                failed.add(key, THROTTLE_S)
                raise
            finally:
                end()

        return refresh.background.do(work)
    if len(_tasks) >= MAX_TASKS:
        return False

    async def awork() -> None:
        try:
            with suppress():
                await atake(
                    _again(exchange, key, page), get_response, exchange.request, exchange.store.is_local
                )
        except Exception:
            failed.add(key, THROTTLE_S)
            logger.exception("A stale page could not be made anew; it is served on.")

    task = asyncio.get_running_loop().create_task(awork())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    task.add_done_callback(lambda _: end())
    return True


def _again(exchange: Exchange, key: str, page: Page) -> Steps:
    """Run the view and store what it answers, if no other process is at it or has just done so."""
    store = exchange.store
    leading.set((*leading.get(), exchange.key))
    lock: Any = "alone"
    place = refresh_key(key)
    if store.is_shared:
        lock = yield ASK, lambda: store.lock(place, REFRESH_LOCK_S)
        if lock is None:
            elsewhere.add(key, ASK_AGAIN_S)
            return
    try:
        exchange.begin(store)
        exchange.refreshing = True
        held = yield from looking.read(exchange, key)
        if pages.is_page(held) and held[pages.ANSWERED_AT] > page[pages.ANSWERED_AT]:
            return
        whole = yield from looking.with_body(exchange, key, page)
        response = yield from forward(exchange, whole)
        if response.streaming:
            response.close()
        if not exchange.shared and not exchange.user_key:
            failed.add(key, THROTTLE_S)
        response.close()
    finally:
        if store.is_shared and lock:
            token = str(lock)
            yield ASK, lambda: store.unlock(place, token)


def _exchange_like(exchange: Exchange, request: HttpRequest) -> Exchange:
    made = Exchange(request, exchange.config)
    parts = (exchange.scheme, exchange.host, exchange.path, exchange.query)
    made.place(exchange.key, parts, exchange.tenant, exchange.language)
    made.store = exchange.store
    made.reason = made.forwarded = "stale"
    return made


def copy_of(request: HttpRequest, page: Page, is_users: bool) -> HttpRequest | None:
    """Return a request for a page to be made anew with; None for a request of an unknown making."""
    environ, scope = getattr(request, "environ", None), getattr(request, "scope", None)
    keeps = _cookies_kept(request, page, is_users)
    if isinstance(environ, dict):
        made = {name: value for name, value in environ.items() if name not in _LEFT_OUT}
        made.update({"REQUEST_METHOD": "GET", "wsgi.input": BytesIO()})
        if keeps:
            made["HTTP_COOKIE"] = keeps
        return type(request)(made)  # type: ignore[call-arg]
    if isinstance(scope, dict):
        headers = [
            (name, value)
            for name, value in scope.get("headers", [])
            if "HTTP_" + name.decode("latin-1").upper().replace("-", "_") not in _LEFT_OUT
            and name.lower() not in (b"content-length", b"content-type")
        ]
        if keeps:
            headers.append((b"cookie", keeps.encode("latin-1", "ignore")))
        return type(request)({**scope, "method": "GET", "headers": headers}, BytesIO())  # type: ignore[call-arg]
    return None


def _cookies_kept(request: HttpRequest, page: Page, is_users: bool) -> str:
    header = str(request.META.get("HTTP_COOKIE", ""))
    if is_users or not header:
        return header
    names = {
        name[len(COOKIE_FIELD) :] for name, _ in page[pages.VARYING] if name.startswith(COOKIE_FIELD)
    } | {settings.LANGUAGE_COOKIE_NAME}
    cookies: Any = request.COOKIES
    get = getattr(cookies, "plain", cookies.get)
    kept: Any = SimpleCookie()
    for name in names:
        value = get(name)
        if value is not None:
            kept[name] = value
    return "; ".join(f"{morsel.key}={morsel.coded_value}" for morsel in kept.values())
