"""Asking whether a stored response is still right, and what becomes of it (RFC 9111 4.3)."""

from __future__ import annotations

from perfsuite.responses.policy.model import DEFAULT, Policy, Request, Response, Stored


def validators(stored: Stored) -> dict[str, str]:
    """Return If-None-Match and If-Modified-Since of the request that validates a stored response; empty if it cannot be."""
    raise NotImplementedError


def validation_request(request: Request, stored: Stored) -> Request:
    """Return the request to validate with: a GET with `validators` in place of the client's own conditions and Range."""
    raise NotImplementedError


def freshen(
    stored: Stored, response: Response, asked_at: float, answered_at: float, policy: Policy = DEFAULT
) -> Stored | None:
    """Return the stored response updated by a 304 (RFC 9111 3.2, 4.3.4); None if the 304 is about another one."""
    raise NotImplementedError


def freshen_by_head(
    stored: Stored, response: Response, asked_at: float, answered_at: float, policy: Policy = DEFAULT
) -> Stored | None:
    """Return the stored response updated by a 200 to HEAD (RFC 9111 4.3.5); None if it is outdated by it."""
    raise NotImplementedError
