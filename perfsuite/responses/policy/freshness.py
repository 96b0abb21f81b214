"""How long a response is fresh, and how old it is (RFC 9111 4.2)."""

from __future__ import annotations

from perfsuite.responses.policy import directives
from perfsuite.responses.policy.directives import Directives, duration, forbids_all
from perfsuite.responses.policy.fields import MAX_SECONDS, date, seconds
from perfsuite.responses.policy.model import (
    DEFAULT,
    HEURISTICALLY_CACHEABLE,
    Headers,
    Policy,
    Response,
    Stored,
    Terms,
)


def terms(response: Response, asked_at: float, answered_at: float, policy: Policy = DEFAULT) -> Terms:
    """Work out what a stored response allows."""
    given, targeted = directives.of_response(response.headers, policy)
    lifetime, heuristic = _lifetime(response, given, targeted, answered_at, policy)
    never_stale = "must-revalidate" in given or (
        policy.shared
        and ("proxy-revalidate" in given or (policy.s_maxage_forbids_stale and "s-maxage" in given))
    )
    revalidating = duration(given, "stale-while-revalidate")
    on_error = duration(given, "stale-if-error")
    return Terms(
        born_at=answered_at - _initial_age(response.headers, asked_at, answered_at),
        lifetime=lifetime,
        always_validate=forbids_all(given, "no-cache", policy),
        never_stale=never_stale,
        stale_while_revalidate=policy.stale_while_revalidate_s if revalidating is None else revalidating,
        stale_if_error=policy.stale_if_error_s if on_error is None else on_error,
        heuristic=heuristic,
    )


def freshness_lifetime(response: Response, policy: Policy, now: float) -> float:
    """Return the seconds from its making that a response is fresh (RFC 9111 4.2.1); 0 if it is never.

    ``now`` is when it was received, and stands in for a Date that it does not have.
    """
    given, targeted = directives.of_response(response.headers, policy)
    return _lifetime(response, given, targeted, now, policy)[0]


def current_age(stored: Stored, now: float) -> float:
    """Return the age of a stored response in seconds (RFC 9111 4.2.3), never negative."""
    known = stored.terms
    if known is None:
        initial = _initial_age(stored.response.headers, stored.asked_at, stored.answered_at)
        return max(0.0, now - stored.answered_at + initial)
    return max(0.0, now - known.born_at)


def served_headers(headers: Headers, age: float) -> dict[str, str]:
    """Return the fields of a response that is served from the store: with its Age in place of the one it came with."""
    return {**headers, "age": str(min(int(age), MAX_SECONDS))}


def has_explicit_lifetime(headers: Headers, given: Directives, targeted: bool, policy: Policy) -> bool:
    """Tell whether an expiration time is stated, be it in the past or malformed."""
    return (
        "max-age" in given
        or (policy.shared and "s-maxage" in given)
        or (not targeted and headers.get("expires") is not None)
    )


def _lifetime(
    response: Response, given: Directives, targeted: bool, received_at: float, policy: Policy
) -> tuple[float, bool]:
    headers = response.headers
    stated = duration(given, "s-maxage") if policy.shared else None
    if stated is None:
        stated = duration(given, "max-age")
    if stated is not None:
        return stated, False
    made_at = date(headers.get("date"), received_at)
    if made_at is None:
        made_at = received_at
    expires = None if targeted else headers.get("expires")
    if expires is not None:
        until = date(expires, received_at)
        return (0.0 if until is None else max(0.0, until - made_at)), False
    cacheable = (
        response.status in HEURISTICALLY_CACHEABLE
        or "public" in given
        or ("private" in given and not policy.shared)
    )
    return (_heuristic(headers, made_at, received_at, policy) if cacheable else 0.0), True


def _heuristic(headers: Headers, made_at: float, received_at: float, policy: Policy) -> float:
    modified_at = date(headers.get("last-modified"), received_at)
    if modified_at is None:
        return policy.heuristic_default_s
    return min(max(0.0, made_at - modified_at) * policy.heuristic_fraction, policy.heuristic_max_s)


def _initial_age(headers: Headers, asked_at: float, answered_at: float) -> float:
    made_at = date(headers.get("date"), answered_at)
    apparent = 0.0 if made_at is None else max(0.0, answered_at - made_at)
    told = headers.get("age")
    # RFC 9111 5.1: of several the first counts, and one that is malformed does not.
    value = seconds(told.lstrip(" \t,").partition(",")[0].rstrip(" \t")) if told else None
    return max(apparent, (value or 0) + max(0.0, answered_at - asked_at))
