"""Asking whether a stored response is still right, and what becomes of it (RFC 9111 4.3)."""

from __future__ import annotations

from typing import Final

from perfsuite.responses.policy.fields import date, is_strong, weakly_equal
from perfsuite.responses.policy.model import DEFAULT, Headers, Policy, Request, Response, Stored
from perfsuite.responses.policy.storing import keep, stored_headers

_VALIDATING: Final = frozenset({"if-none-match", "if-modified-since", "if-range", "range"})
# The first is RFC 9111 3.2's exception; the others are about bytes that stay as they are stored.
_KEPT_AS_STORED: Final = frozenset({"content-length", "content-encoding", "content-range"})
# They tell when a response was made, and so must not outlive its validation.
_OF_THE_MOMENT: Final = frozenset({"age", "date"})


def validators(stored: Stored) -> dict[str, str]:
    """Return If-None-Match and If-Modified-Since of the request that validates a stored response.

    Empty if it has neither ETag nor Last-Modified: then a whole new response is asked for.
    """
    headers = stored.response.headers
    found = {}
    if tag := headers.get("etag"):
        found["if-none-match"] = tag
    if modified := headers.get("last-modified"):
        found["if-modified-since"] = modified
    return found


def whole_request(request: Request) -> Request:
    """Return the request without what would make its answer a 304 or a part, so that it can be stored."""
    return Request(request.method, request.uri, _without_conditions(request.headers))


def validation_request(request: Request, stored: Stored) -> Request:
    """Return the request with `validators` in place of the client's own conditions and Range.

    If-Match and If-Unmodified-Since stay: they are for the origin (RFC 9111 4.3.2).
    """
    headers = {**_without_conditions(request.headers), **validators(stored)}
    return Request(request.method, request.uri, headers)


def _without_conditions(headers: Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in _VALIDATING}


def freshen(
    request: Request,
    stored: Stored,
    response: Response,
    asked_at: float,
    answered_at: float,
    policy: Policy = DEFAULT,
) -> Stored | None:
    """Return the stored response updated by a 304 to its `validation_request` (RFC 9111 3.2, 4.3.4).

    None if the 304 is about another one: then nothing is updated, and the `whole_request` must be asked. Judge the
    result by `may_store` before it is stored again: the 304 may forbid it.
    """
    if not _is_about(stored.response.headers, response.headers):
        return None
    return _updated(request, stored, response, asked_at, answered_at, policy)


def freshen_by_head(
    request: Request,
    stored: Stored,
    response: Response,
    asked_at: float,
    answered_at: float,
    policy: Policy = DEFAULT,
) -> Stored | None:
    """Return the stored response updated by a 200 to HEAD (RFC 9111 4.3.5).

    None if its validators or its length differ: then the stored response is to be taken for stale.
    """
    had, has = stored.response.headers, response.headers
    for name in ("etag", "last-modified", "content-length"):
        if name in has and has[name] != had.get(name) and (name != "content-length" or name in had):
            return None
    return _updated(request, stored, response, asked_at, answered_at, policy)


def _is_about(had: Headers, has: Headers) -> bool:
    """Tell whether a 304 with the fields ``has`` selects the response with the fields ``had`` (RFC 9111 4.3.4)."""
    tag, known = has.get("etag"), had.get("etag")
    if tag and is_strong(tag):
        return tag == known
    if tag and known:
        return weakly_equal(tag, known)
    if modified := has.get("last-modified"):
        return modified == had.get("last-modified")
    # Without any validator it is the answer to the only ones that were asked with.
    return not tag


def _updated(
    request: Request,
    stored: Stored,
    response: Response,
    asked_at: float,
    answered_at: float,
    policy: Policy,
) -> Stored:
    fields = {name: value for name, value in stored.response.headers.items() if name not in _OF_THE_MOMENT}
    news = stored_headers(response.headers, policy)
    fields.update((name, value) for name, value in news.items() if name not in _KEPT_AS_STORED)
    if date(fields.get("date"), answered_at) is None:
        fields.pop("date", None)
    return keep(request, Response(stored.response.status, fields), asked_at, answered_at, policy)
