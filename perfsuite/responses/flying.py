"""One view for all who ask the same at once, in this process and, with a store that processes share, in all of them."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings

from perfsuite.responses import answering, deduplication, looking, making, pages
from perfsuite.responses.deduplication import leading, stored, useless
from perfsuite.responses.exchange import USER, Exchange
from perfsuite.responses.forwarding import forward
from perfsuite.responses.pages import FRESH_UNTIL, Page
from perfsuite.responses.replying import from_page, may_have
from perfsuite.responses.steps import ASK, PAUSE, WAIT, Steps

# How often another process is asked whether its page is there.
POLL_S = (0.01, 0.1)


def flight_key_of(exchange: Exchange, is_known: bool) -> str:
    """Return whom a request may wait for: anybody who asks for the same, where answers were everyone's before; else only those
    who are the same client as far as can be seen.
    """
    meta, key = exchange.request.META, exchange.key
    if is_known or key in stored:
        return key
    cookie = meta.get("HTTP_COOKIE", "")
    if settings.SESSION_COOKIE_NAME not in cookie and "HTTP_AUTHORIZATION" not in meta:
        return key
    return f"{key} {cookie} {meta.get('HTTP_AUTHORIZATION', '')}"


def goes_alone(exchange: Exchange, flight_key: str, has_page: bool) -> bool:
    """Tell whether a request runs its view without looking whether others do."""
    meta = exchange.request.META
    if exchange.request.method != "GET" or flight_key in leading.get():
        return True
    if "no-store" in meta.get("HTTP_CACHE_CONTROL", "").lower():
        return True
    if flight_key in useless:
        return True
    return not has_page and ("HTTP_RANGE" in meta or any(name in meta for name in answering.CONDITIONS))


def fly(exchange: Exchange, key: str, page: Page | None) -> Steps:
    """Run the view for all who want the same, or wait for whoever does."""
    wait_s = exchange.config.options.wait_s
    patience = time.monotonic() + wait_s
    flights = deduplication.flights
    has_waited = False
    while True:
        flight: Any
        flight, leads = flights.join(key)
        if leads:
            return (yield from _lead(exchange, key, flight, page, patience))
        result = yield WAIT, (flight, max(0.0, patience - time.monotonic()))
        if result is True:
            response = yield from _collapsed(exchange)
            if response is not None:
                return response
        if result is not None or has_waited:
            return (yield from forward(exchange, page))
        if time.monotonic() >= patience:
            exchange.never = (
                True  # the one who leads is still at it; two would only take turns in overwriting
            )
            exchange.reason = "waited"
            return (yield from forward(exchange, page))
        has_waited = True


def _lead(exchange: Exchange, key: str, flight: Any, page: Page | None, patience: float) -> Steps:
    flights = deduplication.flights
    token = leading.set((*leading.get(), key))
    lock = ""
    try:
        if exchange.store.is_shared and key == exchange.key:
            lock = yield from _turn(exchange, patience)
        # Another flight, or another process, may have landed since the look into the store.
        response = yield from _collapsed(exchange, page)
        if response is not None:
            deduplication.landed(flight, True)
            return response
        response = yield from forward(exchange, page)
        if exchange.shared:
            stored.add(exchange.key, 3_600.0)
            deduplication.landed(flight, True)
        elif response.status_code not in exchange.config.policy.error_statuses and exchange.outcome == "miss":
            if making.options_of(exchange).per != USER and not response.streaming:
                useless.add(key, exchange.config.options.hit_for_miss_s)
                if lock and page is None:
                    yield from looking.put_useless(exchange)
            deduplication.landed(flight, False)
        return response
    finally:
        leading.reset(token)
        flights.abandon(key, flight)
        if lock:
            yield from _give_back(exchange, lock)


def _give_back(exchange: Exchange, lock: str) -> Steps:
    store, key = exchange.store, exchange.key
    yield ASK, lambda: store.unlock(key, lock)


def _turn(exchange: Exchange, patience: float) -> Steps:
    """Wait until this process may run the view, or another's page is there; return the lock, "" without one."""
    store, key, lock_s = exchange.store, exchange.key, exchange.config.options.lock_s
    pause_s = POLL_S[0]
    while True:
        lock = yield ASK, lambda: store.lock(key, lock_s)
        if lock is not None:
            return lock
        held = yield from looking.read(exchange, key)
        found = yield from looking.find(exchange, key, held)
        if (
            held == looking.USELESS
            or (found is not None and time.time() < found[1][FRESH_UNTIL])
            or time.monotonic() >= patience
        ):
            return ""
        yield PAUSE, pause_s
        pause_s = min(POLL_S[1], pause_s * 1.5)


def _collapsed(exchange: Exchange, older: Page | None = None) -> Steps:
    """Answer with the page that somebody has made meanwhile; None if there is none that is fresh."""
    found = yield from looking.find(exchange, exchange.key)
    if found is None or time.time() >= found[1][FRESH_UNTIL] or not may_have(exchange.request, found[1]):
        return None
    if older is not None and found[1][pages.ANSWERED_AT] <= older[pages.ANSWERED_AT]:
        return None
    return (yield from from_page(exchange, found[0], found[1], "collapsed"))
