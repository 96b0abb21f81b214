"""Parts of a stored body (RFC 9110 14)."""

from __future__ import annotations

from perfsuite.responses.policy.model import Headers, Range, Request, Response, Unsatisfiable


def byte_range(request: Request, response: Response, length: int) -> Range | Unsatisfiable | None:
    """Return the part to send with 206; UNSATISFIABLE for a 416; None to send the whole.

    Only a single range of a 200 to GET. Several ranges, and what is malformed, are ignored. ``length`` is that of the
    body, in bytes. Evaluate `precondition` first.
    """
    raise NotImplementedError


def partial_headers(headers: Headers, part: Range, length: int) -> dict[str, str]:
    """Return the fields of the 206 that answers with a part of the response."""
    raise NotImplementedError


def unsatisfiable_headers(headers: Headers, length: int) -> dict[str, str]:
    """Return the fields of the 416 that answers in place of the response."""
    raise NotImplementedError
