"""Parts of a stored body (RFC 9110 14).

Only single ranges are served, as RFC 9110 14.2 allows: a request for several, be they two or a thousand, gets the whole.
"""

from __future__ import annotations

import re
from typing import Final

from perfsuite.responses.policy.fields import date, is_strong
from perfsuite.responses.policy.model import (
    UNSATISFIABLE,
    Headers,
    Range,
    Request,
    Response,
    Unsatisfiable,
)

# 18 digits hold every length that there is; longer positions are beyond all of them.
_SINGLE: Final = re.compile(r"bytes=[ \t,]*+(?P<first>\d*)-(?P<last>\d*)[ \t,]*+", re.ASCII | re.IGNORECASE)
_MAX_CHARS = 1024
_MAX_DIGITS = 18
# RFC 9530 2: of the bytes of one message, where Repr-Digest is of the whole that a part is of.
_OF_CONTENT: Final = frozenset({"content-digest", "content-md5"})
# A 416 has no representation for these to be about.
_OF_REPRESENTATION: Final = frozenset(
    {"content-encoding", "content-language", "content-length", "content-md5", "content-type"}
    | {"content-digest", "etag", "expires", "last-modified", "repr-digest", "transfer-encoding"}
)


def byte_range(request: Request, response: Response, length: int) -> Range | Unsatisfiable | None:
    """Return the part to send with 206; UNSATISFIABLE for a 416; None to send the whole.

    Only a single range of a 200 to GET. Several ranges, and what is malformed, are ignored. ``length`` is that of the
    body, in bytes. Evaluate `precondition` first.
    """
    value = request.headers.get("range")
    if value is None or request.method != "GET" or response.status != 200 or len(value) > _MAX_CHARS:
        return None
    found = _SINGLE.fullmatch(value.strip(" \t"))
    if found is None:
        return None
    first, last = found["first"], found["last"]
    if not (first or last) or not _is_current(request.headers.get("if-range"), response):
        return None
    if not first:
        return _suffix(_position(last), length)
    start, end = _position(first), _position(last) if last else length - 1
    if last and end < start:
        return None
    return Range(start, min(end, length - 1)) if start < length else UNSATISFIABLE


def _position(digits: str) -> int:
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _suffix(wanted: int, length: int) -> Range | Unsatisfiable | None:
    if wanted == 0:
        return UNSATISFIABLE
    # No Content-Range can say "nothing of nothing".
    return Range(max(0, length - wanted), length - 1) if length else None


def _is_current(validator: str | None, response: Response) -> bool:
    """Tell whether If-Range holds, by strong comparison (RFC 9110 13.1.5)."""
    if validator is None:
        return True
    validator = validator.strip(" \t")
    if validator.endswith('"'):
        return is_strong(validator) and validator == response.headers.get("etag")
    modified = response.headers.get("last-modified")
    if modified is None or modified != validator:
        return False
    # A date is strong only if nothing can have changed in the second that it names (RFC 9110 8.8.2.2).
    modified_at = date(modified, 0.0)
    made_at = date(response.headers.get("date"), 0.0)
    return modified_at is not None and made_at is not None and made_at - modified_at >= 1


def partial_headers(headers: Headers, part: Range, length: int) -> dict[str, str]:
    """Return the fields of the 206 that answers with a part of the response: all but digests of the content that is not sent."""
    return {
        **{name: value for name, value in headers.items() if name not in _OF_CONTENT},
        "content-range": f"bytes {part.start}-{part.end}/{length}",
        "content-length": str(part.length),
    }


def unsatisfiable_headers(headers: Headers, length: int) -> dict[str, str]:
    """Return the fields of the 416 that answers in place of the response. It has no body and is not to be stored."""
    kept = {name: value for name, value in headers.items() if name not in _OF_REPRESENTATION}
    kept.update({"content-range": f"bytes */{length}", "content-length": "0", "cache-control": "no-store"})
    return kept
