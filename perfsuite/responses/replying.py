"""The answer that is made of a page, with its body fetched where the answer has one."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from perfsuite.responses import answering, encoding, looking, pages, variants
from perfsuite.responses.exchange import Exchange
from perfsuite.responses.pages import Page
from perfsuite.responses.steps import ASIDE, ASK, Steps


def from_page(exchange: Exchange, key: str, page: Page, outcome: str, reason: str = "") -> Steps:
    """Answer with a page, as the request wants it; None if its body is gone."""
    request, now = exchange.request, time.time()
    method = request.method or ""
    kind = answering.kind_of(exchange.as_policy_sees_it(), page, now)
    if kind is None and method == "GET":
        response = yield from _whole(exchange, key, page)
        if response is None:
            return None
        return _said(exchange, response, page, outcome, reason)
    if not answering.needs_no_body(kind, method):
        whole: Page | None = yield from looking.with_body(exchange, key, page)
        if whole is None:
            return None
        page = whole
    return _said(exchange, answering.answer(page, method, kind), page, outcome, reason)


def _said(exchange: Exchange, response: HttpResponse, page: Page, outcome: str, reason: str) -> HttpResponse:
    if outcome == "collapsed":
        answering.say_collapsed(response, page, time.time(), exchange.config, exchange.missed)
    else:
        detail = reason if outcome != "hit" and (outcome != "stale" or settings.DEBUG) else ""
        answering.say_hit(response, page, time.time(), exchange.config, detail)
    exchange.outcome, exchange.reason = outcome, reason or outcome
    return response


def _whole(exchange: Exchange, key: str, page: Page) -> Steps:
    """Return a response with the whole page, in the coding that the client gets; None if its body is gone."""
    store, negotiated = exchange.store, variants.wanted(exchange.request, page, exchange.config)
    form: Any = None
    if negotiated is not None and variants.is_coded(negotiated):
        place = variants.key_of(page, key, negotiated)
        form = store.read_part(place) if store.is_local else (yield ASK, partial(store.read_part, place))
        if type(form) is not bytes:
            form = None
    body = b""
    if not form:
        whole: Page | None = yield from looking.with_body(exchange, key, page)
        if whole is None:
            return None
        body = whole[pages.BODY]
        if form is None and negotiated is not None and variants.is_coded(negotiated):
            form = yield ASIDE, partial(variants.make, store, key, page, body, negotiated)
    if negotiated is not None and form:
        encoding.record_sent(negotiated.coding, page[pages.LENGTH], len(form))
    return variants.response_of(page, body, negotiated, form)


def may_have(request: HttpRequest, page: Page) -> bool:
    """Tell whether a request with credentials of its own may have a page that was made for one without."""
    meta = request.META
    return bool(page[pages.OPEN]) or not (meta.get("HTTP_AUTHORIZATION") or meta.get("REMOTE_USER"))


def unsaid(response: Any) -> Any:
    """Take off what was said of a hit: the response is not one after all."""
    for name in ("Cache-Status", "Server-Timing"):
        if response.has_header(name):
            del response[name]
    return response


def discard(response: Any) -> None:
    """Let go of what a response holds that is not sent. Its ``close`` would tell Django that the request is over."""
    closers = response._resource_closers  # noqa: SLF001 - there since Django 3.1; ``close`` does nothing else
    for closer in closers:
        with suppress(Exception):
            closer()
    closers.clear()
    response.closed = True
