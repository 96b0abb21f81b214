"""How a GET or HEAD is served, from the look into the store to the answer; written once for WSGI and ASGI (steps.py)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.http.response import HttpResponseBase

from perfsuite.responses import answering, looking, pages
from perfsuite.responses.deduplication import useless
from perfsuite.responses.exchange import Exchange
from perfsuite.responses.flying import flight_key_of, fly, goes_alone
from perfsuite.responses.forwarding import complete, forward, is_done, view
from perfsuite.responses.pages import Page
from perfsuite.responses.policy import Action, Decision, decide
from perfsuite.responses.replying import from_page, may_have
from perfsuite.responses.steps import Steps
from perfsuite.responses.store import faults

MISSED = Decision(Action.MISS, "miss")
Refresh = Callable[[Exchange, str, Page], None]


def safely(exchange: Exchange, steps: Steps) -> Steps:
    """Take steps that may fail in a way nobody has thought of: then the view's own response is the answer."""
    try:
        return (yield from steps)
    except Exception as exc:
        if exc is exchange.failure:
            raise
        faults.add(exc, "Serving from the cache")
        exchange.outcome, exchange.reason = "bypassed", "failure"
        if exchange.response is not None:
            return exchange.response
        return (yield from view(exchange))


# Hot path: benchmarks/responses.py
def runs_at_once(exchange: Exchange) -> bool:
    """Tell whether a request for which there is no page has nothing to do but to run its view; True says why in the exchange."""
    if "HTTP_CACHE_CONTROL" in exchange.request.META:
        return False
    exchange.reason = MISSED.reason
    return goes_alone(exchange, flight_key_of(exchange, False), False)


def rest(exchange: Exchange, response: HttpResponseBase) -> Steps | None:
    """Return the steps that are left for the response of a view that ran at once; None, as a rule, when there are none."""
    try:
        return None if is_done(exchange, response) else safely(exchange, complete(exchange, response))
    except Exception as exc:  # noqa: BLE001 - the response is there
        faults.add(exc, "Serving from the cache")
        exchange.outcome, exchange.reason = "bypassed", "failure"
        return None


def serve(exchange: Exchange, refresh: Refresh, held: Any = None) -> Steps:
    """Serve a request whose exchange has begun. ``held`` is what its key holds, if that is known already."""
    found = yield from _look(exchange, held)
    key, page = found or (exchange.key, None)
    decision = MISSED
    if page is not None or "HTTP_CACHE_CONTROL" in exchange.request.META:
        known = None if page is None else pages.stored_of(page)
        decision = decide(exchange.as_policy_sees_it(), known, time.time(), exchange.config.policy)
    if decision.action is Action.GATEWAY_TIMEOUT:
        return _no_gateway(exchange)
    if page is not None and decision.action in (Action.HIT, Action.STALE):
        is_stale = decision.action is Action.STALE
        response = yield from from_page(exchange, key, page, "stale" if is_stale else "hit", decision.reason)
        if response is not None:
            if decision.refresh:
                refresh(exchange, key, page)
            return response
        page = None
    if page is not None and decision.action is Action.REVALIDATE:
        exchange.forwarded = decision.reason
        page = yield from looking.with_body(exchange, key, page)
    exchange.reason = exchange.reason or decision.reason
    flight_key = flight_key_of(exchange, page is not None)
    if goes_alone(exchange, flight_key, page is not None):
        return (yield from forward(exchange, page))
    return (yield from fly(exchange, flight_key, page))


def _look(exchange: Exchange, held: Any) -> Steps:
    """Return the key and the page that the request may have, or None; note what other processes say of the key."""
    if held is None:
        held = yield from looking.read(exchange, exchange.key)
    if held == looking.USELESS:
        useless.add(exchange.key, exchange.config.options.hit_for_miss_s)
    if not (pages.is_index(held) or pages.is_page(held)):
        return None
    found = yield from looking.find(exchange, exchange.key, held)
    if found is not None and not may_have(exchange.request, found[1]):
        exchange.reason, exchange.forwarded = "authorization", "request"
        return None
    return found


def _no_gateway(exchange: Exchange) -> HttpResponseBase:
    exchange.outcome, exchange.reason = "bypassed", "only-if-cached"
    # Without Cache-Status: this was neither forwarded nor made of what is stored (RFC 9211 2).
    return answering.gateway_timeout()
