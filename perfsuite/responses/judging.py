"""What follows from a request that was answered: what is stored of it now, and so how a repeat is answered, and why."""

from __future__ import annotations

import time
from typing import Any, Final

from django.core.cache import caches
from django.core.cache.backends.dummy import DummyCache
from django.http import HttpResponse

from perfsuite.caching.flight import wait
from perfsuite.responses import deduplication, identity, keys, looking, making, pages
from perfsuite.responses.config import position
from perfsuite.responses.exchange import USER, Exchange
from perfsuite.responses.explanation import Explanation, because, in_seconds, lifetime, runs_each_time
from perfsuite.responses.inner import ATTRIBUTE
from perfsuite.responses.inprocess import Answer
from perfsuite.responses.looking import Found
from perfsuite.responses.pages import FIELDS, LENGTH, TAGS, Page
from perfsuite.responses.policy import Action, Decision, decide
from perfsuite.responses.policy.directives import of_response
from perfsuite.responses.policy.freshness import has_explicit_lifetime
from perfsuite.responses.reasons import CLAUSES
from perfsuite.responses.refreshing import REFRESH_LOCK_S
from perfsuite.responses.replying import may_have
from perfsuite.responses.steps import take

# What an exchange gives for a reason where its response is stored, or might have been.
WHY_VIEW_RAN: Final = frozenset({"stale", "request", "method"})
# The reasons that mean something else where a page is kept for each user: who it is may be asked then.
_OF_USERS: Final = {"session": "users-session", "user": "users-user"}


def judge(found: Explanation, exchange: Exchange, answer: Answer, has_failed: bool) -> Explanation:
    """Say what is stored now, and so how a repeat is answered."""
    is_users = bool(exchange.user_key) and making.options_of(exchange).per == USER
    key = exchange.user_key if is_users else exchange.key
    page = look(exchange, key)
    if page is not None and _wait_for_refresh(exchange, page[0]):
        page = look(exchange, key)
    if page is None:
        reason = _why_nothing(exchange, answer, has_failed)
        found.say("stored", f"Nothing, because {because(reason, exchange)}.")
        if reason == "only-if-cached":
            return found.conclude(
                "Each request is answered 504, because it takes only what is stored.", reason
            )
        return _conclude_with_cause(found, exchange, reason)
    policy = exchange.config.user_policy if is_users else exchange.config.policy
    decision = decide(exchange.as_policy_sees_it(), pages.stored_of(page[1]), time.time(), policy)
    found.say("stored", f"A page of {page[1][LENGTH]:,} bytes{lifetime(page[1], decision.ttl)}.")
    _say_rest(found, exchange, page[1], answer)
    if not is_users and not may_have(exchange.request, page[1]):
        return found.conclude(runs_each_time("authorization"), "authorization")
    if decision.action is Action.REVALIDATE and _is_own(exchange.reason):
        return _conclude_with_cause(found, exchange, _named(exchange, exchange.reason))
    return _conclude(
        found, decision, "A repeat by the same user in the same session" if is_users else "A repeat"
    )


def look(exchange: Exchange, key: str, held: Any = None) -> Found | None:
    """Return the key and the page that fit a request; ``held`` is what the key holds, if that is known."""
    found: Found | None = take(looking.find(exchange, key, held), _no_view, exchange.request)
    return found


def _no_view(request: Any) -> Any:
    raise RuntimeError("Looking up runs no view.")


def _wait_for_refresh(exchange: Exchange, key: str) -> bool:
    """Wait for a stale page to be made anew, if it is: this process may end, and with it the thread that does so."""
    flights, place = deduplication.flights, f"{key}.refresh"
    flight, leads = flights.join(place)
    if leads:
        flights.abandon(place, flight)
        return False
    wait(flight, REFRESH_LOCK_S)
    return True


def _why_nothing(exchange: Exchange, answer: Answer, has_failed: bool) -> str:
    reason = exchange.reason
    if reason == "stream" and not answer.failure:
        if (answer.length or 0) > exchange.config.options.max_body_bytes:
            return "size"
        reason = making.why_not(exchange, exchange.response)  # its body may have changed it
    if reason in ("no-lifetime", "useless", "set-cookie"):
        reason = _what_is_behind(exchange, answer.response.status_code, reason)
    if _is_own(reason):
        return _named(exchange, reason)
    if isinstance(caches[exchange.config.options.alias], DummyCache):
        return "dummy"
    return "failure" if has_failed else "not-kept"


