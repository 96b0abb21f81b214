"""Conditional requests, answered from what is stored (RFC 9110 13, RFC 9111 4.3.2)."""

from __future__ import annotations

from typing import Final, Literal

from perfsuite.responses.policy.fields import date, entity_tags, is_strong, weakly_equal
from perfsuite.responses.policy.model import Headers, Request, Response

# Those about the content, which a 304 has not (RFC 9110 15.4.5).
_OF_CONTENT: Final = frozenset(
    {"content-encoding", "content-language", "content-length", "content-md5", "content-range", "content-type"}
    | {"accept-ranges", "content-digest", "last-modified", "repr-digest", "transfer-encoding"}
)


def precondition(
    request: Request, response: Response, now: float, *, origin: bool = False
) -> Literal[304, 412] | None:
    """Evaluate the request's preconditions, in the order of RFC 9110 13.2.2, against the 200 it would get.

    None: none of them stands in the way. If-Match and If-Unmodified-Since are for the origin (RFC 9111 4.3.2): they count
    with ``origin`` only, for a response that was just made. `byte_range` looks at If-Range.
    """
    if response.status != 200:
        return None
    get = request.headers.get
    if origin and _is_lost(request, response, now):
        return 412
    asked = get("if-none-match")
    if asked is not None:
        if not _names(asked, response):
            return None
        return 304 if request.method in ("GET", "HEAD") else 412
    since = get("if-modified-since")
    if since is None or request.method not in ("GET", "HEAD"):
        return None
    since_at = date(since, now)
    modified_at = date(response.headers.get("last-modified"), now)
    if modified_at is None:
        # RFC 9111 4.3.2: what was made at that time has not changed since then.
        modified_at = date(response.headers.get("date"), now)
    return 304 if since_at is not None and modified_at is not None and modified_at <= since_at else None


def _names(asked: str, response: Response) -> bool:
    """Tell whether If-None-Match has the response's entity-tag, by weak comparison."""
    if asked.strip(" \t") == "*":
        return True
    tag = response.headers.get("etag")
    if tag is None:
        return False
    return asked == tag or any(weakly_equal(each, tag) for each in entity_tags(asked))


def _is_lost(request: Request, response: Response, now: float) -> bool:
    """Tell whether If-Match or, without it, If-Unmodified-Since is false."""
    wanted = request.headers.get("if-match")
    if wanted is not None:
        tag = response.headers.get("etag", "")
        return wanted.strip(" \t") != "*" and not (is_strong(tag) and tag in entity_tags(wanted))
    unmodified_at = date(request.headers.get("if-unmodified-since"), now)
    modified_at = date(response.headers.get("last-modified"), now)
    return unmodified_at is not None and modified_at is not None and modified_at > unmodified_at


def not_modified_headers(headers: Headers) -> dict[str, str]:
    """Return the fields of the 304 that answers in place of a response: all but those about its content.

    Last-Modified stays where there is no ETag: some caches know nothing else to update by (RFC 9110 15.4.5).
    """
    kept = {name: value for name, value in headers.items() if name not in _OF_CONTENT}
    if "etag" not in headers and "last-modified" in headers:
        kept["last-modified"] = headers["last-modified"]
    return kept
