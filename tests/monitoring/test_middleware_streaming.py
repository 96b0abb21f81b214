"""Streaming responses: measured to the last byte, with the statements of the body, however the body ends."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connections
from django.http import StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory

from perfsuite.metrics import request as tally_of_request
from perfsuite.monitoring import RequestMetricsMiddleware, kinds
from tests.monitoring.views import FILE_CONTENT
from tests.recorded import SELECT, Recorded

pytestmark = pytest.mark.urls("tests.monitoring.views")
STREAM = "/stream/<int:chunks>/"
ASYNC_STREAM = "/async/stream/<int:chunks>/"
needs_async_streaming = pytest.mark.skipif(
    django.VERSION < (4, 2), reason="async streaming came with Django 4.2"
)


Wsgi = Callable[..., Any]


@pytest.fixture
def wsgi() -> Iterator[Wsgi]:
    """Return a function that calls the host as a WSGI server does, and returns what the server gets to send."""

    def call(path: str, method: str = "GET", **environ: Any) -> Any:
        base = RequestFactory().generic(method, path).environ
        return WSGIHandler()({**base, **environ}, lambda status, headers, exc_info=None: None)

    # As Django's test client does: the end of a request must not close the connection of the test.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield call
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.django_db
def test_a_stream_is_measured_to_its_last_byte_with_the_statements_of_its_body(
    recorded: Recorded, wsgi: Wsgi
) -> None:
    body = wsgi("/stream/3/")
    chunks = iter(body)
    next(chunks)
    assert recorded.requests() == {}
    assert len(b"".join(chunks)) == 2000
    body.close()

    assert recorded.requests() == {(STREAM, "GET", "2xx"): 1}
    assert recorded.sum(kinds.QUERIES, STREAM) == 3
    assert recorded.operations() == {SELECT: 3}
    assert recorded.sum(kinds.BYTES_OUT, STREAM) == 3000
    assert recorded.sum(kinds.STATUS, "2xx") >= 30_000


@pytest.mark.django_db
def test_through_the_test_client_a_stream_is_recorded_once_as_well(recorded: Recorded) -> None:
    response = Client().get("/stream/2/")
    assert len(b"".join(response)) == 2000

    assert recorded.requests() == {(STREAM, "GET", "2xx"): 1}
    assert recorded.sum(kinds.QUERIES, STREAM) == 2


@pytest.mark.django_db
def test_between_two_chunks_the_servers_own_context_is_back(recorded: Recorded, wsgi: Wsgi) -> None:
    body = wsgi("/stream/2/")
    for _ in body:
        assert tally_of_request.current.get() is None
    body.close()
    assert tally_of_request.current.get() is None


@pytest.mark.django_db
def test_a_client_that_goes_away_early_ends_the_measuring(recorded: Recorded, wsgi: Wsgi) -> None:
    body = wsgi("/endless/")
    chunks = iter(body)
    for _ in range(4):
        next(chunks)
    body.close()
    body.close()

    assert recorded.requests() == {("/endless/", "GET", "cancelled"): 1}
    assert recorded.sum(kinds.BYTES_OUT, "/endless/") == 400
    assert recorded.sum(kinds.QUERIES, "/endless/") == 4


@pytest.mark.django_db
def test_a_stream_that_is_never_begun_is_recorded_when_it_is_closed(recorded: Recorded, wsgi: Wsgi) -> None:
    wsgi("/endless/").close()

    assert recorded.requests() == {("/endless/", "GET", "2xx"): 1}
    assert recorded.sum(kinds.BYTES_OUT, "/endless/") == 0


def test_an_error_in_the_middle_of_a_stream_goes_on_and_is_recorded_once(
    recorded: Recorded, wsgi: Wsgi
) -> None:
    body = wsgi("/broken-stream/")
    chunks = iter(body)
    assert next(chunks) == b"first"
    with pytest.raises(RuntimeError, match="broken stream"):
        next(chunks)
    body.close()

    assert recorded.requests() == {("/broken-stream/", "GET", "5xx"): 1}
    assert recorded.sum(kinds.BYTES_OUT, "/broken-stream/") == 5
    assert tally_of_request.current.get() is None


def test_an_empty_stream_is_recorded(recorded: Recorded, wsgi: Wsgi) -> None:
    body = wsgi("/empty-stream/")
    assert list(body) == []
    body.close()

    assert recorded.requests() == {("/empty-stream/", "GET", "2xx"): 1}


def test_a_file_is_still_handed_to_the_servers_file_wrapper(recorded: Recorded, wsgi: Wsgi) -> None:
    wrapped: list[Any] = []

    class FileWrapper:
        """What a server with ``sendfile`` makes of a file."""

        def __init__(self, file: io.BytesIO, block_size: int) -> None:
            wrapped.append(file)
            self.file = file

        def close(self) -> None:
            self.file.close()

    body = wsgi("/file/", **{"wsgi.file_wrapper": FileWrapper})
    assert isinstance(body, FileWrapper)
    assert wrapped[0].read() == FILE_CONTENT
    assert recorded.requests() == {}
    body.close()

    assert recorded.requests() == {("/file/", "GET", "2xx"): 1}
    assert recorded.sum(kinds.BYTES_OUT, "/file/") == len(FILE_CONTENT)
    assert wrapped[0].closed


def test_a_file_is_measured_where_the_server_has_no_file_wrapper(recorded: Recorded, wsgi: Wsgi) -> None:
    body = wsgi("/file/", **{"wsgi.file_wrapper": None})
    assert b"".join(body) == FILE_CONTENT
    body.close()

    assert recorded.requests() == {("/file/", "GET", "2xx"): 1}
    assert recorded.sum(kinds.BYTES_OUT, "/file/") == len(FILE_CONTENT)


def test_a_head_request_for_a_file_sends_no_body(recorded: Recorded, wsgi: Wsgi) -> None:
    wsgi("/file/", "HEAD").close()

    assert recorded.requests() == {("/file/", "HEAD", "2xx"): 1}
    assert recorded.sum(kinds.BYTES_OUT, "/file/") == 0


@needs_async_streaming
@pytest.mark.django_db
def test_an_async_stream_is_measured_to_its_last_byte_with_its_statements(recorded: Recorded) -> None:
    async def read() -> int:
        response = await AsyncClient().get("/async/stream/3/")
        assert recorded.requests() == {}
        return sum([len(chunk) async for chunk in response.streaming_content])

    assert async_to_sync(read)() == 3000

    assert recorded.requests() == {(ASYNC_STREAM, "GET", "2xx"): 1}
    assert recorded.sum(kinds.QUERIES, ASYNC_STREAM) == 3
    assert recorded.sum(kinds.BYTES_OUT, ASYNC_STREAM) == 3000


class Server:
    """Calls the host as an ASGI server does. ``send`` is called with each message that the host sends."""

    def __init__(self, send: Callable[[dict[str, Any]], Awaitable[None]] | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self._on_send = send
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)

    async def get(self, path: str) -> None:
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET"}
        scope |= {
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [],
            "scheme": "http",
        }
        self._messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        await ASGIHandler()(scope, self._messages.get, self._send)

    def disconnect(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        if self._on_send is not None:
            await self._on_send(message)


def serve(path: str, send: Any = None) -> Server:
    async def run() -> Server:
        server = Server(send and (lambda message: send(server, message)))
        await asyncio.wait_for(server.get(path), timeout=30)
        return server

    try:
        return asyncio.run(run())
    finally:
        connections.close_all()


@needs_async_streaming
@pytest.mark.django_db(transaction=True)
def test_an_asgi_server_gets_a_sync_and_an_async_stream_whole_and_each_is_recorded_once(
    recorded: Recorded,
) -> None:
    assert len(serve("/async/stream/3/").body) == 3000
    assert len(serve("/stream/3/").body) == 3000
    assert serve("/file/").body == FILE_CONTENT

    requests = {(ASYNC_STREAM, "GET", "2xx"): 1, (STREAM, "GET", "2xx"): 1, ("/file/", "GET", "2xx"): 1}
    assert recorded.requests() == requests
    assert recorded.sum(kinds.QUERIES, ASYNC_STREAM) == 3
    assert recorded.sum(kinds.QUERIES, STREAM) == 3
    assert recorded.sum(kinds.BYTES_OUT, "/file/") == len(FILE_CONTENT)


@needs_async_streaming
def test_an_error_in_the_middle_of_an_async_stream_goes_on_and_is_recorded_once(recorded: Recorded) -> None:
    with pytest.raises(RuntimeError, match="broken stream"):
        serve("/async/broken-stream/")

    assert recorded.requests() == {("/async/broken-stream/", "GET", "5xx"): 1}
    assert recorded.sum(kinds.BYTES_OUT, "/async/broken-stream/") == 5


@pytest.mark.skipif(django.VERSION < (5, 0), reason="Django before 5.0 does not listen for a disconnect")
@pytest.mark.django_db(transaction=True)
def test_a_client_that_leaves_an_async_stream_ends_the_measuring(recorded: Recorded) -> None:
    async def leave(server: Server, message: dict[str, Any]) -> None:
        if message.get("body"):
            server.disconnect()

    server = serve("/async/endless/", leave)

    assert server.body == b"x" * 100
    assert recorded.requests() == {("/async/endless/", "GET", "cancelled"): 1}
    assert recorded.sum(kinds.QUERIES, "/async/endless/") == 1
    assert recorded.sum(kinds.BYTES_OUT, "/async/endless/") == 100


@pytest.mark.skipif(django.VERSION < (5, 0), reason="Django before 5.0 does not listen for a disconnect")
@pytest.mark.django_db(transaction=True)
def test_a_view_cancelled_by_a_disconnect_is_recorded_as_cancelled(recorded: Recorded) -> None:
    async def run() -> None:
        server = Server()
        asked = asyncio.create_task(server.get("/async/forever/"))
        while tally_count() < 2:
            assert not asked.done()
            await asyncio.sleep(0)
        server.disconnect()
        await asyncio.wait_for(asked, timeout=30)

    seen: list[tally_of_request.Tally] = []

    def tally_count() -> int:
        return seen[0].statements()[0] if seen else 0

    original = tally_of_request.Tally.__init__

    def remembered(self: tally_of_request.Tally, request: Any = None) -> None:
        original(self, request)
        seen.append(self)

    tally_of_request.Tally.__init__ = remembered  # type: ignore[method-assign]
    try:
        asyncio.run(run())
    finally:
        tally_of_request.Tally.__init__ = original  # type: ignore[method-assign]

    assert recorded.requests() == {("/async/forever/", "GET", "cancelled"): 1}
    assert recorded.sum(kinds.QUERIES, "/async/forever/") == 2


@needs_async_streaming
def test_a_server_whose_send_fails_in_the_middle_of_an_async_stream_leaves_one_record(
    recorded: Recorded,
) -> None:
    async def gone(server: Server, message: dict[str, Any]) -> None:
        if message.get("body"):
            raise OSError("the client is gone")

    with pytest.raises(OSError, match="gone"):
        serve("/async/broken-stream/", gone)

    assert recorded.requests() == {("/async/broken-stream/", "GET", "cancelled"): 1}


@needs_async_streaming
@pytest.mark.django_db
def test_an_async_stream_under_wsgi_is_recorded_once(recorded: Recorded) -> None:
    async def chunks() -> Any:
        yield b"one"
        yield b"two"

    response = RequestMetricsMiddleware(lambda request: StreamingHttpResponse(chunks()))(
        RequestFactory().get("/")
    )
    with pytest.warns(Warning, match="asynchronous iterators"):
        assert b"".join(response) == b"onetwo"  # type: ignore[arg-type]
    response.close()  # type: ignore[union-attr]

    assert recorded.requests() == {("<middleware>", "GET", "2xx"): 1}
    assert recorded.sum(kinds.BYTES_OUT) == 6
