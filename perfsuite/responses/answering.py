"""The response to one request, made of a page: the whole, a part, a 304, or the fields alone; and what our headers say of it."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import LazyObject, empty

from perfsuite.responses import headers, pages
from perfsuite.responses.config import Config
from perfsuite.responses.pages import (
    BODY,
    BORN_AT,
    DIRECTIVE_FIELD,
    FIELDS,
    FRESH_UNTIL,
    HAS_STATUS,
    LENGTH,
    STATUS,
    Page,
)
from perfsuite.responses.policy import (
    UNSATISFIABLE,
    Range,
    Request,
    Response,
    Unsatisfiable,
    byte_range,
    cache_status,
    not_modified_headers,
    partial_headers,
    precondition,
    unsatisfiable_headers,
)

CONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE")


# Hot path: benchmarks/responses.py
def is_plain(meta: dict[str, Any]) -> bool:
    """Tell whether a request says nothing to the cache, and brings no credentials that a page would have to allow."""
    return not (
        "HTTP_CACHE_CONTROL" in meta
        or "HTTP_PRAGMA" in meta
        or "HTTP_AUTHORIZATION" in meta
        or "REMOTE_USER" in meta
    )


def wants_whole(meta: dict[str, Any]) -> bool:
    """Tell whether a request has no conditions and wants no part."""
    return not ("HTTP_IF_NONE_MATCH" in meta or "HTTP_IF_MODIFIED_SINCE" in meta or "HTTP_RANGE" in meta)


def needs_no_body(kind: int | Range | Unsatisfiable | None, method: str) -> bool:
    """Tell whether what is to be answered has no body."""
    return method == "HEAD" or kind == 304 or kind is UNSATISFIABLE


def kind_of(request: Request, page: Page, now: float) -> int | Range | Unsatisfiable | None:
    """Return what to answer instead of the whole page: 304, a part, nothing satisfiable; None for the whole."""
    get = request.headers.get
    is_conditional = get("if-none-match") is not None or get("if-modified-since") is not None
    if not is_conditional and get("range") is None:
        return None
    response = Response(page[STATUS], pages.headers_of(page))
    if is_conditional and precondition(request, response, now) is not None:
        return 304
    return byte_range(request, response, page[LENGTH])


def answer(page: Page, method: str, kind: int | Range | Unsatisfiable | None = None) -> HttpResponse:
    """Return a response made of a page whose body is there, unless the answer needs none."""
    if kind is None:
        return pages.response_of(page, b"" if method == "HEAD" else page[BODY], page[FIELDS])
    seen = pages.headers_of(page)
    body = b""
    if kind == 304:
        status, seen = 304, not_modified_headers(seen)
    elif isinstance(kind, Range):
        status, seen, body = 206, partial_headers(seen, kind, page[LENGTH]), page[BODY][kind.slice]
    else:
        status, seen = 416, unsatisfiable_headers(seen, page[LENGTH])
    for name in (DIRECTIVE_FIELD, *(() if "date" in page[FIELDS] else ("date",))):
        seen.pop(name, None)
    response = HttpResponse(body, status=status)
    written = {name: value[0] for name, value in page[FIELDS].items()}
    headers.put_all(
        response, {name: (written.get(name) or name.title(), value) for name, value in seen.items()}
    )
    return response


# Hot path: benchmarks/responses.py
def say_hit(response: Any, page: Page, now: float, config: Config, detail: str = "") -> None:
    """Add Age, Cache-Status and Server-Timing to what was made of a page."""
    age = now - page[BORN_AT]
    headers.put(response, "Age", str(int(age)) if age > 0 else "0")
    options = config.options
    if not options.headers:
        return
    ttl = (page[FRESH_UNTIL] or now) - now
    if page[HAS_STATUS] or detail:
        before = str(response.get("Cache-Status", ""))
        response["Cache-Status"] = cache_status(options.name, hit=True, ttl=ttl, detail=detail, before=before)
    else:
        headers.put(response, "Cache-Status", f"{config.member}; hit; ttl={int(ttl // 1)}")
    headers.put(response, "Server-Timing", "cache;desc=hit")


def say_collapsed(response: Any, page: Page, now: float, config: Config, fwd: str) -> None:
    """Add the same to what was made of a page that another request has just had made (RFC 9211 2.6)."""
    headers.put(response, "Age", str(max(0, int(now - page[BORN_AT]))))
    if not config.options.headers:
        return
    before, ttl = str(response.get("Cache-Status", "")), (page[FRESH_UNTIL] or now) - now
    name = config.options.name
    response["Cache-Status"] = cache_status(name, fwd=fwd, ttl=ttl, collapsed=True, before=before)
    headers.put(response, "Server-Timing", "cache;desc=collapsed")


def say_forwarded(response: HttpResponseBase, config: Config, fwd: str, **more: Any) -> None:
    """Add to Cache-Status why a view ran."""
    options = config.options
    if not options.headers:
        return
    before = headers.getter(response)("cache-status") or ""
    if not before and not more:
        headers.put(response, "Cache-Status", f"{config.member}; fwd={fwd}")
        return
    cast(Any, response)["Cache-Status"] = cache_status(options.name, fwd=fwd, before=before, **more)


def shows_details(request: HttpRequest) -> bool:
    """Tell whether the client may know how the site is built: with DEBUG, or where the view has loaded a user who is staff."""
    if settings.DEBUG:
        return True
    user = request.__dict__.get("user")
    if isinstance(user, LazyObject):
        user = object.__getattribute__(user, "__dict__").get("_wrapped", empty)
        if user is empty:
            user = request.__dict__.get("_acached_user")
    held = getattr(user, "__dict__", None) or {}
    return held.get("is_staff") is True and held.get("is_active", True) is True


def gateway_timeout() -> HttpResponse:
    """Return the answer to a request that takes only what is stored, and there is nothing (RFC 9111 5.2.1.7)."""
    response = HttpResponse(b"", status=504, content_type="text/plain")
    response["Cache-Control"] = "no-store"
    return response
