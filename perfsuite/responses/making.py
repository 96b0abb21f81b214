"""A page made of a response, if it may be stored: by the RFC, by whom it may belong to, and by its size.

Whatever fails unexpectedly here means that nothing is stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from perfsuite.responses import headers, identity, keys, marks, pages
from perfsuite.responses.exchange import TENANT, USER, Exchange, ViewOptions
from perfsuite.responses.pages import DIRECTIVE_FIELD, Page
from perfsuite.responses.policy import Policy, Request, Response, keep, may_store
from perfsuite.responses.policy.directives import parse
from perfsuite.responses.store import faults

MAX_TAGS = 200
MAX_TAG_HEADER_CHARS = 4_096
# Statuses to which the view's own timeout applies; others are stored only by what their fields say.
TIMED = frozenset({200, 203, 204, 301, 308})
EVENT_STREAM = "text/event-stream"
COOKIE_FIELD = "cookie:"
_PLAIN = ViewOptions()


def options_of(exchange: Exchange) -> ViewOptions:
    """Return what the view says, or what holds for views that say nothing."""
    return exchange.options or _PLAIN


def dress(exchange: Exchange, response: HttpResponseBase) -> None:
    """Add to a view's response what its decorator means for those outside: what it varies on, and who may store it."""
    options = exchange.options
    if options is None:
        return
    fields = (*options.fields, "Cookie") if options.cookies else options.fields
    if fields:
        patch_vary_headers(response, list(fields))
    headers: Any = response
    if (
        options.timeout is not None
        and not response.has_header("Cache-Control")
        and not response.has_header("Expires")
    ):
        # Browsers and CDNs cannot be told of an invalidation, so they ask each time, which costs a 304.
        headers["Cache-Control"] = "private, no-cache" if options.per == USER else "no-cache"


def why_not(exchange: Exchange, response: HttpResponseBase) -> str:
    """Return in a word why a response is not stored, or "". Never raises: a rule that fails forbids."""
    try:
        return _why_not(exchange, response)
    except Exception as exc:  # noqa: BLE001 - what cannot be judged is not stored
        faults.add(exc, "Judging a response")
        return "failure"


def _why_not(exchange: Exchange, response: HttpResponseBase) -> str:
    if says_nothing(exchange, response):
        return "no-lifetime"
    if exchange.never:
        return "waited" if exchange.reason == "waited" else "never"
    if len(exchange.tags) > MAX_TAGS:
        return "tags"
    if not getattr(response, "is_rendered", True):
        return "unrendered"
    seen = response_seen(exchange, response)
    return _why_policy_forbids(exchange, response.status_code, seen) or whose(exchange, response, seen)


def _why_policy_forbids(exchange: Exchange, status: int, seen: dict[str, str]) -> str:
    if seen.get("content-type", "").partition(";")[0].strip().lower() == EVENT_STREAM:
        return "event-stream"
    verdict = may_store(exchange.as_policy_sees_it(), Response(status, seen), _policy(exchange))
    if not verdict.ok:
        return verdict.reason
    if DIRECTIVE_FIELD in seen:
        # The decorator says how long; that nobody may store it, the view says.
        given = parse(seen.get("cache-control", ""))
        if "no-store" in given:
            return "no-store"
        if "private" in given and options_of(exchange).per != USER:
            return "private"
    return ""


# Hot path: benchmarks/responses.py; most responses of most sites.
def says_nothing(exchange: Exchange, response: HttpResponseBase) -> bool:
    """Tell whether a response has none of the fields without which the policy never lets one be stored."""
    return (
        exchange.options is None
        and exchange.config.needs_words
        and not exchange.never
        and not headers.has_any(response, exchange.config.words)
    )


def whose(exchange: Exchange, response: HttpResponseBase, seen: dict[str, str]) -> str:
    """Return in a word why a response may belong to somebody else than those it would be stored for, or ""."""
    request, options, config = exchange.request, options_of(exchange), exchange.config
    allowed = config.public_cookies.union(options.cookies)
    if options.per == USER:
        if not exchange.user_key:
            return "anonymous"
        return identity.why_not_users(request, response, exchange.cookies, allowed) or _user_has_changed(
            exchange
        )
    if options.per == TENANT and exchange.tenant is None:
        return "no-tenant"
    if config.hides_tenant:
        return "tenant-inside"
    if "cookie" in _names(seen.get("vary", "")) and not options.cookies:
        return "vary-cookie"
    return identity.why_not_everyones(
        request, response, exchange.cookies, allowed, exchange.options is not None
    )


def identity_forbids(exchange: Exchange, response: HttpResponseBase) -> bool:
    """Tell whether a response to a validation belongs to somebody. Never raises."""
    try:
        return exchange.never or bool(whose(exchange, response, pages.lower(pages.fields_of(response))))
    except Exception as exc:  # noqa: BLE001 - what cannot be judged is not stored
        faults.add(exc, "Judging a response")
        return True


def _user_has_changed(exchange: Exchange) -> str:
    return "" if identity.user_of(exchange.request) == exchange.user else "user"


def _policy(exchange: Exchange) -> Policy:
    return exchange.config.user_policy if options_of(exchange).per == USER else exchange.config.policy


