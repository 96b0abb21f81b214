"""The middleware that measures every request.

It belongs outermost. The surprising rule: a streaming response is measured when its last byte has left, which is after this
middleware has returned, and the statements that its body runs count for the request all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from time import perf_counter
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from perfsuite.metrics import kinds as own
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.guard import Guard
from perfsuite.metrics.recorder import Observation, recorder
from perfsuite.metrics.request import MAX_HELD_LATER, Tally, current, fold, in_hand, prompt
from perfsuite.monitoring import kinds
from perfsuite.monitoring.server_timing import add_server_timing
from perfsuite.streaming import follow

timings = logging.getLogger("performance")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
CANCELLED = "cancelled"
STATUS_CLASSES = {0: CANCELLED, 1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}
# A longer Content-Length is a lie, and one of thousands of digits is not even a number to Python.
MAX_LENGTH_DIGITS = 15

_guard = Guard("requests")


class Span:
    """One request from its entry to its last byte. ``own_s`` is the time that perfsuite itself took of it.

    What it comes to is worked out later, for many requests in one go, which costs a fraction of doing it in each.
    """

    __slots__ = ("entered", "length", "method", "own_s", "route", "seconds", "sent_bytes", "status", "tally")

    route: str
    method: str
    status: int
    seconds: float
    length: str | None
    sent_bytes: int

    def __init__(self, request: HttpRequest) -> None:
        self.entered = perf_counter()
        self.tally = Tally(request)
        self.own_s = 0.0

    @staticmethod
    def observations_of(finished: list[Span]) -> list[Observation]:
        """Return what the recorder adds up of requests, their statements apart, which are folded here."""
        alike: dict[tuple[str, str, int], list[Span]] = {}
        try:
            for span in finished:
                alike.setdefault((span.route, span.method, span.status), []).append(span)
            own_us = [span.own_s * 1e6 for span in finished]
            own_us[-1] += recorder.take_spent_s() * 1e6
            observations: list[Observation] = [(own.SELF_REQUEST.name, (), own_us)]
            for (route, method, status), spans in alike.items():
                observations += _observations(route, method, status, spans)
            return observations
        except Exception as exc:  # noqa: BLE001 - the guard's
            _guard.failed(exc)
            return []


def _observations(route: str, method: str, status: int, spans: list[Span]) -> Iterator[Observation]:
    status_class = STATUS_CLASSES.get(status // 100, own.OTHER)
    fold([span.tally for span in spans], route)
    us, by_route = [span.seconds * 1e6 for span in spans], (route,)
    statements = [span.tally.statements() for span in spans]
    yield kinds.STATUS, (status_class,), us
    yield kinds.ROUTE, (route, _method(method), status_class), us
    yield kinds.QUERIES, by_route, [count for count, _ in statements]
    yield kinds.DB, by_route, [seconds * 1e6 for _, seconds in statements]
    yield from _parts(route, spans, [seconds for _, seconds in statements])
    yield kinds.BYTES_IN, by_route, [_received_bytes(span.length) if span.length else 0 for span in spans]
    yield kinds.BYTES_OUT, by_route, [_sent_bytes(span) for span in spans]


def _parts(route: str, spans: list[Span], database_s: list[float]) -> Iterator[Observation]:
    """Yield how the time of requests divides; parts that all of them lack are left out.

    Statements of one request that run side by side may take longer together than it does; nothing is left for the rest then.
    """
    parts: dict[str, list[float]] = {"sql": [], "mongodb": [], "cache": [], "python": []}
    for span, in_database_s in zip(spans, database_s, strict=True):
        mongodb_s, cache_s = span.tally.mongodb_s, max(0.0, span.tally.cache_s)
        parts["sql"].append(max(0.0, in_database_s - mongodb_s) * 1e6)
        parts["mongodb"].append(mongodb_s * 1e6)
        parts["cache"].append(cache_s * 1e6)
        parts["python"].append(max(0.0, span.seconds - in_database_s - cache_s) * 1e6)
    for part, us in parts.items():
        if any(us):
            yield kinds.TIME, (route, part), us


class RequestMetricsMiddleware:
    """Measures response time, errors, payload sizes and queries by route, method and status class. Sync and async."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        if not MetricsSettings.get().enabled:
            raise MiddlewareNotUsed("ENABLE_PERFORMANCE_MONITORING is off")
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    # Hot path: benchmarks/overhead.py
    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request and record it."""
        if self.is_async:
            return self.__acall__(request)
        span = begin(request)
        if span is None:
            return self.get_response(request)  # type: ignore[no-any-return]
        previous = in_hand()
        current.set(span.tally)
        try:
            response: HttpResponseBase = self.get_response(request)
        except BaseException as exc:
            abandon(span, exc)
            raise
        finally:
            current.set(previous)
        finish(span, response)
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Do the same under ASGI."""
        span = begin(request)
        if span is None:
            return await self.get_response(request)  # type: ignore[no-any-return]
        previous = in_hand()
        current.set(span.tally)
        try:
            response: HttpResponseBase = await self.get_response(request)
        except BaseException as exc:
            abandon(span, exc)
            raise
        finally:
            current.set(previous)
        finish(span, response)
        return response


