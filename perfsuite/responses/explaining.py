"""Why a URL is or is not answered from the response cache, found out by asking for it once and looking at what came of it.

The rules are not written again here: the request goes through the site's own middleware, and what that has decided is read
from its exchange. Its view runs as for a visitor, and what may be stored is stored.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.dummy import DummyCache
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from perfsuite.caching.flight import wait
from perfsuite.responses import deduplication, identity, keys, looking, making, pages
from perfsuite.responses.caching import ResponseCacheMiddleware, placed
from perfsuite.responses.config import OURS, Config, current_config, position
from perfsuite.responses.exchange import USER, Exchange, ViewOptions
from perfsuite.responses.inprocess import Answer, InProcess, environ_of
from perfsuite.responses.keys import MAX_QUERY_CHARS
from perfsuite.responses.looking import Found
from perfsuite.responses.pages import FIELDS, LENGTH, TAGS, Page
from perfsuite.responses.policy import Action, Decision, decide
from perfsuite.responses.reasons import ADVICE, CLAUSES
from perfsuite.responses.replying import may_have
from perfsuite.responses.steps import take
from perfsuite.responses.store import faults, store_of

# The fields of a response that have to do with caching; of Set-Cookie only the names of the cookies are told.
TOLD = (
    "Cache-Control", "CDN-Cache-Control", "Surrogate-Control", "Expires", "Age", "ETag", "Last-Modified", "Vary",
    "Content-Type", "Content-Encoding", "Location", "Cache-Status",
)  # fmt: skip
_NEVER_REASONS = frozenset({"miss", "fresh", "hit", "waited", "validated", "method"})


class Step(NamedTuple):
    """One thing that was looked at, and what was found."""

    name: str
    text: str


class Explanation:
    """The steps in order; then whether a repeat is answered from the cache, and in a word why not."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.is_cached = False
        self.reason = ""

    def say(self, name: str, text: str) -> None:
        """Add a step."""
        self.steps.append(Step(name, text))

    def conclude(
        self, text: str, reason: str = "", *, is_cached: bool = False, advice: str = ""
    ) -> Explanation:
        """Add the last step, before it what to do about the reason, or about the one that ``advice`` names."""
        self.reason, self.is_cached = reason, is_cached
        if (advice or reason) in ADVICE:
            self.say("advice", ADVICE[advice or reason])
        self.say("conclusion", text)
        return self


def explain(url: str, headers: Sequence[str] = ()) -> Explanation:
    """Ask for a URL once, through the site's own middleware, and say step by step why a repeat is answered as it is.

    ``headers`` are ``"Name: value"``. Raises NotAskable for what is no URL of the site. The view runs unless the cache answers.
    """
    environ = environ_of(url, headers)
    found, config = Explanation(), current_config()
    reason = _is_missing(found, config)
    if reason or config is None:
        return found.conclude(_runs_each_time(reason), reason)
    site = InProcess()
    if site.cache is None:
        return found.conclude(_runs_each_time("not-installed"), "not-installed")
    watch = Watch(site.cache)
    failures = faults.count
    answer = site.ask(environ, lambda request: _bytes_to_read(request, config))
    _say_request(found, watch, answer, config)
    if not watch.is_reached:
        _say_response(found, answer)
        return found.conclude(_runs_each_time("not-reached"), "not-reached")
    exchange = watch.exchange_of(answer.request)
    _say_answer(found, watch, answer, exchange)
    _say_response(found, answer)
    if exchange is None:
        reason = "query" if len(environ["QUERY_STRING"]) > MAX_QUERY_CHARS else "failure"
        return found.conclude(_runs_each_time(reason), reason)
    return _judge(found, exchange, answer, has_failed=faults.count > failures)


class Watch:
    """Notes what reaches a ResponseCacheMiddleware, and what is stored for it at that moment. Only that object is changed."""

    def __init__(self, middleware: ResponseCacheMiddleware) -> None:
        self.is_reached = self.is_answered = False
        self.before: Found | None = None
        self.held: Any = None
        self._exchange: Exchange | None = None
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
        return entry

    def _look(self, request: HttpRequest, config: Config) -> None:
        if len(request.META.get("QUERY_STRING", "")) > MAX_QUERY_CHARS:
            return
        exchange = Exchange(request, config)
        exchange.place(*placed(request, config))
        exchange.store, exchange.cookies = store_of(config.options.alias), None
        self.held, self._exchange = exchange.store.read(exchange.key), exchange
        self.before = take(looking.find(exchange, exchange.key, self.held), _no_view, request)

    def exchange_of(self, request: HttpRequest) -> Exchange | None:
        """Return the middleware's own exchange, where it has one; it has none for what is at hand at once."""
        own = request.__dict__.get("perfsuite")
        return own if isinstance(own, Exchange) else self._exchange if self.is_answered else None


def _no_view(request: Any) -> Any:
    raise RuntimeError("Looking up runs no view.")


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
    exchange = watch.exchange_of(request)
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
    return f"A page{_lifetime(before[1], left)}{variants}."


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


def _bytes_to_read(request: HttpRequest, config: Config) -> int:
    """Return how much of a streaming body to read: what may be stored if it ends well, and nothing of any other."""
    exchange = request.__dict__.get("perfsuite")
    waits = isinstance(exchange, Exchange) and exchange.reason == "stream"
    return config.options.max_body_bytes if waits else 0


