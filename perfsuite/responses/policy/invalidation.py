"""What an unsafe request makes outdated (RFC 9111 4.4)."""

from __future__ import annotations

from perfsuite.responses.policy.model import Request, Response


def invalidated_uris(request: Request, response: Response) -> tuple[str, ...]:
    """Return the absolute URIs whose stored responses, in all variants, are outdated: none, or the target's first."""
    raise NotImplementedError
