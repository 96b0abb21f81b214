"""Why a URL is or is not answered from the response cache, found out by asking for it once and looking at what came of it.

The rules are not written again here: the request goes through the site's own middleware, and what that has decided is read
from its exchange. Its view runs as for a visitor, and what may be stored is stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from perfsuite.responses import keys, making, pages
from perfsuite.responses.caching import ResponseCacheMiddleware, placed
from perfsuite.responses.config import OURS, Config, current_config, position
from perfsuite.responses.exchange import Exchange, ViewOptions
from perfsuite.responses.explanation import Explanation, lifetime, runs_each_time
from perfsuite.responses.inprocess import Answer, InProcess, environ_of
from perfsuite.responses.judging import judge, look
from perfsuite.responses.keys import MAX_QUERY_CHARS
from perfsuite.responses.looking import Found
from perfsuite.responses.store import faults, store_of

# The fields of a response that have to do with caching; of Set-Cookie only the names of the cookies are told.
TOLD = (
    "Cache-Control", "CDN-Cache-Control", "Surrogate-Control", "Expires", "Age", "ETag", "Last-Modified", "Vary",
    "Content-Type", "Content-Encoding", "Location", "Cache-Status",
)  # fmt: skip


def explain(url: str, headers: Sequence[str] = ()) -> Explanation:
    """Ask for a URL once, through the site's own middleware, and say step by step why a repeat is answered as it is.

    ``headers`` are ``"Name: value"``. Raises NotAskable for what is no URL of the site. The view runs unless the cache answers.
    """
    environ = environ_of(url, headers)
    found, config = Explanation(), current_config()
    reason = _is_missing(found, config)
    if reason or config is None:
        return found.conclude(runs_each_time(reason), reason)
    site = InProcess()
    if site.cache is None:
        return found.conclude(runs_each_time("not-installed"), "not-installed")
    watch = Watch(site.cache)
    failures = faults.count
    answer = site.ask(environ, lambda: _bytes_to_read(watch, config))
    _say_request(found, watch, answer, config)
    if not watch.is_reached:
        _say_response(found, answer)
        return found.conclude(runs_each_time("not-reached"), "not-reached")
    exchange = watch.exchange
    _say_answer(found, watch, answer, exchange)
    _say_response(found, answer)
    if exchange is None:
        reason = "query" if len(environ["QUERY_STRING"]) > MAX_QUERY_CHARS else "failure"
        return found.conclude(runs_each_time(reason), reason)
    return judge(found, exchange, answer, has_failed=faults.count > failures)


class Watch:
    """Notes what reaches a ResponseCacheMiddleware, and what is stored for it at that moment. Only that object is changed."""

    def __init__(self, middleware: ResponseCacheMiddleware) -> None:
        self.is_reached = self.is_answered = False
        self.before: Found | None = None
        self.held: Any = None
        # The middleware's own, where it has one; it has none for what is at hand at once.
        self.exchange: Exchange | None = None
        self._enter: Callable[[HttpRequest, Config], Any] = middleware.enter
        middleware.enter = self.enter  # type: ignore[method-assign]

    def enter(self, request: HttpRequest, config: Config) -> Any:
        """Look, and go on as the middleware does."""
        self.is_reached = True
        try:
            self._look(request, config)
        except Exception as exc:  # noqa: BLE001 - the middleware will fail by it too, and deal with it
            faults.add(exc, "Looking for what is stored")
        entry = self._enter(request, config)
        self.is_answered = isinstance(entry, HttpResponseBase)
        if not self.is_answered:
            self.exchange = entry[0] if isinstance(entry, tuple) else None
        return entry

    def _look(self, request: HttpRequest, config: Config) -> None:
        if len(request.META.get("QUERY_STRING", "")) > MAX_QUERY_CHARS:
            return
        exchange = Exchange(request, config)
        exchange.place(*placed(request, config))
        exchange.store, exchange.cookies = store_of(config.options.alias), None
        self.held, self.exchange = exchange.store.read(exchange.key), exchange
        self.before = look(exchange, exchange.key, self.held)


def _is_missing(found: Explanation, config: Config | None) -> str:
    """Say where the middleware stands and which cache it uses; return in a word what is missing, or ""."""
    place, paths = position(OURS), [str(path) for path in settings.MIDDLEWARE or ()]
    if place is None:
        found.say("middleware", f"{OURS} is not in MIDDLEWARE.")
        return "not-installed"
    found.say(
        "middleware", f"{OURS} is number {place + 1} of {len(paths)} in MIDDLEWARE{_around(paths, place)}."
    )
    from perfsuite.responses.checks.caching import check_cache_order

    for message in check_cache_order():
        found.say("order", str(message.msg))
    if config is None:
        found.say("cache", "It is off.")
        return "off"
    alias = config.options.alias
    if store_of(alias) is None:
        found.say("cache", f"It is on, and the cache {alias!r} cannot be used.")
        return "no-cache"
    kind = settings.CACHES[alias]["BACKEND"]
    found.say("cache", f"It is on, in the cache {alias!r} ({kind}).")
    return ""


def _around(paths: list[str], place: int) -> str:
    outside, inside = (
        [path.rpartition(".")[2] for path in part] for part in (paths[:place], paths[place + 1 :])
    )
    after = f", after {', '.join(outside)}" if outside else ""
    return f"{after}{', before ' + ', '.join(inside) if inside else ''}"


def _say_request(found: Explanation, watch: Watch, answer: Answer, config: Config) -> None:
    request = answer.request
    fields = [name[5:].replace("_", "-").title() for name in request.META if name.startswith("HTTP_")]
    sent = ", ".join(sorted(name for name in fields if name != "Host"))
    found.say("request", f"GET {request.build_absolute_uri()}{' with ' + sent if sent else ''}")
    exchange = watch.exchange
    if exchange is None:
        return
    tenant = "no tenant" if exchange.tenant is None else f"the tenant {exchange.tenant!r}"
    language = "" if exchange.language is None else f" and the language {exchange.language!r}"
    found.say("partition", f"It is for {tenant}{language}.")
    query = f"with the query {exchange.query!r}" if exchange.query else "without a query"
    rule = "" if config.options.query == keys.AS_IS else f" (QUERY is {config.options.query!r})"
    found.say("key", f"{exchange.key}: {exchange.scheme}, {exchange.host}, {exchange.path}, {query}{rule}.")
    found.say("stored before", _stored(watch.held, watch.before))


def _stored(held: Any, before: Found | None) -> str:
    """Return in words what was stored of a page for everyone."""
    variants = f", one of {len(held[2])} variants by {_names(held[1])}" if pages.is_index(held) else ""
    if before is None:
        return (
            f"Nothing that fits the request{variants.replace('one of ', 'but ', 1)}."
            if variants
            else "Nothing."
        )
    left = before[1][pages.FRESH_UNTIL] - time.time()
    return f"A page{lifetime(before[1], left)}{variants}."


def _names(sets: Any) -> str:
    return ", ".join(sorted({name for names in sets for name in names}))


def _say_answer(found: Explanation, watch: Watch, answer: Answer, exchange: Exchange | None) -> None:
    outcome = exchange.outcome if exchange is not None and not watch.is_answered else "hit"
    took = f"{answer.seconds * 1000:.3g} ms"
    if (
        exchange is not None
        and outcome in ("hit", "stale")
        and (exchange.answered or exchange.response is None)
    ):
        found.say("answer", f"From the cache ({outcome}) in {took}; the view did not run.")
    else:
        found.say("answer", f"The view ran, {took}.")
    if answer.failure:
        found.say("body", f"It failed: {answer.failure}")
    options = None if exchange is None else exchange.options
    if options is not None:
        found.say("view", f"It says {_decorator(options)}.")


def _decorator(options: ViewOptions) -> str:
    vary_on = [*options.fields, *(making.COOKIE_FIELD + name for name in options.cookies)]
    given = {
        "timeout": options.timeout,
        "per": options.per,
        "vary_on": vary_on,
        "stale_for": options.stale_for,
    }
    shown = [f"{name}={value!r}" for name, value in given.items() if value not in (None, [], "everyone")]
    return f"@cache_response({', '.join(shown)})"


def _say_response(found: Explanation, answer: Answer) -> None:
    response = answer.response
    said = [f"{name}: {response[name]}" for name in TOLD if response.has_header(name)]
    if response.cookies:
        said.append(f"Set-Cookie: {', '.join(response.cookies)}")
    found.say("response", "; ".join([f"{response.status_code} {response.reason_phrase}", *said]))


def _bytes_to_read(watch: Watch, config: Config) -> int:
    """Return how much of a streaming body to read: what may be stored if it ends well, and nothing of any other."""
    waits = watch.exchange is not None and watch.exchange.reason == "stream"
    return config.options.max_body_bytes if waits else 0