def _judge(found: Explanation, exchange: Exchange, answer: Answer, has_failed: bool) -> Explanation:
    """Say what is stored now, and so how a repeat is answered."""
    _wait_for_refresh(exchange)
    is_users = bool(exchange.user_key) and making.options_of(exchange).per == USER
    page: Found | None = take(
        looking.find(exchange, exchange.user_key if is_users else exchange.key), _no_view, exchange.request
    )
    if page is None:
        reason = _why_nothing(exchange, answer, has_failed)
        found.say("stored", f"Nothing, because {_because(reason, exchange)}.")
        if reason == "only-if-cached":
            return found.conclude(
                "Each request is answered 504, because it takes only what is stored.", reason
            )
        return _conclude_with_cause(found, exchange, reason)
    policy = exchange.config.user_policy if is_users else exchange.config.policy
    decision = decide(exchange.as_policy_sees_it(), pages.stored_of(page[1]), time.time(), policy)
    found.say("stored", f"A page of {page[1][LENGTH]:,} bytes{_lifetime(page[1], decision.ttl)}.")
    _say_rest(found, exchange, page[1], answer)
    if not is_users and not may_have(exchange.request, page[1]):
        return found.conclude(_runs_each_time("authorization"), "authorization")
    return _conclude(
        found, decision, "A repeat by the same user in the same session" if is_users else "A repeat"
    )


def _wait_for_refresh(exchange: Exchange) -> None:
    """Wait until a stale page is made anew that was served: this process may end, and with it who does that."""
    flights, key = deduplication.flights, f"{exchange.key}.refresh"
    for place in (key, f"{exchange.user_key}.refresh"):
        flight, leads = flights.join(place)
        if leads:
            flights.abandon(place, flight)
        else:
            wait(flight, exchange.config.options.lock_s)


def _why_nothing(exchange: Exchange, answer: Answer, has_failed: bool) -> str:
    reason = exchange.reason
    if reason == "stream" and not answer.failure:
        if (answer.length or 0) > exchange.config.options.max_body_bytes:
            return "size"
        reason = making.why_not(exchange, exchange.response)  # its body may have changed it
    if reason in CLAUSES and not (reason in _NEVER_REASONS or reason == "stale"):
        return reason
    if isinstance(caches[exchange.config.options.alias], DummyCache):
        return "dummy"
    return "failure" if has_failed else "not-kept"


def _conclude_with_cause(found: Explanation, exchange: Exchange, reason: str) -> Explanation:
    """Name what has made the response vary on cookies, or set one, and what would forbid it even if it had a lifetime."""
    cause = "" if making.options_of(exchange).per == USER else _whose_request(exchange)
    if cause and reason in ("vary-cookie", "set-cookie"):
        return found.conclude(_runs_each_time(cause, exchange), cause)
    text = _runs_each_time(reason, exchange)
    if cause and reason in ("no-lifetime", "useless"):
        text = f"{text.rstrip('.')}, and because {_because(cause, exchange)}."
        return found.conclude(text, reason, advice=cause)
    return found.conclude(text, reason)


def _whose_request(exchange: Exchange) -> str:
    """Return in a word what was done with the request that makes any response to it somebody's, or ""."""
    allowed = exchange.config.public_cookies.union(making.options_of(exchange).cookies)
    is_declared = exchange.options is not None
    return identity.why_not_everyones(
        exchange.request, HttpResponse(), exchange.cookies, allowed, is_declared
    )


def _lifetime(page: Page, left: float) -> str:
    if not page[pages.FRESH_UNTIL]:
        return ", to be validated each time"
    return f", fresh for {_seconds(left)}" if left > 0 else ", stale"


def _say_rest(found: Explanation, exchange: Exchange, page: Page, answer: Answer) -> None:
    tags = [tag for tag in page[TAGS] if not tag.startswith(keys.INTERNAL) and tag != identity.ALL_USERS]
    found.say("tags", f"{', '.join(tags)}." if tags else "None but those of its own.")
    found.say("compression", _compression(exchange, page, answer))


def _compression(exchange: Exchange, page: Page, answer: Answer) -> str:
    if position("CompressionMiddleware") is None:
        return "None: CompressionMiddleware is not in MIDDLEWARE."
    accepted = exchange.request.META.get("HTTP_ACCEPT_ENCODING")
    coding = (
        answer.response.get("Content-Encoding", "")
        if answer.response.status_code == page[pages.STATUS]
        else ""
    )
    if coding:
        length = "" if answer.response.streaming else f", {len(answer.response.content):,} bytes"
        return f"It is sent as {coding}{length}, for Accept-Encoding: {accepted}."
    if accepted is None:
        return "It is sent as it is: the request has no Accept-Encoding."
    kind = page[FIELDS].get("content-type", ("", "no type"))[1]
    return f"It is sent as it is, {page[LENGTH]:,} bytes of {kind}, for Accept-Encoding: {accepted}."


def _conclude(found: Explanation, decision: Decision, who: str) -> Explanation:
    reason, action = decision.reason, decision.action
    if action is Action.HIT:
        return found.conclude(
            f"{who} is answered from the cache for {_seconds(decision.ttl)}.", is_cached=True
        )
    if action is Action.STALE:
        text = f"{who} is answered from the cache with a stale page, because {CLAUSES[reason]}."
        return found.conclude(text, reason, is_cached=True)
    if action is Action.GATEWAY_TIMEOUT:
        return found.conclude(
            "Each request is answered 504, because it takes only what is stored.", "only-if-cached"
        )
    text = f"Each request runs its view, which may answer that the stored page is right, because {CLAUSES[reason]}."
    return found.conclude(text, reason)


def _runs_each_time(reason: str, exchange: Exchange | None = None) -> str:
    return f"Each request runs its view, because {_because(reason, exchange)}."


def _because(reason: str, exchange: Exchange | None) -> str:
    clause = CLAUSES[reason]
    read = getattr(getattr(exchange, "cookies", None), "read", None)
    return f"{clause} ({', '.join(sorted(read))})" if reason == "cookies" and read else clause


def _seconds(seconds: float) -> str:
    return f"{math.ceil(seconds):,} s"