def response_seen(exchange: Exchange, response: HttpResponseBase) -> dict[str, str]:
    """Return a response's fields as the policy sees them, the timeout of the decorator or the default one among them."""
    seen = pages.lower(pages.fields_of(response))
    seen.pop(DIRECTIVE_FIELD, None)
    if response.cookies:
        seen["set-cookie"] = ""
    directive = directive_of(exchange, response, seen)
    if directive:
        seen[DIRECTIVE_FIELD] = directive
    return seen


def directive_of(exchange: Exchange, response: HttpResponseBase, seen: dict[str, str]) -> str:
    """Return how long a response is fresh by the decorator, or by default where it says nothing itself; "" for neither."""
    options, default_s = options_of(exchange), exchange.config.options.default_timeout_s
    if options.timeout is not None:
        return options.directive if response.status_code in TIMED else ""
    if not default_s or response.status_code != 200 or "cache-control" in seen or "expires" in seen:
        return ""
    return "" if any(name in seen for name in exchange.config.policy.targeted) else f"max-age={default_s}"


def _names(vary: str) -> set[str]:
    return {name.strip().lower() for name in vary.split(",")}


def made_page(exchange: Exchange, response: HttpResponseBase, body: bytes | None = None) -> Page | None:
    """Make a page of a response that may be stored; None if that fails. Never raises."""
    try:
        content: bytes = response.content if body is None else body  # type: ignore[attr-defined]
        return page_of(exchange, response, content)
    except Exception as exc:  # noqa: BLE001 - the response itself is in order
        faults.add(exc, "Making a page of a response")
        return None


def page_of(exchange: Exchange, response: HttpResponseBase, body: bytes) -> Page:
    """Make a page of a response that may be stored."""
    config, options = exchange.config, options_of(exchange)
    fields, seen = pages.fields_of(response), response_seen(exchange, response)
    directive = seen.get(DIRECTIVE_FIELD, "")
    request = exchange.as_policy_sees_it()
    if config.options.etags and "etag" not in seen and response.status_code == 200:
        seen["etag"] = pages.entity_tag(body)
        fields["etag"] = ("ETag", seen["etag"])
    tags = tuple(sorted(exchange.tags))
    for name in config.options.tag_headers:
        if tags and name.lower() not in seen:
            seen[name.lower()] = tag_header(name, tags)
            fields[name.lower()] = (name, seen[name.lower()])
    policy = _policy(exchange)
    stored = keep(request, Response(response.status_code, seen), exchange.asked_at, time.time(), policy)
    varying = varying_of(exchange, stored.varying, options.cookies)
    stored = type(stored)(stored.response, stored.asked_at, stored.answered_at, varying, stored.terms)
    is_open = (
        options.per != USER
        and may_store(_with_authorization(request), Response(response.status_code, seen), policy).ok
    )
    return pages.made(
        stored,
        fields,
        body,
        reason=_own_reason(response),
        directive=directive,
        tags=(*tags, *_own_tags(exchange)),
        is_open=is_open or exchange.options is not None,
        keep_s=float(config.options.keep_stale_s),
        mark=marks.marked(response),
        compresses=config.compresses,
    )


def _own_tags(exchange: Exchange) -> Iterator[str]:
    yield exchange.uri_tag
    if exchange.user is not None and options_of(exchange).per == USER:
        yield identity.user_tag(exchange.user[0])
        yield identity.ALL_USERS


def _own_reason(response: HttpResponseBase) -> str:
    return str(getattr(response, "_reason_phrase", None) or "")


class _Authorized:
    """The fields of a request, with Authorization among them."""

    def __init__(self, fields: Any) -> None:
        self._fields = fields

    def get(self, name: str, default: Any = None) -> Any:
        return "x" if name == "authorization" else self._fields.get(name, default)


def _with_authorization(request: Request) -> Request:
    return Request(request.method, request.uri, _Authorized(request.headers))  # type: ignore[arg-type]


def varying_of(
    exchange: Exchange, varying: Any, cookies: tuple[str, ...]
) -> tuple[tuple[str, str | None], ...]:
    """Return what a page varies on: the fields that Vary names, with named cookies in the place of all cookies.

    The language is in the key already. Of a user's page the cookies are too: they say who it is.
    """
    is_users = options_of(exchange).per == USER
    found = [
        (name, value)
        for name, value in varying
        if not (name == "accept-language" and exchange.language is not None)
        and not (name == "cookie" and (cookies or is_users))
    ]
    watched = exchange.cookies
    found += [
        (COOKIE_FIELD + name, None if watched is None else watched.plain(name)) for name in sorted(cookies)
    ]
    return tuple(found)


def tag_header(name: str, tags: tuple[str, ...]) -> str:
    """Return tags as a CDN reads them: separated by commas in Cache-Tag, by spaces in Surrogate-Key."""
    separator = "," if name.lower() == "cache-tag" else " "
    made, length = [], 0
    for tag in tags:
        if (
            tag.startswith(keys.INTERNAL)
            or not tag.isascii()
            or not tag.isprintable()
            or " " in tag
            or "," in tag
        ):
            continue
        length += len(tag) + 1
        if length > MAX_TAG_HEADER_CHARS:
            break
        made.append(tag)
    return separator.join(made)
