"""How long a response is fresh, and how old it is (RFC 9111 4.2)."""

from __future__ import annotations

from perfsuite.responses.policy.model import DEFAULT, Policy, Response, Stored, Terms


def terms(response: Response, asked_at: float, answered_at: float, policy: Policy = DEFAULT) -> Terms:
    """Work out what a stored response allows."""
    raise NotImplementedError


def freshness_lifetime(response: Response, policy: Policy, now: float) -> float:
    """Return the seconds from its making that a response is fresh (RFC 9111 4.2.1)."""
    raise NotImplementedError


def current_age(stored: Stored, now: float) -> float:
    """Return the age of a stored response in seconds (RFC 9111 4.2.3), never negative."""
    raise NotImplementedError
