"""Streams through the middleware: each event is out before the next is made, and an end is the end of all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.util import FileWrapper

import django
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory, override_settings

from perfsuite.responses import codings, kinds, streams
from tests.recorded import Recorded
from tests.responses.decoding import decoded, decoder_of
from tests.responses.views import LARGE, PAGE, events

OURS = "perfsuite.responses.CompressionMiddleware"
NAMES = ("zstd", "br", "gzip")

pytestmark = pytest.mark.urls("tests.responses.views")
needs_async_streaming = pytest.mark.skipif(
    django.VERSION < (4, 2), reason="async streaming came with Django 4.2"
)


@pytest.fixture(autouse=True)
def _host() -> Iterator[None]:
    events.made = events.closed = 0
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    with override_settings(MIDDLEWARE=[OURS]):
        yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def wsgi(path: str, accept: str = "gzip", **environ: Any) -> tuple[dict[str, str], Any]:
    """Call the host as a WSGI server does; return the header fields, and what the server gets to send."""
    sent: dict[str, str] = {}
    base = RequestFactory(HTTP_ACCEPT_ENCODING=accept).get(path).environ
    body = WSGIHandler()({**base, **environ}, lambda status, headers, exc_info=None: sent.update(headers))
    return sent, body


@pytest.mark.parametrize("name", NAMES)
def test_the_first_event_is_out_before_the_second_is_made(name: str) -> None:
    fields, body = wsgi("/events/50/", name)
    assert fields["Content-Encoding"] == name
    assert fields["Vary"] == "Accept-Encoding"
    assert "Content-Length" not in fields
    chunks, read = iter(body), decoder_of(name)

    for n in range(50):
        assert events.made == n
        assert read(next(chunks)) == b"data: event %d\n\n" % n
        assert events.made == n + 1
    assert read(b"".join(chunks)) == b""
    body.close()
    assert events.closed == 1


async def asgi(
    path: str, accept: str, on_body: Callable[[bytes], Any], leave: asyncio.Event | None = None
) -> dict[bytes, bytes]:
    """Call the host as an ASGI server does; ``on_body`` gets each part of the body; with ``leave`` set, the client is gone."""
    scope = AsyncRequestFactory()._base_scope(path=path)
    scope["headers"] = [*scope["headers"], (b"accept-encoding", accept.encode())]
    fields: dict[bytes, bytes] = {}
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b""}
        await (leave or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            fields.update(dict(message["headers"]))
        elif message.get("body"):
            on_body(message["body"])

    await ASGIHandler()(scope, receive, send)  # type: ignore[arg-type]
    return {key.lower(): value for key, value in fields.items()}


@needs_async_streaming
@pytest.mark.parametrize("name", NAMES)
def test_under_asgi_too_the_first_event_is_out_before_the_second_is_made(name: str) -> None:
    read = decoder_of(name)
    seen: list[tuple[int, bytes]] = []

    fields = asyncio.run(asgi("/async/events/50/", name, lambda body: seen.append((events.made, read(body)))))

    assert fields[b"content-encoding"] == name.encode()
    assert seen[:50] == [(n + 1, b"data: event %d\n\n" % n) for n in range(50)]
    assert b"".join(body for _, body in seen[50:]) == b""
    assert events.closed == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_of_many_parts_is_one_body(recorded: Recorded, name: str) -> None:
    whole = b"".join(Client().get("/stream/"))
    made = b"".join(Client().get("/stream/", HTTP_ACCEPT_ENCODING=name))

    assert decoded(name, made) == whole
    assert len(made) < len(whole)
    assert recorded.sum(kinds.BYTES_BEFORE, name) == len(whole)
    assert recorded.sum(kinds.BYTES_AFTER, name) == len(made)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("path", "whole"), [("/odd-stream/", b"a" + b"b" * 2_000), ("/empty-stream/", b"")])
def test_odd_streams_are_whole_and_have_no_empty_parts(name: str, path: str, whole: bytes) -> None:
    parts = list(Client().get(path, HTTP_ACCEPT_ENCODING=name))

    assert decoded(name, b"".join(parts)) == whole
    assert all(parts)


@pytest.mark.parametrize("accept", ["", "identity"])
def test_a_client_that_decodes_nothing_gets_the_stream_as_it_is(accept: str) -> None:
    fields, body = wsgi("/events/", accept)
    assert b"".join(body) == b"".join(b"data: event %d\n\n" % n for n in range(3))
    assert "Content-Encoding" not in fields
    assert fields["Vary"] == "Accept-Encoding"


def test_head_of_a_stream_makes_nothing() -> None:
    response = Client().head("/events/", HTTP_ACCEPT_ENCODING="gzip")
    assert response["Content-Encoding"] == "gzip"
    assert not response.has_header("Content-Length")


# The end


def test_a_client_that_leaves_in_the_middle_closes_the_source(recorded: Recorded) -> None:
    _, body = wsgi("/events/1000/")
    chunks = iter(body)
    for _ in range(4):
        next(chunks)
    body.close()
    body.close()

    assert events.made == 4
    assert events.closed == 1
    assert recorded.sum(kinds.BYTES_BEFORE, "gzip") == 4 * len(b"data: event 0\n\n")


@pytest.mark.parametrize("read", [0, 1])
def test_a_body_with_a_close_of_its_own_is_closed_once(read: int) -> None:
    _, body = wsgi("/closing/")
    chunks = iter(body)
    for _ in range(read):
        next(chunks)
    body.close()

    assert events.closed == 1


@pytest.mark.skipif(
    django.VERSION < (5, 0), reason="before Django 5.0, nobody listened for that while a stream was sent"
)
def test_under_asgi_a_client_that_leaves_closes_the_source() -> None:
    async def run() -> None:
        leave = asyncio.Event()
        parts = 0

        def on_body(body: bytes) -> None:
            nonlocal parts
            parts += 1
            if parts == 3:
                leave.set()

        await asgi("/async/events/1000000/", "zstd", on_body, leave)
        for _ in range(100):
            if events.closed:
                break
            await asyncio.sleep(0)

    asyncio.run(run())
    assert 0 < events.made < 1_000_000
    assert events.closed == 1


@needs_async_streaming
def test_closing_the_compressed_body_closes_the_source() -> None:
    async def run() -> None:
        response = await AsyncClient().get("/async/events/1000/", ACCEPT_ENCODING="br")
        body = response.streaming_content
        read = decoder_of("br")
        assert read(await body.__anext__()) == b"data: event 0\n\n"
        await body.aclose()
        for _ in range(20):
            await asyncio.sleep(0)

    asyncio.run(run())
    assert events.closed == 1


def test_a_stream_that_breaks_stays_broken() -> None:
    for name in NAMES:
        _, body = wsgi("/broken-stream/", name)
        chunks, read = iter(body), decoder_of(name)
        assert read(next(chunks)) == PAGE
        with pytest.raises(RuntimeError, match="broken stream"):
            next(chunks)
        assert list(chunks) == []  # no end that would make it look whole
        body.close()


@needs_async_streaming
@pytest.mark.parametrize("name", NAMES)
def test_under_asgi_a_stream_that_breaks_stays_broken(name: str) -> None:
    async def run() -> None:
        response = await AsyncClient().get("/async/broken-stream/", ACCEPT_ENCODING=name)
        body, read = response.streaming_content, decoder_of(name)
        assert read(await body.__anext__()) == PAGE
        with pytest.raises(RuntimeError, match="broken stream"):
            await body.__anext__()
        with pytest.raises(StopAsyncIteration):
            await body.__anext__()

    asyncio.run(run())


def test_a_compressor_that_breaks_in_the_middle_breaks_the_stream() -> None:
    class Breaking:
        def feed(self, chunk: bytes, flush: bool) -> bytes:
            if chunk == b"2":
                raise RuntimeError("broken compressor")
            return chunk

        def finish(self) -> bytes:
            return b"end"

    ends: list[tuple[int, int]] = []
    made = streams.compressed([b"1", b"2", b"3"], Breaking(), True, lambda *sizes: ends.append(sizes))
    assert next(made) == b"1"
    with pytest.raises(RuntimeError, match="broken compressor"):
        next(made)
    assert ends == [(2, 1)]


@needs_async_streaming
@pytest.mark.parametrize("name", NAMES)
def test_large_chunks_are_compressed_off_the_event_loop(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    threads: set[str] = set()
    found = codings.coding(name)
    assert found is not None
    stream = found.stream(3, 0)
    feed = stream.feed

    class Watched:
        def feed(self, chunk: bytes, flush: bool) -> bytes:
            threads.add(threading.current_thread().name)
            return feed(chunk, flush)

        def finish(self) -> bytes:
            return stream.finish()

    monkeypatch.setattr(type(found), "stream", lambda *args: Watched())
    parts: list[bytes] = []
    asyncio.run(asgi("/async/large-chunks/", name, parts.append))

    assert decoded(name, b"".join(parts)) == LARGE * 3
    assert len(threads) >= 1
    assert all(thread.startswith("perfsuite-responses") for thread in threads)


@needs_async_streaming
def test_many_streams_at_once_are_each_their_own() -> None:
    async def ask(number: int) -> bool:
        name = NAMES[number % 3]
        parts: list[bytes] = []
        await asgi(f"/async/events/{number}/", name, parts.append)
        return decoded(name, b"".join(parts)) == b"".join(b"data: event %d\n\n" % n for n in range(number))

    async def run() -> list[bool]:
        return await asyncio.gather(*(ask(number) for number in range(1, 40)))

    assert all(asyncio.run(run()))


def test_a_sync_stream_under_asgi_is_whole_too() -> None:
    async def run() -> Any:
        parts: list[bytes] = []
        await asgi("/stream/", "gzip", parts.append)
        return b"".join(parts)

    if django.VERSION >= (4, 2):
        with pytest.warns(Warning, match="synchronous iterators"):
            made = asyncio.run(run())
    else:
        made = asyncio.run(run())
    assert decoded("gzip", made) == b"".join(Client().get("/stream/"))


# Files


def test_a_file_that_the_server_can_send_is_left_to_it() -> None:
    fields, body = wsgi("/file/", **{"wsgi.file_wrapper": FileWrapper})
    assert isinstance(body, FileWrapper)
    assert b"".join(body) == PAGE
    # Or the collector closes it, and Django says in the middle of a later request that a request is over; while that one sets a
    # ContextVar, Python 3.11 crashes by it (CPython issue 148891).
    body.close()
    assert "Content-Encoding" not in fields
    assert "Vary" not in fields
    assert fields["Content-Length"] == str(len(PAGE))


def test_a_view_can_have_its_file_compressed() -> None:
    fields, body = wsgi("/compressed-file/", **{"wsgi.file_wrapper": FileWrapper})
    assert not isinstance(body, FileWrapper)
    made = b"".join(body)
    body.close()
    assert decoded("gzip", made) == LARGE
    assert fields["Content-Encoding"] == "gzip"
    assert "Content-Length" not in fields


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_the_server_cannot_send_is_compressed_without_a_flush_for_each_block(name: str) -> None:
    fields, body = wsgi("/compressed-file/", name)
    made = b"".join(body)
    found = codings.coding(name)
    assert found is not None

    assert fields["Content-Encoding"] == name
    assert decoded(name, made) == LARGE
    assert len(made) < 1.2 * len(found.encode(LARGE, 3, 0)) + 200


def test_a_small_file_is_sent_as_it_is() -> None:
    fields, body = wsgi("/small-file/")
    assert b"".join(body) == b"x" * 100
    assert fields["Content-Length"] == "100"
    assert "Content-Encoding" not in fields


def test_a_stream_is_sent_as_it_is_to_who_asks_for_no_transformation() -> None:
    fields, body = wsgi("/events/3/", HTTP_CACHE_CONTROL="no-transform")
    assert b"".join(body) == b"".join(b"data: event %d\n\n" % n for n in range(3))
    body.close()
    assert fields["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" not in fields
