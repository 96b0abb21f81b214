"""Which of the stored responses fits a request (RFC 9111 4.1)."""

from __future__ import annotations

from collections.abc import Iterable

from perfsuite.responses.policy.model import Request, Response, Stored, Varying


def vary_names(response: Response) -> tuple[str, ...] | None:
    """Return the fields that Vary names, sorted and once each; None if it holds ``*``."""
    raise NotImplementedError


def varying_by(request: Request, names: Iterable[str]) -> Varying:
    """Return the named fields of the request, normalised; None for a field that it has not."""
    raise NotImplementedError


def varying(request: Request, response: Response) -> Varying | None:
    """Return what a later request must have in common with this one; None if none may have (``Vary: *``)."""
    raise NotImplementedError


def matches(stored: Stored, request: Request) -> bool:
    """Tell whether the request has what the stored response was chosen by."""
    raise NotImplementedError


def select(candidates: Iterable[Stored], request: Request) -> Stored | None:
    """Return the most recent of those that match."""
    raise NotImplementedError
