"""Many requests at once: each is charged with its own statements, exactly."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory

from perfsuite.metrics.recorder import recorder
from perfsuite.metrics.request import Tally, current
from perfsuite.monitoring import RequestMetricsMiddleware, kinds
from tests.monitoring.views import hold
from tests.recorded import SELECT, Recorded
from tests.testapp.views import count_statements

pytestmark = pytest.mark.urls("tests.monitoring.views")
AT_ONCE = 20
QUERIES = "/queries/<int:n>/"
ASYNC_QUERIES = "/async/queries/<int:n>/"


def charged_to_each(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Have the statements charged to each request kept under its path, which the recorder itself never sees."""
    charged: dict[str, float] = {}
    observe_later = recorder.observe_later

    def kept(finished: Any, weight: int) -> None:
        charged[paths.get()] = finished.tally.statements()[0]
        observe_later(finished, weight)

    paths: ContextVar[str] = ContextVar("paths")
    call = RequestMetricsMiddleware.__call__

    def called(self: RequestMetricsMiddleware, request: HttpRequest) -> Any:
        paths.set(request.path)
        return call(self, request)

    monkeypatch.setattr(RequestMetricsMiddleware, "__call__", called)
    monkeypatch.setattr(recorder, "observe_later", kept)
    return charged


@pytest.mark.django_db
def test_twenty_async_requests_at_once_are_each_charged_with_their_own_statements(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged = charged_to_each(monkeypatch)

    async def all_at_once() -> None:
        await asyncio.gather(*(AsyncClient().get(f"/async/queries/{n}/") for n in range(AT_ONCE)))

    async_to_sync(all_at_once)()

    assert charged == {f"/async/queries/{n}/": n for n in range(AT_ONCE)}
    assert recorded.sum(kinds.QUERIES, ASYNC_QUERIES) == sum(range(AT_ONCE))
    assert recorded.requests() == {(ASYNC_QUERIES, "GET", "2xx"): AT_ONCE}
    assert recorded.operations() == {SELECT: sum(range(AT_ONCE))}


@pytest.mark.django_db(transaction=True)
def test_twenty_requests_at_once_under_an_asgi_server_are_each_charged_with_their_own_statements(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged = charged_to_each(monkeypatch)

    async def ask(handler: ASGIHandler, path: str) -> None:
        messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        messages.put_nowait({"type": "http.request", "body": b""})
        scope = {"type": "http", "asgi": {"version": "3.0"}, "method": "GET", "path": path, "headers": []}

        async def send(message: dict[str, Any]) -> None:
            return None

        await handler({**scope, "query_string": b"", "scheme": "http"}, messages.get, send)

    async def all_at_once() -> None:
        handler = ASGIHandler()
        paths = [f"/async/queries/{n}/" for n in range(10)] + [f"/queries/{n}/" for n in range(10)]
        await asyncio.gather(*(ask(handler, path) for path in paths))

    asyncio.run(all_at_once())

    expected = {f"/async/queries/{n}/": n for n in range(10)} | {f"/queries/{n}/": n for n in range(10)}
    assert charged == expected
    assert recorded.operations() == {SELECT: 90}


@pytest.mark.django_db(transaction=True)
def test_twenty_threads_are_each_charged_with_their_own_statements(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    charged = charged_to_each(monkeypatch)

    def visit(n: int) -> int:
        try:
            return Client().get(f"/queries/{n}/").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert list(pool.map(visit, range(AT_ONCE))) == [200] * AT_ONCE

    assert charged == {f"/queries/{n}/": n for n in range(AT_ONCE)}
    assert recorded.sum(kinds.QUERIES, QUERIES) == sum(range(AT_ONCE))
    assert recorded.count(kinds.STATUS) == AT_ONCE


@pytest.mark.django_db(transaction=True)
def test_a_thread_with_a_copy_of_the_context_counts_for_the_request(recorded: Recorded) -> None:
    Client().get("/worker-thread/")

    assert recorded.sum(kinds.QUERIES, "/worker-thread/") == 3
    assert recorded.operations() == {SELECT: 3}


@pytest.mark.django_db(transaction=True)
def test_what_a_thread_left_behind_does_after_the_request_counts_nowhere(recorded: Recorded) -> None:
    for event in (hold.go_on, hold.done):
        event.clear()
    Client().get("/left-behind/")
    hold.go_on.set()
    assert hold.done.wait(10)

    assert recorded.sum(kinds.QUERIES, "/left-behind/") == 1
    assert recorded.operations() == {SELECT: 1}


@pytest.mark.django_db
def test_a_request_that_ends_while_its_statements_are_added_is_recorded(recorded: Recorded) -> None:
    """A thread that a cancelled view left behind may add a statement at the very moment of the summing up."""

    class Adding(float):
        """The duration of a statement; to add it up brings a further statement."""

        def __radd__(self, other: float) -> float:
            tally.held.append(("SELECT 1", "default", 0.0, False, 0, None))
            return other + 0.5

    tally = Tally()

    def view(request: HttpRequest) -> HttpResponse:
        nonlocal tally
        tally = current.get()  # type: ignore[assignment]
        count_statements(2)
        noted = [tally.held.popleft() for _ in range(2)]
        tally.held.extend([(*each[:2], Adding(0.5), *each[3:]) for each in noted])
        return HttpResponse()

    RequestMetricsMiddleware(view)(RequestFactory().get("/"))

    assert recorded.count(kinds.STATUS) == 1
    assert recorded.count("self.failures") == 0
    assert recorded.sum(kinds.QUERIES) >= 2


@pytest.mark.django_db
def test_the_context_of_an_async_request_is_put_back(recorded: Recorded) -> None:
    async def run() -> None:
        await AsyncClient(raise_request_exception=False).get("/async/error/")
        assert current.get() is outer
        await AsyncClient().get("/async/queries/1/")
        assert current.get() is outer
        await sync_to_async(count_statements)(2)

    outer = Tally()
    token = current.set(outer)
    try:
        async_to_sync(run)()
    finally:
        current.reset(token)

    assert outer.statements()[0] == 2
