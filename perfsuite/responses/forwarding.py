"""Running the view, and what becomes of its answer: stored, taken for a validation, or replaced by a stale page."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from perfsuite.caching.collected import collecting
from perfsuite.responses import answering, keys, looking, making, pages
from perfsuite.responses.exchange import USER, Exchange, current
from perfsuite.responses.pages import BODY, FRESH_UNTIL, Page
from perfsuite.responses.policy import (
    Action,
    Request,
    Response,
    Stored,
    decide,
    freshen,
    freshen_by_head,
    may_store,
    validators,
)
from perfsuite.responses.replying import discard, from_page, unsaid
from perfsuite.responses.steps import ASK, VIEW, Steps
from perfsuite.responses.streaming import tee


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
            discard(response)
            return instead
    if asked and page is not None and response.status_code == 304:
        fresh = yield from _validated(exchange, page, response)
        if fresh is not None:
            return fresh
        discard(response)
        response = yield from view(exchange)
    if page is not None and request.method == "HEAD" and response.status_code == 200:
        yield from _told_by_head(exchange, page, response)
    return (yield from complete(exchange, response, was_asked=bool(asked)))


def view(exchange: Exchange) -> Steps:
    """Run the view, collecting the tags of what it uses."""
    with Watched(exchange):
        exchange.response = yield VIEW, None
        return exchange.response


class Watched:
    """Collects the tags of what a view uses while it runs, and remembers what it raises."""

    __slots__ = ("before", "exchange", "tags_before")

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def __enter__(self) -> None:
        self.tags_before, self.before = collecting.get(), current.get()
        collecting.set(self.exchange.tags)
        current.set(self.exchange)

    def __exit__(self, kind: Any, exc: BaseException | None, traceback: Any) -> None:
        current.set(self.before)
        collecting.set(self.tags_before)
        if exc is not None:
            self.exchange.failure = exc


# Hot path: benchmarks/responses.py; most responses of most sites.
def is_done(exchange: Exchange, response: HttpResponseBase) -> bool:
    """Tell whether nothing is left to do for a response of a view that ran alone, because it may not be stored and says so."""
    exchange.response = response
    if exchange.answered:
        return True
    exchange.outcome = "miss"
    if not making.says_nothing(exchange, response):
        return False
    exchange.reason = "no-lifetime"
    _say_missed(exchange, response, is_stored=False)
    return True


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
    """Answer with a stale page where the view has failed and the page allows it; None if it does not, or is an error itself."""
    if page[pages.STATUS] in exchange.config.policy.error_statuses:
        return None
    seen = exchange.as_policy_sees_it()
    decision = decide(seen, pages.stored_of(page), time.time(), exchange.config.policy, failed=True)
    if decision.action not in (Action.HIT, Action.STALE):
        return None
    return (yield from from_page(exchange, exchange.key, page, "stale", decision.reason))


def _validated(exchange: Exchange, page: Page, response: HttpResponseBase) -> Steps:
    """Answer with a page that a 304 says is still right, and store it anew; None if the 304 is about another."""
    seen, now, policy = exchange.as_policy_sees_it(), time.time(), exchange.config.policy
    told = Response(304, _told_by(response))
    fresh = freshen(seen, pages.stored_of(page), told, exchange.asked_at, now, policy)
    if fresh is None:
        return None
    renewed = _renewed(exchange, page, fresh, response)
    # The page is that of a GET, whatever has asked about it.
    if may_store(Request("GET", "", seen.headers), fresh.response, policy).ok and not making.identity_forbids(
        exchange, response
    ):
        is_stored = yield from looking.put(exchange, exchange.key, renewed)
        exchange.shared = is_stored and now < renewed[FRESH_UNTIL]
    discard(response)
    answer = yield from from_page(exchange, exchange.key, renewed, "validated")
    answer.cookies = response.cookies  # for this client, and not kept
    if response.has_header("Set-Cookie"):
        answer["Set-Cookie"] = response["Set-Cookie"]
    fwd, is_stored = exchange.missed, exchange.shared
    answering.say_forwarded(unsaid(answer), exchange.config, fwd, fwd_status=304, stored=is_stored)
    return answer


def _told_by(response: HttpResponseBase) -> dict[str, str]:
    """Return what a response says of the page that it is about, without the type that Django gives to what names none."""
    fields = pages.lower(pages.fields_of(response))
    if fields.get("content-type") == f"text/html; charset={settings.DEFAULT_CHARSET}":
        del fields["content-type"]
    return fields


def _renewed(exchange: Exchange, page: Page, fresh: Stored, response: HttpResponseBase) -> Page:
    """Return a page with the fields that a response has brought, and its own body."""
    return pages.made(
        type(fresh)(fresh.response, fresh.asked_at, fresh.answered_at, page[pages.VARYING], fresh.terms),
        {**page[pages.FIELDS], **pages.fields_of(response)}, page[pages.BODY],
        reason=page[pages.REASON], directive=page[pages.DIRECTIVE],
        tags=tuple({*page[pages.TAGS], *exchange.tags}), is_open=page[pages.OPEN],
        keep_s=float(exchange.config.options.keep_stale_s),
        mark=page[pages.MARK], compresses=exchange.config.compresses,
    )  # fmt: skip


def _told_by_head(exchange: Exchange, page: Page, response: HttpResponseBase) -> Steps:
    """Update a page by what a 200 to HEAD says of it, or drop it (RFC 9111 4.3.5).

    It must name a validator that the page has: most pages have an ETag that is made of their body, of which this says nothing.
    """
    seen, policy = exchange.as_policy_sees_it(), exchange.config.policy
    stored, head = pages.stored_of(page), Response(200, _told_by(response))
    fresh = freshen_by_head(seen, stored, head, exchange.asked_at, time.time(), policy)
    is_told = page[BODY] is not None and ("etag" in head.headers or "last-modified" in head.headers)
    if fresh is None or not is_told:
        is_variant = page[pages.VARYING] or exchange.varies
        place = keys.variant_key(exchange.key, page[pages.VARYING]) if is_variant else exchange.key
        yield ASK, lambda: exchange.store.drop([place])
    elif may_store(
        Request("GET", "", seen.headers), fresh.response, policy
    ).ok and not making.identity_forbids(exchange, response):
        yield from looking.put(exchange, exchange.key, _renewed(exchange, page, fresh, response))


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
        discard(response)
        response = unsaid(made)
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
    answering.say_forwarded(response, exchange.config, exchange.missed, **more)
