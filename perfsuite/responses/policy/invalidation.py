"""What an unsafe request makes outdated (RFC 9111 4.4)."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

from perfsuite.responses.policy.fields import MAX_FIELD_CHARS
from perfsuite.responses.policy.model import Request, Response

# Those registered as safe (RFC 9110 9.2.1, RFC 3253, 4918, 5323). Any other may change something.
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "QUERY", "REPORT", "SEARCH"})
_PORTS: Final = {"http": 80, "https": 443}


def invalidated_uris(request: Request, response: Response) -> tuple[str, ...]:
    """Return the absolute URIs whose stored responses, in all variants, are outdated.

    Empty for a safe method or an error; else the target, and what Location and Content-Location name of the same origin,
    written with the target's scheme and host, once each.
    """
    if request.method in SAFE_METHODS or not 200 <= response.status <= 399:
        return ()
    uris = [request.uri]
    for name in ("location", "content-location"):
        reference = response.headers.get(name)
        if reference and len(reference) <= MAX_FIELD_CHARS:
            uri = _of_same_origin(request.uri, reference)
            if uri is not None and uri not in uris:
                uris.append(uri)
    return tuple(uris)


def _of_same_origin(target: str, reference: str) -> str | None:
    try:
        base = urlsplit(target)
        other = urlsplit(urljoin(target, reference.strip(" \t")))
        if _origin(base) != _origin(other):
            return None
    except ValueError:  # no URI at all
        return None
    return urlunsplit((base.scheme, base.netloc, other.path or "/", other.query, ""))


def _origin(uri: SplitResult) -> tuple[str, str, int | None]:
    return uri.scheme, uri.hostname or "", uri.port or _PORTS.get(uri.scheme)
