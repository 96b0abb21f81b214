"""Conditional requests, answered from what is stored (RFC 9110 13)."""

from __future__ import annotations

from typing import Literal

from perfsuite.responses.policy.model import Headers, Request, Response


def precondition(request: Request, response: Response, now: float) -> None | Literal[304, 412]:
    """Evaluate the request's preconditions, in the order of RFC 9110 13.2.2, against the response it would get.

    None: none of them stands in the way.
    """
    raise NotImplementedError


def not_modified_headers(headers: Headers) -> dict[str, str]:
    """Return those fields of a response that its 304 has too (RFC 9110 15.4.5)."""
    raise NotImplementedError