def begin(request: HttpRequest) -> Span | None:
    """Open the span of a request; None where measuring has failed too often and is off."""
    if not _guard.on:
        return None
    try:
        span = Span(request)
        outer = in_hand()
        if outer is not None:
            outer.encloses(span.tally)
        return span
    except Exception as exc:  # noqa: BLE001 - the guard's
        _guard.failed(exc)
        return None


def finish(span: Span, response: HttpResponseBase) -> None:
    """Record a request whose response is there, or have it recorded when its body has been streamed."""
    try:
        left = perf_counter()
        add_server_timing(response, span.tally, left - span.entered)
        if response.streaming:
            span.own_s += perf_counter() - left
            follow(response, current, span.tally, partial(_end_of_stream, span, response.status_code))
        else:
            record(span, response.status_code, left, len(response.content))  # type: ignore[attr-defined]
    except Exception as exc:  # noqa: BLE001 - the guard's
        _guard.failed(exc)


def abandon(span: Span, exc: BaseException) -> None:
    """Record a request that ended without a response: its client went away, or its server is going down."""
    try:
        left = perf_counter()
        record(span, _status_of(exc), left, 0)
    except Exception as failure:  # noqa: BLE001 - the guard's
        _guard.failed(failure)


def _end_of_stream(span: Span, status: int, sent_bytes: int, failure: BaseException | None) -> None:
    """Record a stream; one that broke counts as an error although its status line said otherwise."""
    if failure is not None:
        status = _status_of(failure)
    try:
        record(span, status, perf_counter(), sent_bytes)
    except Exception as exc:  # noqa: BLE001 - the guard's
        _guard.failed(exc)


# Hot path: benchmarks/overhead.py
def record(span: Span, status: int, left: float, sent_bytes: int) -> None:
    """Put one finished request into the recorder. ``left`` is when it ended; status 0 means that it was cancelled."""
    tally = span.tally
    request: Any = tally.request
    # First of all, so that a thread that the view left behind adds nothing any more.
    tally.closed = True
    if tally.notes is not None:
        tally.notes.ended()
    if tally.discarded:
        return
    span.seconds = seconds = left - span.entered
    span.status, span.sent_bytes = status, sent_bytes
    span.route, span.method = tally.route(status), request.method
    span.length = request.META.get("CONTENT_LENGTH")
    tally.request_id = request.META.get("HTTP_X_REQUEST_ID", "")
    tally.request = None  # it may hold an upload
    held = len(tally.held)
    if held > MAX_HELD_LATER or seconds >= prompt.from_s:
        fold((tally,), span.route)
    if timings.isEnabledFor(logging.DEBUG):
        queries, db_s = tally.statements()
        timings.debug(
            "%s %s %s %.1f ms, %d queries %.1f ms, %d bytes",
            _method(span.method), span.route, status or CANCELLED, seconds * 1e3, queries, db_s * 1e3, _sent_bytes(span),
        )  # fmt: skip
    span.own_s += perf_counter() - left
    recorder.observe_later(span, 7 + 2 * held)


def _status_of(exc: BaseException) -> int:
    """Return 500 for an error, and 0 for a request that was cancelled."""
    return 500 if isinstance(exc, Exception) else 0


def _method(method: str) -> str:
    return method if method in METHODS else own.OTHER


def _sent_bytes(span: Span) -> int:
    return 0 if span.method == "HEAD" else span.sent_bytes  # the server drops the body of an answer to HEAD


def _received_bytes(length: str) -> int:
    return int(length) if len(length) <= MAX_LENGTH_DIGITS and length.isdecimal() else 0
