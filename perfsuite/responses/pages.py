"""A page as it is stored, a plain tuple of plain values, and the responses that are made of it.

Nothing of Django is in it, so that no upgrade makes it unreadable, and what is no page of this version is a miss. A large body
is stored beside its page, under a key with the page's own ``nonce``, so that what needs no body does not read it and two
versions are never mixed; so are the compressed forms of a body.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from django.http import HttpResponse
from django.http.response import HttpResponseBase

from perfsuite.responses import encoding, headers
from perfsuite.responses.headers import Fields
from perfsuite.responses.policy import Response, Stored, Terms

Page = tuple[Any, ...]

VERSION: Final = "page.1"
INDEX: Final = "index.1"
# The places in the tuple.
STATUS, REASON, FIELDS, BODY, LENGTH = 1, 2, 3, 4, 5
BORN_AT, FRESH_UNTIL, KEEP_UNTIL = 6, 7, 8
TERMS, ASKED_AT, ANSWERED_AT, VARYING, DIRECTIVE, TAGS, NONCE, OPEN, HAS_STATUS, DATE, NEGOTIABLE, MARK = (
    range(9, 21)
)
SIZE: Final = 21
# A larger body is stored beside its page.
INLINE_BYTES: Final = 32_768
# How a directive of our own decorator is told to the policy, as a field of RFC 9213 that never leaves the process.
DIRECTIVE_FIELD: Final = "perfsuite-cache-control"
# Of one answer, or added anew to each.
NOT_STORED: Final = frozenset(
    {"age", "server-timing", "x-perfsuite-invalidate", "set-cookie", DIRECTIVE_FIELD}
)


def is_page(value: Any) -> bool:
    """Tell whether a value from a cache is a page of this version."""
    return type(value) is tuple and len(value) == SIZE and value[0] == VERSION


def fields_of(response: HttpResponseBase) -> Fields:
    """Return the header fields of a response, without its cookies."""
    return {name.lower(): (name, value) for name, value in response.items()}


def lower(fields: Fields) -> dict[str, str]:
    """Return the fields as the policy wants them."""
    return {name: value for name, (_, value) in fields.items()}


def entity_tag(body: bytes) -> str:
    """Return a strong ETag of a body."""
    return f'"{sha256(body).hexdigest()[:32]}"'


def made(  # noqa: PLR0913 - all that a page is
    stored: Stored,
    fields: Fields,
    body: bytes,
    *,
    reason: str,
    directive: str,
    tags: Iterable[str],
    is_open: bool,
    keep_s: float,
    mark: bool | None = None,
    compresses: bool = False,
) -> Page:
    """Make a page of what the policy keeps of a response; ``keep_s`` is how long one that can be validated stays when stale.

    ``mark`` is what its view says of compressing it, ``compresses`` whether CompressionMiddleware would.
    """
    terms = stored.terms
    assert terms is not None  # noqa: S101 - what `keep` returns has them
    kept: Fields = {}
    for name, value in stored.response.headers.items():
        if name not in NOT_STORED:
            kept[name] = (fields[name][0] if name in fields else name.title(), value)
    date = (
        "" if "date" in fields else kept.pop("date", ("", ""))[1]
    )  # servers write one themselves; Age says the age
    if stored.response.status == 204:
        kept.pop("content-length", None)  # it never has one (RFC 9110 8.6)
    else:
        kept["content-length"] = ("Content-Length", str(len(body)))
    negotiable = mark is not False and encoding.is_negotiable(
        stored.response.status, lambda name: kept[name][1] if name in kept else None
    )
    if negotiable and compresses:
        # The fields that the page varies on were worked out before: which form is sent is not for the key.
        vary = kept.get("vary", ("Vary", None))
        kept["vary"] = (vary[0], encoding.with_accept_encoding(vary[1]))
    fresh_until = terms.born_at + terms.lifetime
    extra = 0.0 if terms.never_stale else max(terms.stale_while_revalidate, terms.stale_if_error)
    if "etag" in kept or "last-modified" in kept:
        extra = max(extra, keep_s)
    return (
        VERSION,
        stored.response.status,
        reason,
        kept,
        body,
        len(body),
        terms.born_at,
        0.0 if terms.always_validate else fresh_until,
        fresh_until + extra,
        tuple(terms),
        stored.asked_at,
        stored.answered_at,
        stored.varying,
        directive,
        tuple(tags),
        secrets.token_hex(8),
        is_open,
        "cache-status" in kept,
        date,
        negotiable,
        mark,
    )


def without_body(page: Page) -> Page:
    """Return a page whose body is stored beside it."""
    return (*page[:BODY], None, *page[LENGTH:])


def with_body(page: Page, body: bytes) -> Page:
    """Return a page with its body."""
    return (*page[:BODY], body, *page[LENGTH:])


def body_key(page: Page, key: str, form: str = "body") -> str:
    """Return where a body, or a compressed form of it, is stored beside its page."""
    return f"{key}:{page[NONCE]}:{form}"


def headers_of(page: Page) -> dict[str, str]:
    """Return a page's fields as the policy wants them, our own directive among them."""
    headers = lower(page[FIELDS])
    if page[DIRECTIVE]:
        headers[DIRECTIVE_FIELD] = page[DIRECTIVE]
    if page[DATE]:
        headers["date"] = page[DATE]
    return headers


def stored_of(page: Page) -> Stored:
    """Return what the policy sees of a page."""
    return Stored(
        Response(page[STATUS], headers_of(page)),
        page[ASKED_AT],
        page[ANSWERED_AT],
        page[VARYING],
        Terms(*page[TERMS]),
    )


# Hot path: benchmarks/responses.py
def served_stale_until(page: Page) -> float:
    """Return until when a page is served stale to who asks for nothing in particular (RFC 5861 3); 0 for one that is not."""
    _, _, always_validate, never_stale, while_revalidate, _, _ = page[TERMS]
    return (
        0.0
        if always_validate or never_stale or not while_revalidate
        else page[FRESH_UNTIL] + while_revalidate
    )


# Hot path: benchmarks/responses.py
def response_of(page: Page, body: bytes, fields: Fields) -> HttpResponse:
    """Return a new response with a page's status, ``fields`` and ``body``."""
    response = HttpResponse(body, status=page[STATUS])
    if page[REASON]:
        response.reason_phrase = page[REASON]
    headers.put_all(response, fields)
    return response


def index_of(sets: Iterable[tuple[str, ...]], keys: Iterable[str], until: float) -> Page:
    """Return what stands under the key of a page that has variants: the fields they depend on, and the variants' keys."""
    return (INDEX, tuple(sets), tuple(keys), until)


def is_index(value: Any) -> bool:
    """Tell whether a value from a cache says which variants there are."""
    return type(value) is tuple and len(value) == 4 and value[0] == INDEX


def mapping_of(fields: Mapping[str, str]) -> Fields:
    """Return fields of the policy's as a response takes them."""
    return {name: (_written(name), value) for name, value in fields.items()}


def _written(name: str) -> str:
    return {"etag": "ETag", "www-authenticate": "WWW-Authenticate"}.get(name, name.title())
