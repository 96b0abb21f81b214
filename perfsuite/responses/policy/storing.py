"""Whether a response may be stored, and what of it (RFC 9111 3)."""

from __future__ import annotations

from perfsuite.responses.policy.model import DEFAULT, Headers, Policy, Request, Response, Stored, Verdict


def may_store(request: Request, response: Response, policy: Policy = DEFAULT) -> Verdict:
    """Judge by RFC 9111 3 and 3.5; ``reason`` is one word of `REASONS`. It judges the request and the response alone."""
    raise NotImplementedError


def stored_headers(headers: Headers, policy: Policy = DEFAULT) -> dict[str, str]:
    """Return the fields that may be stored (RFC 9111 3.1): not those of one connection, nor those that are private."""
    raise NotImplementedError


def keep(
    request: Request, response: Response, asked_at: float, answered_at: float, policy: Policy = DEFAULT
) -> Stored:
    """Make what the store keeps of a response that `may_store`."""
    raise NotImplementedError
