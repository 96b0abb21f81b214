"""One view for all who ask the same at once, in this process and, with a store that processes share, in all of them."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings

from perfsuite.responses import answering, deduplication, keys, looking, making, pages
from perfsuite.responses.deduplication import leading, stored, useless
from perfsuite.responses.exchange import USER, Exchange
from perfsuite.responses.forwarding import forward
from perfsuite.responses.pages import FRESH_UNTIL, Page
from perfsuite.responses.replying import from_page, may_have
from perfsuite.responses.steps import ASK, PAUSE, WAIT, Steps

# How often another process is asked whether its page is there.
CREDENTIALS = ("HTTP_COOKIE", "HTTP_AUTHORIZATION", "REMOTE_USER")
POLL_S = (0.01, 0.1)


def flight_key_of(exchange: Exchange, is_known: bool) -> str:
    """Return whom a request may wait for: anybody who asks for the same, where that was everyone's before or nothing tells
    clients apart; else only those who are the same client as far as can be seen.
    """
    meta, key = exchange.request.META, exchange.key
    cookie = meta.get("HTTP_COOKIE", "")
    has_credentials = "HTTP_AUTHORIZATION" in meta or "REMOTE_USER" in meta
    if not has_credentials and (not cookie or settings.SESSION_COOKIE_NAME not in cookie):
        return key
    # Digested: nothing of a client's stays in memory.
    own = keys.variant_key(key, [(name, meta.get(name)) for name in CREDENTIALS])
    if own in useless:
        return own
    return key if is_known or (key in stored and not has_credentials) else own


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
                yield from _remember_useless(exchange, key, bool(lock) and page is None)
            deduplication.landed(flight, False)
        elif exchange.answered:
            deduplication.landed(flight, False)  # who waited has the same session, and finds the same page
        return response
    finally:
        leading.reset(token)
        flights.abandon(key, flight)
        if lock:
            yield from _give_back(exchange, lock)


def _remember_useless(exchange: Exchange, key: str, tells_others: bool) -> Steps:
    """Have nobody wait for answers like this one for a while; of a client with a session, only that client."""
    cookie = exchange.request.META.get("HTTP_COOKIE", "")
    if key == exchange.key and settings.SESSION_COOKIE_NAME in cookie:
        key, tells_others = (
            keys.variant_key(key, [(name, exchange.request.META.get(name)) for name in CREDENTIALS]),
            False,
        )
    else:
        stored.discard(key)
    useless.add(key, exchange.config.options.hit_for_miss_s)
    if tells_others:
        yield from looking.put_useless(exchange)


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
