"""What passes through the cache as it is: streams chunk by chunk, server-sent events, what clients send."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import django
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpResponse, StreamingHttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from perfsuite.responses import deduplication
from perfsuite.tenancy import current_tenant
from tests.responses.asking import OURS as COMPRESSION
from tests.responses.decoding import decoder_of
from tests.responses.site import ASYNC, OURS, SYNC, TENANTS, serving, text
from tests.responses.test_identity import TENANCY

pytestmark = pytest.mark.alike
ALL = (COMPRESSION, TENANTS, OURS)
TENANT = {"HTTP_X_TENANT": "7"}
needs_async_streaming = pytest.mark.skipif(
    django.VERSION < (4, 2), reason="async streaming came with Django 4.2"
)
CONTROL = {"text/plain": "max-age=60", "text/event-stream": "no-store"}
each_type = pytest.mark.parametrize("content_type", CONTROL)
each_coding = pytest.mark.parametrize("coding", ["identity", "gzip", "br", "zstd"])


@pytest.fixture(autouse=True)
def _host() -> Iterator[None]:
    # A response that a server has sent closes the connections, which these tests have none of.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


class Made:
    """How many chunks a view has made, and how many of its bodies have ended."""

    def __init__(self, content_type: str = "text/plain", breaks_at: int = -1) -> None:
        self.content_type, self.breaks_at = content_type, breaks_at
        self.count = self.ends = 0

    def view(self, request: Any) -> StreamingHttpResponse:
        """Answer with a stream."""
        return self._response(self._chunks())

    async def aview(self, request: Any) -> StreamingHttpResponse:
        """Answer with an async one."""
        return self._response(self._achunks())

    def _response(self, chunks: Any) -> StreamingHttpResponse:
        response = StreamingHttpResponse(chunks, content_type=self.content_type)
        response["Cache-Control"] = CONTROL[self.content_type]
        return response

    def _next(self, number: int) -> bytes:
        if number == self.breaks_at:
            raise RuntimeError("broken")
        self.count += 1
        return f"data: {number} for {current_tenant()}\n\n".encode()

    def _chunks(self) -> Iterator[bytes]:
        try:
            for number in range(5):
                yield self._next(number)
        finally:
            self.ends += 1

    async def _achunks(self) -> AsyncIterator[bytes]:
        try:
            for number in range(5):
                yield self._next(number)
        finally:
            self.ends += 1


def chunk(number: int) -> bytes:
    return f"data: {number} for 7\n\n".encode()


def wsgi(coding: str) -> Any:
    """Ask as a WSGI server does, and return what it gets to send."""
    environ = RequestFactory(HTTP_ACCEPT_ENCODING=coding, **TENANT).get("/p/").environ
    return WSGIHandler()(environ, lambda status, headers, exc_info=None: None)


async def asgi(coding: str, on_body: Callable[[bytes], Any], leaves: asyncio.Event | None = None) -> None:
    """Ask as an ASGI server does; ``on_body`` gets each part, and with ``leaves`` set the client is gone."""
    scope = AsyncRequestFactory()._base_scope(path="/p/")
    scope["headers"] = [*scope["headers"], (b"accept-encoding", coding.encode()), (b"x-tenant", b"7")]
    left, asked = leaves or asyncio.Event(), [False]

    async def receive() -> dict[str, Any]:
        if not asked[0]:
            asked[0] = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body" and message.get("body"):
            on_body(message["body"])
            await asyncio.sleep(0)

    await ASGIHandler()(scope, receive, send)


@each_type
@each_coding
def test_each_chunk_is_out_before_the_next_one_is_made(content_type: str, coding: str) -> None:
    made = Made(content_type)
    with serving(SYNC, {"p/": made.view}, middleware=ALL, PERFSUITE=TENANCY) as site:
        body = wsgi(coding)
        chunks, read = iter(body), decoder_of(coding) if coding != "identity" else bytes
        for number in range(5):
            assert made.count == number
            assert read(next(chunks)) == chunk(number)
            assert made.count == number + 1
        b"".join(chunks)
        body.close()
        # What has ended well is a page by now, unless it is a stream of events.
        site.get("/p/", x_tenant="7")
        assert len(site.runs) == (1 if content_type == "text/plain" else 2)


@needs_async_streaming
@each_type
@each_coding
def test_each_chunk_is_out_before_the_next_one_is_made_in_an_event_loop(
    content_type: str, coding: str
) -> None:
    made, seen = Made(content_type), []
    read = decoder_of(coding) if coding != "identity" else bytes

    def on_body(part: bytes) -> None:
        if plain := read(part):
            seen.append((plain, made.count))

    with serving(ASYNC, {"p/": made.aview}, middleware=ALL, PERFSUITE=TENANCY) as site:
        asyncio.run(asgi(coding, on_body))
        site.get("/p/", x_tenant="7")
        assert len(site.runs) == (1 if content_type == "text/plain" else 2)

    assert seen == [(chunk(number), number + 1) for number in range(5)]
    assert made.ends >= 1


@needs_async_streaming
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
@pytest.mark.parametrize("is_async_view", [True, False], ids=["async", "sync"])
def test_a_stream_that_breaks_in_the_middle_in_an_event_loop_is_not_stored(is_async_view: bool) -> None:
    made, seen = Made(breaks_at=2), []
    view: Any = made.aview if is_async_view else made.view
    with serving(ASYNC, {"p/": view}, middleware=ALL, PERFSUITE=TENANCY) as site:
        with pytest.raises(RuntimeError, match="broken"):
            asyncio.run(asgi("identity", seen.append))
        made.breaks_at = -1
        assert [site.get("/p/", x_tenant="7").body.count(b"data") for _ in range(2)] == [5, 5]
        assert len(site.runs) == 2

    assert b"".join(seen) in (
        chunk(0) + chunk(1),
        b"",
    )  # of a sync stream Django makes all before it sends any
    assert made.ends == 2
    assert not deduplication.flights._flights


@needs_async_streaming
def test_a_stream_whose_client_leaves_an_event_loop_is_not_stored() -> None:
    made, seen = Made(), []

    async def leave() -> None:
        gone = asyncio.Event()

        def on_body(part: bytes) -> None:
            seen.append(part)
            if len(seen) == 2:
                gone.set()

        await asgi("identity", on_body, gone)

    with serving(ASYNC, {"p/": made.aview}, middleware=ALL, PERFSUITE=TENANCY) as site:
        asyncio.run(leave())
        assert len(seen) < 5, "the client has left"
        assert made.ends == 1
        assert [site.get("/p/", x_tenant="7").body.count(b"data") for _ in range(2)] == [5, 5]
        assert len(site.runs) == 2

    assert not deduplication.flights._flights


@pytest.mark.parametrize("plain", [b"hello", b"\0" * 50_000_000], ids=["small", "bomb"])
def test_a_compressed_body_of_a_request_reaches_the_view_as_it_was_sent(plain: bytes) -> None:
    sent, seen = gzip.compress(plain), []

    def view(request: Any) -> HttpResponse:
        seen.append((request.body, request.headers["Content-Encoding"], request.headers["Content-Length"]))
        return text("taken", None)

    with serving(SYNC, {"p/": view}, middleware=ALL, PERFSUITE=TENANCY) as site:
        site.client.post("/p/", sent, "application/octet-stream", HTTP_CONTENT_ENCODING="gzip")

    with serving(ASYNC, {"p/": view}, middleware=ALL, PERFSUITE=TENANCY) as site:

        async def post() -> None:
            await site.client.post("/p/", sent, "application/octet-stream", **{"Content-Encoding": "gzip"})

        asyncio.run(post())

    assert seen == [(sent, "gzip", str(len(sent)))] * 2
