"""Whether a response may be stored, and what of it (RFC 9111 3)."""

from __future__ import annotations

from typing import Final

from perfsuite.responses.policy import directives
from perfsuite.responses.policy.directives import Directives, field_names, forbids_all
from perfsuite.responses.policy.fields import date, http_date, members
from perfsuite.responses.policy.freshness import has_explicit_lifetime, terms
from perfsuite.responses.policy.model import (
    DEFAULT,
    HEURISTICALLY_CACHEABLE,
    Headers,
    Policy,
    Request,
    Response,
    Stored,
    Verdict,
)
from perfsuite.responses.policy.varying import vary_names, varying_by

# RFC 9110 7.6.1, RFC 9111 3.1: about one connection, or about the proxy that was asked.
HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
OK: Final = Verdict(True, "ok")
# Each reason in words, for whoever wants to know why a response is not stored.
REASONS: Final = {
    "ok": "It may be stored.",
    "method": "Only answers to GET are stored.",
    "status": "The status is not final, or is that of a part or of a validation.",
    "request-no-store": "The request has Cache-Control: no-store.",
    "no-store": "The response has Cache-Control: no-store, or one that cannot be read.",
    "must-understand": "The response has must-understand, and its status is not understood.",
    "private": "The response has Cache-Control: private.",
    "authorization": "The request has Authorization, and the response none of public, s-maxage and must-revalidate.",
    "set-cookie": "The response sets a cookie.",
    "vary-star": "The response has Vary: *, or one that cannot be read.",
    "vary-many": "Vary names more fields than `max_vary_names`.",
    "no-lifetime": "Nothing in the response allows it: no lifetime, not public, no status that may be guessed for.",
    "useless": "It would be stale at once and has no validator.",
}


def may_store(request: Request, response: Response, policy: Policy = DEFAULT) -> Verdict:
    """Judge by RFC 9111 3 and 3.5, by the request and the response alone. ``reason`` is a key of `REASONS`.

    ``useless`` and ``set-cookie`` are not the RFC's: what is never fresh and cannot be validated is not worth its
    place, and a shared cache has no business with cookies.
    """
    given, targeted = directives.of_response(response.headers, policy)
    reason = (
        _forbidden_by_message(request, response, given, policy)
        or _forbidden_by_field(request, response, given, policy)
        or _without_permission(response, given, targeted, policy)
    )
    return Verdict(False, reason) if reason else OK


def _forbidden_by_message(request: Request, response: Response, given: Directives, policy: Policy) -> str:
    status = response.status
    if request.method != "GET":
        return "method"
    if not 200 <= status <= 599 or status in (206, 304):
        return "status"
    if "no-store" in directives.of_request(request.headers):
        return "request-no-store"
    if "must-understand" in given:
        return "" if status in policy.understood_statuses else "must-understand"
    return "no-store" if "no-store" in given else ""


def _forbidden_by_field(request: Request, response: Response, given: Directives, policy: Policy) -> str:
    if policy.shared:
        if forbids_all(given, "private", policy):
            return "private"
        if request.headers.get("authorization") is not None and not (
            "public" in given or "s-maxage" in given or "must-revalidate" in given
        ):
            return "authorization"
    if "set-cookie" in response.headers and not policy.store_cookies:
        return "set-cookie"
    names = vary_names(response)
    if names is None:
        return "vary-star"
    return "vary-many" if len(names) > policy.max_vary_names else ""


def _without_permission(response: Response, given: Directives, targeted: bool, policy: Policy) -> str:
    headers = response.headers
    if not (
        has_explicit_lifetime(headers, given, targeted, policy)
        or response.status in HEURISTICALLY_CACHEABLE
        or "public" in given
        or ("private" in given and not policy.shared)
    ):
        return "no-lifetime"
    if headers.get("etag") is not None or headers.get("last-modified") is not None:
        return ""
    allowed = terms(response, 0.0, 0.0, policy)
    stale_s = 0.0 if allowed.never_stale else max(allowed.stale_while_revalidate, allowed.stale_if_error)
    return "useless" if allowed.always_validate or not (allowed.lifetime or stale_s) else ""


def stored_headers(headers: Headers, policy: Policy = DEFAULT) -> dict[str, str]:
    """Return the fields that may be stored (RFC 9111 3.1): not those of one connection, nor those that are private."""
    given, _ = directives.of_response(headers, policy)
    left_out = HOP_BY_HOP.union(
        [name.lower() for name in members(headers.get("connection", ""))],
        field_names(given, "no-cache", policy),
        field_names(given, "private", policy) if policy.shared else (),
        () if policy.store_cookies else ("set-cookie", "set-cookie2"),
    )
    return {name: value for name, value in headers.items() if name not in left_out}


def keep(
    request: Request, response: Response, asked_at: float, answered_at: float, policy: Policy = DEFAULT
) -> Stored:
    """Make what the store keeps of a response that `may_store`.

    A response without a Date gets one (RFC 9110 6.6.1).
    """
    headers = stored_headers(response.headers, policy)
    if date(headers.get("date"), answered_at) is None:
        headers["date"] = http_date(answered_at)
    return Stored(
        response=Response(response.status, headers),
        asked_at=asked_at,
        answered_at=answered_at,
        varying=varying_by(request, vary_names(response) or ()),
        # By the whole response, as it came: what is not kept may still say something about the rest.
        terms=terms(response, asked_at, answered_at, policy),
    )
