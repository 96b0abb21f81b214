"""What to do with a request, given what is stored for it (RFC 9111 4, RFC 5861)."""

from __future__ import annotations

from perfsuite.responses.policy.model import DEFAULT, Decision, Policy, Request, Stored


def decide(
    request: Request, stored: Stored | None, now: float, policy: Policy = DEFAULT, *, failed: bool = False
) -> Decision:
    """Decide by the request's directives and the stored response's; ``stored`` must match the request.

    ``failed`` says that asking for a new response has failed (with an exception or one of ``policy.error_statuses``):
    then STALE means to answer with the stored one, and anything else to pass the failure on.
    """
    raise NotImplementedError