def _named(exchange: Exchange, reason: str) -> str:
    return _OF_USERS.get(reason, reason) if making.options_of(exchange).per == USER else reason


def _what_is_behind(exchange: Exchange, status: int, reason: str) -> str:
    """Return why a view that has @cache_response, be it that it did not get to run, is not kept by it."""
    if reason != "set-cookie" and status >= 500:
        return "error"
    match = exchange.request.resolver_match
    options = exchange.options or getattr(getattr(match, "func", None), ATTRIBUTE, None)
    if options is None:
        return reason
    if options.per == USER and not exchange.user_key:
        return "anonymous"
    if reason == "set-cookie":
        return reason
    if options.timeout is not None:
        return reason if status in making.TIMED else "untimed"
    policy, seen = exchange.config.policy, making.response_seen(exchange, exchange.response)
    is_stated = has_explicit_lifetime(seen, *of_response(seen, policy), policy)
    return reason if is_stated else "no-timeout"


def _conclude_with_cause(found: Explanation, exchange: Exchange, reason: str) -> Explanation:
    """Name what has made the response vary on cookies, or set one, and what would forbid it even if it had a lifetime."""
    cause = _whose_request(exchange)
    if cause and reason in ("vary-cookie", "set-cookie"):
        return found.conclude(runs_each_time(cause, exchange), cause)
    text = runs_each_time(reason, exchange)
    if cause and reason in ("no-lifetime", "no-timeout", "untimed", "useless"):
        text = f"{text.rstrip('.')}, and because {because(cause, exchange)}."
        return found.conclude(text, reason, advice=cause)
    return found.conclude(text, reason)


def _whose_request(exchange: Exchange) -> str:
    """Return in a word what was done with the request that makes any response to it somebody's, or for one time only, or ""."""
    if making.options_of(exchange).per == USER:
        is_changed = getattr(exchange.request.__dict__.get("session"), "modified", False)
        return "users-session" if is_changed else ""
    allowed = exchange.config.public_cookies.union(making.options_of(exchange).cookies)
    is_declared = exchange.options is not None
    return identity.why_not_everyones(
        exchange.request, HttpResponse(), exchange.cookies, allowed, is_declared
    )


def _say_rest(found: Explanation, exchange: Exchange, page: Page, answer: Answer) -> None:
    tags = [tag for tag in page[TAGS] if not tag.startswith(keys.INTERNAL) and tag != identity.ALL_USERS]
    found.say("tags", f"{', '.join(tags)}." if tags else "None but those of its own.")
    found.say("compression", _compression(exchange, page, answer))


def _compression(exchange: Exchange, page: Page, answer: Answer) -> str:
    if position("CompressionMiddleware") is None:
        return "None: CompressionMiddleware is not in MIDDLEWARE."
    accepted = exchange.request.META.get("HTTP_ACCEPT_ENCODING")
    coding = (
        answer.response.get("Content-Encoding", "")
        if answer.response.status_code == page[pages.STATUS]
        else ""
    )
    if coding:
        length = "" if answer.response.streaming else f", {len(answer.response.content):,} bytes"
        return f"It is sent as {coding}{length}, for Accept-Encoding: {accepted}."
    if accepted is None:
        return "It is sent as it is: the request has no Accept-Encoding."
    kind = page[FIELDS].get("content-type", ("", "no type"))[1]
    return f"It is sent as it is, {page[LENGTH]:,} bytes of {kind}, for Accept-Encoding: {accepted}."


def _conclude(found: Explanation, decision: Decision, who: str) -> Explanation:
    reason, action = decision.reason, decision.action
    if action is Action.HIT:
        return found.conclude(
            f"{who} is answered from the cache for {in_seconds(decision.ttl)}.", is_cached=True
        )
    if action is Action.STALE:
        text = f"{who} is answered from the cache with a stale page, because {CLAUSES[reason]}."
        return found.conclude(text, reason, is_cached=True)
    if action is Action.GATEWAY_TIMEOUT:
        return found.conclude(
            "Each request is answered 504, because it takes only what is stored.", "only-if-cached"
        )
    text = f"Each request runs its view, which may answer that the stored page is right, because {CLAUSES[reason]}."
    return found.conclude(text, reason)


def _is_own(reason: str) -> bool:
    """Tell whether a reason says why a response is not stored, and not only why its view ran."""
    return reason in CLAUSES and reason not in WHY_VIEW_RAN
