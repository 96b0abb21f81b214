"""The look-up inside of sessions: pages that are kept for each user."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

from perfsuite.responses import identity, looking, pages
from perfsuite.responses.exchange import USER, Exchange, ViewOptions
from perfsuite.responses.pages import Page
from perfsuite.responses.policy import Action, decide
from perfsuite.responses.replying import from_page
from perfsuite.responses.steps import HOST, Steps
from perfsuite.responses.store import faults

# What a decorator leaves on a view for the middleware to find.
ATTRIBUTE = "perfsuite_response"


def steps_for(
    request: HttpRequest, view: Any, refresh: Callable[[Exchange, str, Page], None]
) -> Steps | None:
    """Return the steps of looking up a user's page, None where the view keeps none."""
    options = getattr(view, ATTRIBUTE, None)
    if options is None or options.per != USER:
        return None
    exchange = getattr(request, "perfsuite", None)
    if not isinstance(exchange, Exchange) or exchange.never or request.method not in ("GET", "HEAD"):
        return None
    return _guarded(exchange, options, refresh)


def _guarded(
    exchange: Exchange, options: ViewOptions, refresh: Callable[[Exchange, str, Page], None]
) -> Steps:
    try:
        return (yield from _look(exchange, options, refresh))
    except Exception as exc:  # noqa: BLE001 - the view answers
        faults.add(exc, "Looking a user's page up")
        return None


def _look(exchange: Exchange, options: ViewOptions, refresh: Callable[[Exchange, str, Page], None]) -> Steps:
    request = exchange.request
    exchange.options = options
    exchange.user = yield HOST, lambda: identity.user_of(request)
    if exchange.user is None:
        return None
    exchange.user_key = exchange.key_for_user()
    if exchange.refreshing:
        return None
    found = yield from looking.find(exchange, exchange.user_key)
    if found is None:
        return None
    key, page = found
    decision = decide(
        exchange.as_policy_sees_it(), pages.stored_of(page), time.time(), exchange.config.user_policy
    )
    if decision.action not in (Action.HIT, Action.STALE):
        exchange.forwarded = decision.reason
        return None
    outcome = "hit" if decision.action is Action.HIT else "stale"
    response = yield from from_page(exchange, key, page, outcome, decision.reason)
    if response is None:
        return None
    exchange.answered = True
    if decision.refresh:
        refresh(exchange, key, page)
    return response
