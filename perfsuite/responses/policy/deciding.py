"""What to do with a request, given what is stored for it (RFC 9111 4, RFC 5861)."""

from __future__ import annotations

from typing import Final

from perfsuite.responses.policy import freshness
from perfsuite.responses.policy.directives import Directives, duration, of_request
from perfsuite.responses.policy.fields import seconds
from perfsuite.responses.policy.model import DEFAULT, Action, Decision, Policy, Request, Stored, Terms

_METHODS: Final = frozenset({"GET", "HEAD"})
_OTHER_METHOD: Final = Decision(Action.MISS, "method")
_NOTHING_STORED: Final = Decision(Action.MISS, "miss")
_ONLY_IF_CACHED: Final = Decision(Action.GATEWAY_TIMEOUT, "miss")
_HIT: Final = Action.HIT


def decide(
    request: Request, stored: Stored | None, now: float, policy: Policy = DEFAULT, *, failed: bool = False
) -> Decision:
    """Decide by the request's directives and the stored response's; ``stored`` must match the request.

    ``failed`` says that asking for a new response has failed (with an exception or one of ``policy.error_statuses``):
    then HIT and STALE mean to answer with the stored one after all, and anything else to pass the failure on.
    """
    if request.method not in _METHODS:
        return _OTHER_METHOD
    if stored is None:
        return _ONLY_IF_CACHED if "only-if-cached" in of_request(request.headers) else _NOTHING_STORED
    # Hot path: most hits are of requests without directives.
    allowed = stored.terms
    if allowed is None:
        allowed = freshness.terms(stored.response, stored.asked_at, stored.answered_at, policy)
    age = now - allowed.born_at
    if age < 0.0:
        age = 0.0
    ttl = allowed.lifetime - age
    get = request.headers.get
    if get("cache-control") is None and get("pragma") is None and ttl > 0.0 and not allowed.always_validate:
        return Decision(_HIT, "fresh", age, ttl)
    return _weigh(of_request(request.headers), allowed, age, policy, failed)


def _weigh(wanted: Directives, allowed: Terms, age: float, policy: Policy, failed: bool) -> Decision:
    ttl = allowed.lifetime - age
    fresh = ttl > 0.0 and not allowed.always_validate
    if fresh and _is_enough(wanted, age, ttl, policy):
        return Decision(_HIT, "fresh", age, ttl)
    excuse = _excuse(wanted, allowed, age, policy, failed)
    if excuse:
        refresh = excuse == "stale-while-revalidate" and not failed
        return Decision(Action.STALE, excuse, age, ttl, refresh)
    reason = "request" if fresh else "stale"
    if "only-if-cached" in wanted:
        return Decision(Action.GATEWAY_TIMEOUT, reason, age, ttl)
    return Decision(Action.MISS if failed else Action.REVALIDATE, reason, age, ttl)


def _is_enough(wanted: Directives, age: float, ttl: float, policy: Policy) -> bool:
    """Tell whether a fresh response is as new as the request wants it (RFC 9111 5.2.1)."""
    if not policy.obey_requests:
        return True
    if "no-cache" in wanted:
        return False
    min_fresh = duration(wanted, "min-fresh")
    return _is_young(wanted, age) and (min_fresh is None or ttl >= min_fresh)


def _is_young(wanted: Directives, age: float) -> bool:
    max_age = duration(wanted, "max-age")
    # With max-age=0 a client asks for validation, even of what was made in this instant.
    return max_age is None or 0 < max_age >= age


def _excuse(wanted: Directives, allowed: Terms, age: float, policy: Policy, failed: bool) -> str:
    """Return what allows a response that is stale, or too old for the request, to be served (RFC 9111 4.2.4)."""
    if allowed.never_stale or allowed.always_validate:
        return ""
    if policy.obey_requests and "no-cache" in wanted:
        return ""
    stale_s = max(0.0, age - allowed.lifetime)
    particular = policy.obey_requests and ("max-age" in wanted or "min-fresh" in wanted)
    if stale_s <= allowed.stale_while_revalidate and allowed.stale_while_revalidate and not particular:
        return "stale-while-revalidate"
    if failed:
        tolerated = allowed.stale_if_error
        if policy.accept_stale:
            tolerated = max(tolerated, duration(wanted, "stale-if-error") or 0)
        if tolerated and stale_s <= tolerated:
            return "stale-if-error"
    if policy.accept_stale and "max-stale" in wanted:
        limit = wanted["max-stale"]
        bound = float("inf") if limit is None else seconds(limit)
        if bound is not None and stale_s <= bound and "min-fresh" not in wanted and _is_young(wanted, age):
            return "max-stale"
    return ""
