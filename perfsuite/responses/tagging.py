"""Tags of responses: dropping pages when tags are invalidated, and telling the client which were."""

from __future__ import annotations

from typing import Any

from perfsuite.responses import answering, identity, keys, pages
from perfsuite.responses.config import current_config
from perfsuite.responses.exchange import Exchange, current
from perfsuite.responses.forwarding import view
from perfsuite.responses.policy import Request, Response, invalidated_uris
from perfsuite.responses.steps import ASK, Steps
from perfsuite.responses.store import Store, TieredStore, faults, store_of

MAX_TOLD_CHARS = 1_024
EVERYTHING = "*"
HEADER = "X-Perfsuite-Invalidate"


def serve_unsafe(exchange: Exchange) -> Steps:
    """Run the view of a request that may change something, and drop what is outdated by it (RFC 9111 4.4)."""
    response = yield from view(exchange)
    tags = _outdated(exchange, response)
    store: Store = exchange.store
    if tags:
        yield ASK, lambda: store.invalidate(tags)
    _tell(exchange, response)
    answering.say_forwarded(response, exchange.config, "method")
    exchange.outcome, exchange.reason = "bypassed", "method"
    return response


def _outdated(exchange: Exchange, response: Any) -> list[str]:
    try:
        seen = Response(response.status_code, pages.lower(pages.fields_of(response)))
        asked = Request(exchange.request.method or "", exchange.uri, {})
        options, config = exchange.config.options, exchange.config
        found = [keys.tag_of_uri(uri, options.query, config.allowed) for uri in invalidated_uris(asked, seen)]
        return [tag for tag in dict.fromkeys(found) if tag]
    except Exception as exc:  # noqa: BLE001 - the response is in order
        faults.add(exc, "Looking for what a request made outdated")
        return []


def _tell(exchange: Exchange, response: Any) -> None:
    """Name the tags that the request has invalidated, so that the browser's side drops what it keeps; ``*`` for too many."""
    if not exchange.invalidated or not exchange.config.options.invalidate_header:
        return
    told = ",".join(
        tag for tag in exchange.invalidated if tag.isascii() and tag.isprintable() and "," not in tag
    )
    response[HEADER] = told if len(told) <= MAX_TOLD_CHARS else EVERYTHING


def drop_pages(tags: tuple[str, ...]) -> None:
    """Drop the pages that carry one of the tags, and note them for the client whose request has invalidated them."""
    exchange = current.get()
    if exchange is not None:
        exchange.invalidated.update(dict.fromkeys([tag for tag in tags if not tag.startswith(keys.INTERNAL)]))
    config = current_config()
    store = None if config is None else store_of(config.options.alias)
    if store is not None and not isinstance(store, TieredStore):  # those have dropped it already
        store.invalidate(tags)


def drop_user(pk: Any) -> None:
    """Drop all pages that are kept for a user."""
    _drop(identity.user_tag(pk))


def drop_all_users() -> None:
    """Drop all pages that are kept for users: what any of them may see has changed."""
    _drop(identity.ALL_USERS)


def _drop(tag: str) -> None:
    config = current_config()
    store = None if config is None else store_of(config.options.alias)
    if store is not None:
        store.invalidate([tag])
