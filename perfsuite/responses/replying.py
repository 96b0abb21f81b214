"""The answer that is made of a page, with its body fetched where the answer has one."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from perfsuite.responses import answering, looking, pages
from perfsuite.responses.exchange import Exchange
from perfsuite.responses.pages import Page
from perfsuite.responses.steps import Steps


def from_page(exchange: Exchange, key: str, page: Page, outcome: str, reason: str = "") -> Steps:
    """Answer with a page, as the request wants it; None if its body is gone."""
    request, now = exchange.request, time.time()
    method = request.method or ""
    kind = answering.kind_of(exchange.as_policy_sees_it(), page, now)
    if not answering.needs_no_body(kind, method):
        whole: Page | None = yield from looking.with_body(exchange, key, page)
        if whole is None:
            return None
        page = whole
    response = answering.answer(page, method, kind)
    detail = "" if outcome == "hit" else "collapsed" if outcome == "collapsed" else reason
    answering.say_hit(
        response, page, now, exchange.config, detail if outcome != "stale" or settings.DEBUG else ""
    )
    exchange.outcome, exchange.reason = outcome, reason or outcome
    return response


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
