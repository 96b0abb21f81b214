"""``ResponseCacheMiddleware``: what was answered once is answered again, to whom it may be.

It belongs outside of sessions, users and CSRF, inside of SecurityMiddleware and CompressionMiddleware; TenantMiddleware
outside of it, for pages of one tenant. What is everyone's is looked up before the request goes any further; what is one
user's, in ``process_view``, when the session is known.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation

from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.recorder import Observation, recorder
from perfsuite.responses import (
    answering,
    forwarding,
    headers,
    inner,
    kinds,
    pages,
    serving,
    tagging,
    variants,
)
from perfsuite.responses.config import Config, current_config
from perfsuite.responses.deduplication import needs_no_refresh
from perfsuite.responses.exchange import Bystander, Exchange, RequestFields
from perfsuite.responses.forwarding import Watched
from perfsuite.responses.keys import AS_IS, MAX_QUERY_CHARS, canonical_query, page_key_again, partition
from perfsuite.responses.looking import NOTHING
from perfsuite.responses.negotiation import IDENTITY
from perfsuite.responses.pages import BODY, FRESH_UNTIL, LENGTH, SIZE, VERSION, Page
from perfsuite.responses.policy import Request
from perfsuite.responses.policy.invalidation import SAFE_METHODS
from perfsuite.responses.refreshing import refresh_later
from perfsuite.responses.steps import Steps, atake, take
from perfsuite.responses.store import Store, faults, store_of
from perfsuite.tenancy import current_tenant

_now = time.time
FRESH: Observation = (kinds.CACHE, ("hit", "fresh"), 1)
STALE: Observation = (kinds.CACHE, ("stale", "stale-while-revalidate"), 1)


class ResponseCacheMiddleware:
    """Answers repeated requests from a cache, by RFC 9111 and never with what can be somebody else's. Sync and async."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        headers.prepare()
        if self.is_async:
            markcoroutinefunction(self)
            self.process_view = self.aprocess_view  # type: ignore[method-assign,assignment]

    # Hot path: benchmarks/responses.py
    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request."""
        if self.is_async:
            return self.__acall__(request)
        config = current_config()
        if config is None:
            request.perfsuite = Bystander()  # type: ignore[attr-defined]
            return self.get_response(request)  # type: ignore[no-any-return]
        entry = self.enter(request, config)
        if isinstance(entry, HttpResponseBase):
            return entry
        if entry is None:
            request.perfsuite = Bystander()  # type: ignore[attr-defined]
            return self.get_response(request)  # type: ignore[no-any-return]
        exchange, steps = entry
        response: HttpResponseBase
        if steps is None:
            started = perf_counter()
            with Watched(exchange):
                response = self.get_response(request)
            exchange.seconds = perf_counter() - started
            steps = serving.rest(exchange, response)
        if steps is not None:
            response = take(steps, self.get_response, request)
        self.leave(exchange)
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Do the same under ASGI."""
        config = current_config()
        if config is None:
            request.perfsuite = Bystander()  # type: ignore[attr-defined]
            return await self.get_response(request)  # type: ignore[no-any-return]
        entry = self.enter(request, config)
        if isinstance(entry, HttpResponseBase):
            return entry
        if entry is None:
            request.perfsuite = Bystander()  # type: ignore[attr-defined]
            return await self.get_response(request)  # type: ignore[no-any-return]
        exchange, steps = entry
        response: HttpResponseBase
        if steps is None:
            started = perf_counter()
            with Watched(exchange):
                response = await self.get_response(request)
            exchange.seconds = perf_counter() - started
            steps = serving.rest(exchange, response)
        if steps is not None:
            response = await atake(steps, self.get_response, request, exchange.store.is_local)
        self.leave(exchange)
        return response

    def enter(
        self, request: HttpRequest, config: Config
    ) -> HttpResponseBase | tuple[Exchange, Steps | None] | None:
        """Return the answer where it is at hand, else the steps to it, None for steps where there is only the view to run; None
        for what is none of the cache's business.
        """
        try:
            store = store_of(config.options.alias)
            method = request.method
            if store is None or method in ("OPTIONS", "TRACE"):
                return None
            if method in ("GET", "HEAD"):
                return self._enter_safe(request, config, store)
            exchange = Exchange(request, config)
            key, parts, tenant, language = placed(request, config)
            exchange.place(key, parts, tenant, language)
            exchange.begin(store)
            return exchange, serving.safely(exchange, _other(exchange))
        except DisallowedHost:
            return None  # Django answers it
        except Exception as exc:  # noqa: BLE001 - the site answers without the cache
            faults.add(exc, "The response cache")
            return None

    # Hot path: benchmarks/responses.py
    def _enter_safe(
        self, request: HttpRequest, config: Config, store: Store
    ) -> HttpResponseBase | tuple[Exchange, Steps | None] | None:
        meta = request.META
        if len(meta.get("QUERY_STRING", "")) > MAX_QUERY_CHARS:
            return None
        key, parts, tenant, language = placed(request, config)
        held = store.peek(key)
        if (
            held is not None
            and type(held) is tuple
            and len(held) == SIZE
            and held[0] == VERSION
            and answering.is_plain(meta)
        ):
            now = _now()
            is_whole = request.method == "GET" and answering.wants_whole(meta)
            response = None
            if now < held[FRESH_UNTIL]:
                hit = self._hit if is_whole else self._hit_in_part
                response = hit(request, config, store, key, held, now)
            elif is_whole and needs_no_refresh(key) and now <= pages.served_stale_until(held):
                response = self._hit(request, config, store, key, held, now, STALE)
            if response is not None:
                return response
        if held is None and store.is_local:
            held = NOTHING
        exchange = Exchange(request, config)
        exchange.place(key, parts, tenant, language)
        exchange.begin(store)
        if held is NOTHING and serving.runs_at_once(exchange):
            return exchange, None
        return exchange, serving.safely(exchange, serving.serve(exchange, self._refresh, held))

    def _hit(
        self,
        request: HttpRequest,
        config: Config,
        store: Store,
        key: str,
        page: Page,
        now: float,
        seen: Observation = FRESH,
    ) -> HttpResponseBase | None:
        negotiated, body, form = variants.wanted(request, page, config), page[BODY], None
        if negotiated is not None and negotiated.coding != IDENTITY:
            form = store.peek_part(variants.key_of(page, key, negotiated))
            if type(form) is not bytes:
                return None  # it is made on the slower way
        if body is None and not form:
            body = store.peek_part(pages.body_key(page, key))
            if type(body) is not bytes:
                return None
        response = variants.response_of(page, body, negotiated, form)
        detail = STALE[1][1] if seen is STALE and settings.DEBUG else ""
        answering.say_hit(response, page, now, config, detail)
        if MetricsSettings.get().enabled:
            if form and negotiated is not None:
                coding = (negotiated.coding,)
                before, after = (
                    (kinds.BYTES_BEFORE, coding, page[LENGTH]),
                    (kinds.BYTES_AFTER, coding, len(form)),
                )
                recorder.observe_many((seen, before, after))
            else:
                recorder.observe_many((seen,))
        return response

    def _hit_in_part(
        self, request: HttpRequest, config: Config, store: Store, key: str, page: Page, now: float
    ) -> HttpResponseBase | None:
        """Answer a HEAD, a condition or a range, if the body is not needed or at hand."""
        method = request.method or ""
        kind = answering.kind_of(Request(method, "", RequestFields(request.META)), page, now)  # type: ignore[arg-type]
        if page[BODY] is None and not answering.needs_no_body(kind, method):
            return None
        response = answering.answer(page, method, kind)
        answering.say_hit(response, page, now, config)
        if MetricsSettings.get().enabled:
            recorder.observe_many((FRESH,))
        return response

    def _refresh(self, exchange: Exchange, key: str, page: Page) -> None:
        refresh_later(exchange, key, page, self.get_response, self.is_async)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Look a user's page up, where the view keeps one for each user."""
        steps = inner.steps_for(request, view, self._refresh)
        return None if steps is None else take(steps, _no_view, request)

    async def aprocess_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """Do the same under ASGI."""
        steps = inner.steps_for(request, view, self._refresh)
        if steps is None:
            return None
        exchange: Exchange = request.perfsuite  # type: ignore[attr-defined]
        return await atake(steps, _no_view, request, exchange.store.is_local)  # type: ignore[no-any-return]

    def leave(self, exchange: Exchange) -> None:
        """Record how a request was answered. Never raises."""
        try:
            exchange.end()
            if not MetricsSettings.get().enabled or not exchange.outcome:
                return
            seen: list[Any] = [(kinds.CACHE, (exchange.outcome, exchange.reason), 1)]
            if exchange.outcome == "miss":
                match = getattr(exchange.request, "resolver_match", None)
                route = "<not found>" if match is None else "/" + str(match.route)
                seen.append((kinds.MISSED, (route,), exchange.seconds * 1e6))
            recorder.observe_many(tuple(seen))
        except Exception as exc:  # noqa: BLE001 - the response is there
            faults.add(exc, "Recording a response")


