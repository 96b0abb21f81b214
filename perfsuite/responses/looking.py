"""Finding the page that a request may get, and putting one where it will be found.

Under the key of what is asked for stands the page itself; where pages of one URI differ by ``Vary``, an index of the fields
that they differ by, newest first, and of the variants, whose number is bounded. A page without ``Vary`` among them is the
variant by no field. Of several that fit the policy chooses (RFC 9111 4 and 4.1).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import Any

from perfsuite.responses import keys, pages
from perfsuite.responses.exchange import Exchange
from perfsuite.responses.making import COOKIE_FIELD
from perfsuite.responses.pages import BODY, INLINE_BYTES, KEEP_UNTIL, LENGTH, TAGS, VARYING, Page
from perfsuite.responses.policy import select, varying_by
from perfsuite.responses.steps import ASK, Steps

# Sets of fields that are tried for one URI.
MAX_SETS = 4
Found = tuple[str, Page]
# Stands under a key in a store that processes share when the last answer was nobody else's, so that none waits for another.
USELESS = ("useless.1",)
NOTHING: Any = object()  # what a key holds of which all is known, and that is nothing


def read(exchange: Exchange, key: str) -> Steps:
    """Return what a key holds; from memory at once, if it is there."""
    store = exchange.store
    if store.is_local:
        return store.read(key)
    held = store.peek(key)
    return held if held is not None else (yield ASK, partial(store.read, key))


def find(exchange: Exchange, key: str, held: Any = None) -> Steps:
    """Return the key and the page that fit the request, fresh or stale, or None. ``held`` is what the key holds, if known."""
    if held is None:
        held = yield from read(exchange, key)
    if pages.is_page(held):
        return (key, held)
    if not pages.is_index(held):
        return None
    exchange.varies = True
    fitting: list[Found] = []
    for names in held[1]:
        variant = keys.variant_key(key, selected(exchange, names))
        page = yield from read(exchange, variant)
        if pages.is_page(page):
            fitting.append((variant, page))
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    stored = [pages.stored_of(page) for _, page in fitting]
    chosen = select(stored, exchange.as_policy_sees_it())
    return next((each for each, its in zip(fitting, stored, strict=True) if its is chosen), None)


def selected(exchange: Exchange, names: Iterable[str]) -> tuple[tuple[str, str | None], ...]:
    """Return the fields of this request that pages vary on, and its cookies of those names."""
    plain = [name for name in names if not name.startswith(COOKIE_FIELD)]
    cookies: Any = exchange.cookies if exchange.cookies is not None else exchange.request.COOKIES
    get = getattr(cookies, "plain", cookies.get)
    return (
        *varying_by(exchange.as_policy_sees_it(), plain),
        *((name, get(name[len(COOKIE_FIELD) :])) for name in names if name.startswith(COOKIE_FIELD)),
    )


def with_body(exchange: Exchange, key: str, page: Page) -> Steps:
    """Return a page with its body, None if that is gone."""
    if page[BODY] is not None:
        return page
    store, place = exchange.store, pages.body_key(page, key)
    body = store.read_part(place) if store.is_local else (yield ASK, partial(store.read_part, place))
    return None if type(body) is not bytes or len(body) != page[LENGTH] else pages.with_body(page, body)


def put(exchange: Exchange, key: str, page: Page) -> Steps:
    """Store a page; tell whether it is stored, which it is not if one of its tags was invalidated meanwhile."""
    if exchange.store.is_local:
        return _put(exchange, key, page)
    return (yield ASK, partial(_put, exchange, key, page))


def _put(exchange: Exchange, key: str, page: Page) -> bool:
    store, now = exchange.store, time.time()
    timeout_s = page[KEEP_UNTIL] - now
    if timeout_s <= 0:
        return False
    place = key
    if page[VARYING] or exchange.varies:
        place = keys.variant_key(key, page[VARYING])
        _enter(exchange, key, place, tuple([name for name, _ in page[VARYING]]), page[KEEP_UNTIL])
    if page[LENGTH] > INLINE_BYTES:
        store.write_part(pages.body_key(page, place), page[BODY], timeout_s)
        page = pages.without_body(page)
    return bool(store.write(place, page, timeout_s, page[TAGS], exchange.mark))


def put_useless(exchange: Exchange) -> Steps:
    """Tell the other processes that answers for this key are nobody else's for now."""
    store, key, seconds = exchange.store, exchange.key, exchange.config.options.hit_for_miss_s

    def do() -> None:
        if seconds and store.read(key) is None:
            store.write(key, USELESS, seconds, (), None)

    yield ASK, do


def _enter(exchange: Exchange, key: str, variant: str, names: tuple[str, ...], until: float) -> None:
    """Have the index name a variant, as the newest; the oldest beyond the limit go."""
    store, now = exchange.store, time.time()
    held = store.read(key)
    sets, variants = ((), ()) if not pages.is_index(held) else (held[1], held[2])
    if pages.is_index(held):
        if sets and sets[0] == names and variant in variants and held[3] >= until:
            return
        until = max(until, held[3])
    most = exchange.config.options.max_variants
    listed = (variant, *(each for each in variants if each != variant))
    if gone := listed[most:]:
        store.drop(gone)
    newest_first = [each for each in (names, *(each for each in sets if each != names)) if each][:MAX_SETS]
    last = [()] if () in (names, *sets) else []
    index = pages.index_of((*newest_first, *last), listed[:most], until)
    store.write(key, index, until - now, (), None)
