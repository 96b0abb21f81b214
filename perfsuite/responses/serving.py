"""How a GET or HEAD is served, from the look into the store to the answer; written once for WSGI and ASGI (steps.py)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from perfsuite.caching.collected import collecting
from perfsuite.responses import answering, deduplication, looking, making, pages
from perfsuite.responses.deduplication import leading, stored, useless
from perfsuite.responses.exchange import USER, Exchange, current
from perfsuite.responses.pages import FRESH_UNTIL, Page
from perfsuite.responses.policy import Action, Decision, Response, decide, freshen, may_store, validators
from perfsuite.responses.steps import ASK, PAUSE, VIEW, WAIT, Steps
from perfsuite.responses.store import faults
from perfsuite.responses.streaming import tee

# How often another process is asked whether its page is there.
POLL_S = (0.01, 0.1)
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


def serve(exchange: Exchange, refresh: Refresh, held: Any = None) -> Steps:
    """Serve a request whose exchange has begun. ``held`` is what its key holds, if that is known already."""
    request = exchange.request
    found = None
    if held is None:
        held = yield from looking.read(exchange, exchange.key)
    if pages.is_index(held) or pages.is_page(held):
        found = yield from looking.find(exchange, exchange.key, held)
    elif held == looking.USELESS:
        useless.add(exchange.key, exchange.config.options.hit_for_miss_s)
    if found is not None and not _may_have(request, found[1]):
        found = None
        exchange.reason = "authorization"
    page = None if found is None else found[1]
    decision = MISSED
    if page is not None or "HTTP_CACHE_CONTROL" in request.META:
        known = None if page is None else pages.stored_of(page)
        decision = decide(exchange.as_policy_sees_it(), known, time.time(), exchange.config.policy)
    if decision.action is Action.GATEWAY_TIMEOUT:
        return _no_gateway(exchange)
    if page is not None and found is not None and decision.action in (Action.HIT, Action.STALE):
        is_stale = decision.action is Action.STALE
        response = yield from from_page(
            exchange, found[0], page, "stale" if is_stale else "hit", decision.reason
        )
        if response is not None:
            if decision.refresh:
                refresh(exchange, found[0], page)
            return response
        page = None
    if page is not None and decision.action is Action.REVALIDATE:
        page = yield from looking.with_body(exchange, found[0], page)  # type: ignore[index]
    exchange.reason = exchange.reason or decision.reason
    flight_key = _flight_key(exchange, page is not None)
    if _goes_alone(exchange, flight_key, page is not None):
        return (yield from forward(exchange, page))
    return (yield from _fly(exchange, flight_key, page))


def _may_have(request: HttpRequest, page: Page) -> bool:
    """Tell whether a request with credentials of its own may have a page that was made for one without."""
    meta = request.META
    return bool(page[pages.OPEN]) or not (meta.get("HTTP_AUTHORIZATION") or meta.get("REMOTE_USER"))


def _no_gateway(exchange: Exchange) -> HttpResponseBase:
    exchange.outcome, exchange.reason = "bypassed", "only-if-cached"
    response = answering.gateway_timeout()
    answering.say_forwarded(response, exchange.config, "miss")
    return response


def from_page(exchange: Exchange, key: str, page: Page, outcome: str, reason: str = "") -> Steps:
    """Answer with a page, as the request wants it; None if its body is gone."""
    request, now = exchange.request, time.time()
    method = request.method or ""
    kind = answering.kind_of(exchange.as_policy_sees_it(), page, now)
    if not answering.needs_no_body(kind, method):
        page = yield from looking.with_body(exchange, key, page)
        if page is None:
            return None
    response = answering.answer(page, method, kind)
    detail = "" if outcome == "hit" else "collapsed" if outcome == "collapsed" else reason
    answering.say_hit(
        response, page, now, exchange.config, detail if outcome != "stale" or settings.DEBUG else ""
    )
    exchange.outcome, exchange.reason = outcome, reason or outcome
    return response


def _flight_key(exchange: Exchange, is_known: bool) -> str:
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


def _goes_alone(exchange: Exchange, flight_key: str, has_page: bool) -> bool:
    """Tell whether a request runs its view without looking whether others do."""
    meta = exchange.request.META
    if exchange.request.method != "GET" or flight_key in leading.get():
        return True
    if "no-store" in meta.get("HTTP_CACHE_CONTROL", "").lower():
        return True
    if flight_key in useless:
        return True
    return not has_page and ("HTTP_RANGE" in meta or any(name in meta for name in answering.CONDITIONS))


def _fly(exchange: Exchange, key: str, page: Page | None) -> Steps:
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
    if found is None or time.time() >= found[1][FRESH_UNTIL] or not _may_have(exchange.request, found[1]):
        return None
    if older is not None and found[1][pages.ANSWERED_AT] <= older[pages.ANSWERED_AT]:
        return None
    return (yield from from_page(exchange, found[0], found[1], "collapsed"))


def forward(exchange: Exchange, page: Page | None) -> Steps:
    """Run the view, asking it only whether a stale page is still right where there is one, and store what it answers."""
    request, config = exchange.request, exchange.config
    asked = validators(pages.stored_of(page)) if page is not None else {}
    before = _ask_with(request, asked) if asked else None
    started = time.perf_counter()
    try:
        response = yield from view(exchange)
    except Exception:
        instead = None if page is None else (yield from _if_error(exchange, page))
        if instead is None:
            raise
        return instead
    finally:
        exchange.seconds = time.perf_counter() - started
        if before is not None:
            _put_back(request, before)
    if exchange.answered:
        return response
    exchange.outcome = "miss"
    if page is not None and response.status_code in config.policy.error_statuses:
        instead = yield from _if_error(exchange, page)
        if instead is not None:
            response.close()
            return instead
    if asked and page is not None and response.status_code == 304:
        fresh = yield from _validated(exchange, page, response)
        if fresh is not None:
            return fresh
        response = yield from view(exchange)
    return (yield from complete(exchange, response, was_asked=bool(asked)))


def view(exchange: Exchange) -> Steps:
    """Run the view, collecting the tags of what it uses."""
    tags_before, before = collecting.get(), current.get()
    collecting.set(exchange.tags)
    current.set(exchange)
    try:
        exchange.response = yield VIEW, None
        return exchange.response
    except BaseException as exc:
        exchange.failure = exc
        raise
    finally:
        current.set(before)
        collecting.set(tags_before)


def _ask_with(request: HttpRequest, fields: dict[str, str]) -> dict[str, Any]:
    """Put validators into a request in the place of its own conditions; return what was there."""
    meta, before = request.META, {}
    for name in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_RANGE", "HTTP_IF_RANGE"):
        before[name] = meta.pop(name, None)
    for name, value in fields.items():
        meta["HTTP_" + name.upper().replace("-", "_")] = value
    request.__dict__.pop("headers", None)
    return before


def _put_back(request: HttpRequest, before: dict[str, Any]) -> None:
    for name, value in before.items():
        request.META.pop(name, None)
        if value is not None:
            request.META[name] = value
    request.__dict__.pop("headers", None)


def _if_error(exchange: Exchange, page: Page) -> Steps:
    """Answer with a stale page where the view has failed and the page allows it; None if it does not."""
    seen = exchange.as_policy_sees_it()
    decision = decide(seen, pages.stored_of(page), time.time(), exchange.config.policy, failed=True)
    if decision.action not in (Action.HIT, Action.STALE):
        return None
    return (yield from from_page(exchange, exchange.key, page, "stale", decision.reason))


def _validated(exchange: Exchange, page: Page, response: HttpResponseBase) -> Steps:
    """Answer with a page that a 304 says is still right, and store it anew; None if the 304 is about another."""
    seen, now, policy = exchange.as_policy_sees_it(), time.time(), exchange.config.policy
    fields = pages.lower(pages.fields_of(response))
    fresh = freshen(seen, pages.stored_of(page), Response(304, fields), exchange.asked_at, now, policy)
    if fresh is None:
        return None
    written = {**page[pages.FIELDS], **pages.fields_of(response)}
    keep_s = float(exchange.config.options.keep_stale_s)
    renewed = pages.made(
        type(fresh)(fresh.response, fresh.asked_at, fresh.answered_at, page[pages.VARYING], fresh.terms),
        written, page[pages.BODY], reason=page[pages.REASON], directive=page[pages.DIRECTIVE],
        tags=tuple({*page[pages.TAGS], *exchange.tags}), is_open=page[pages.OPEN], keep_s=keep_s,
    )  # fmt: skip
    if may_store(seen, fresh.response, policy).ok and not making.identity_forbids(exchange, response):
        is_stored = yield from looking.put(exchange, exchange.key, renewed)
        exchange.shared = is_stored and now < renewed[FRESH_UNTIL]
    response.close()
    answer = yield from from_page(exchange, exchange.key, renewed, "validated")
    answering.say_forwarded(_unsaid(answer), exchange.config, "stale", fwd_status=304, stored=exchange.shared)
    return answer


def _unsaid(response: Any) -> Any:
    for name in ("Cache-Status", "Server-Timing"):
        if response.has_header(name):
            del response[name]
    return response


def complete(exchange: Exchange, response: HttpResponseBase, was_asked: bool = False) -> Steps:
    """Store a view's response if it may be, and return what the client gets."""
    making.dress(exchange, response)
    reason = making.why_not(exchange, response)
    limit = exchange.config.options.max_body_bytes
    if not reason and response.streaming:
        reason = tee(exchange, response, limit)
    elif not reason and len(response.content) > limit:  # type: ignore[attr-defined]
        reason = "size"
    if reason or response.streaming:
        exchange.reason = reason or "stream"
        _say_missed(exchange, response, is_stored=False)
        return response
    page = making.made_page(exchange, response)
    if page is None:
        _say_missed(exchange, response, is_stored=False)
        return response
    key = exchange.user_key if making.options_of(exchange).per == USER else exchange.key
    is_stored = yield from looking.put(exchange, key, page)
    exchange.shared = is_stored and key == exchange.key and time.time() < page[FRESH_UNTIL]
    if (
        answering.kind_of(exchange.as_policy_sees_it(), page, time.time()) is not None
        and not exchange.refreshing
    ):
        made = yield from from_page(exchange, key, page, "miss", exchange.reason)
        response.close()
        response = _unsaid(made)
        exchange.outcome = "miss"
    else:
        _adopt(response, page)
    _say_missed(exchange, response, is_stored=is_stored)
    return response


def _adopt(response: Any, page: Page) -> None:
    """Give the first response the ETag and the tags that the stored one has."""
    for name in ("etag", "surrogate-key", "cache-tag"):
        held = page[pages.FIELDS].get(name)
        if held is not None and not response.has_header(name):
            response[held[0]] = held[1]


def _say_missed(exchange: Exchange, response: HttpResponseBase, is_stored: bool) -> None:
    more: dict[str, Any] = {"stored": True} if is_stored else {}
    if exchange.reason and answering.shows_details(exchange.request):
        more["detail"] = exchange.reason
        more["key"] = exchange.key
    fwd = "stale" if exchange.reason == "stale" else "request" if exchange.reason == "request" else "miss"
    answering.say_forwarded(response, exchange.config, fwd, **more)