def _other(exchange: Exchange) -> Steps:
    return (
        forwarding.view(exchange)
        if exchange.request.method in SAFE_METHODS
        else tagging.serve_unsafe(exchange)
    )


def _no_view(request: Any) -> Any:
    raise RuntimeError("Looking up runs no view.")


# Hot path: benchmarks/responses.py
def placed(request: HttpRequest, config: Config) -> tuple[str, tuple[str, str, str, str], Any, str | None]:
    """Return the key of what is asked for and its parts, the tenant and the language. DisallowedHost for a host that is none."""
    scheme, host, path = config.scheme_of(request), config.host_of(request), request.path
    query = request.META.get("QUERY_STRING", "")
    options = config.options
    if query and options.query != AS_IS:
        query = canonical_query(query, options.query, config.allowed)
    tenant = current_tenant()
    language = _language(request) if config.has_language else None
    whose = "" if tenant is None and language is None else partition(tenant=tenant, language=language)
    return page_key_again(scheme, host, path, query, whose), (scheme, host, path, query), tenant, language


def _language(request: HttpRequest) -> str:
    """Return the language as LocaleMiddleware will choose it."""
    from django.conf.urls.i18n import is_language_prefix_patterns_used

    urlconf = getattr(request, "urlconf", None) or settings.ROOT_URLCONF
    used, _ = is_language_prefix_patterns_used(urlconf)
    return translation.get_language_from_request(request, check_path=used)
