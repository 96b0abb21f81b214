"""Streaming responses, followed to their last byte, whichever way they end and whoever iterates them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import override_settings
from django.urls import path

from perfsuite.streaming import follow

variable: ContextVar[str | None] = ContextVar("perfsuite_test_streaming", default=None)


class Ends:
    """Keeps what ``done`` was called with, and the variable's value at that time."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.failures: list[type[BaseException] | None] = []
        self.seen: list[str | None] = []

    def __call__(self, sent_bytes: int, failure: BaseException | None) -> None:
        self.calls.append(sent_bytes)
        self.failures.append(None if failure is None else type(failure))
        self.seen.append(variable.get())


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture(autouse=True)
def _outside() -> Iterator[None]:
    # A request closes the connections that earlier tests left; Django's test client keeps it from that likewise.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    token = variable.set("outside")
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)
    assert variable.get() == "outside"
    variable.reset(token)


seen_by_body: list[str | None] = []


def body(chunks: int = 3, fail_at: int | None = None) -> Iterator[bytes]:
    seen_by_body.clear()
    for n in range(chunks):
        if n == fail_at:
            raise RuntimeError("broken body")
        seen_by_body.append(variable.get())
        yield b"x" * 10


async def async_body(chunks: int = 3, fail_at: int | None = None) -> AsyncIterator[bytes]:
    seen_by_body.clear()
    for n in range(chunks):
        await asyncio.sleep(0)
        if n == fail_at:
            raise RuntimeError("broken body")
        seen_by_body.append(variable.get())
        yield b"x" * 10


@pytest.mark.parametrize(("chunks", "failure"), [(3, None), (2, GeneratorExit), (0, None)])
def test_the_end_tells_a_whole_body_from_one_that_the_client_left(
    ends: Ends, chunks: int, failure: type[BaseException] | None
) -> None:
    response = StreamingHttpResponse(body())
    follow(response, variable, "inside", ends)
    pieces = iter(response)
    for _ in range(chunks):
        next(pieces)
    if chunks == 3:
        assert next(pieces, None) is None
    response.close()
    assert ends.failures == [failure]


# Synchronous


def test_each_chunk_runs_with_the_variable_set_and_its_end_is_told_once(ends: Ends) -> None:
    response = StreamingHttpResponse(body())
    follow(response, variable, "inside", ends)
    assert ends.calls == []
    assert b"".join(response) == b"x" * 30
    assert seen_by_body == ["inside"] * 3
    assert ends.calls == [30]
    response.close()
    assert ends.calls == [30]


def test_the_end_is_told_while_the_variable_is_still_set(ends: Ends) -> None:
    response = StreamingHttpResponse(body())
    follow(response, variable, "inside", ends)
    list(response)
    assert ends.seen == ["inside"]


def test_between_two_chunks_the_variable_is_as_it_was_before(ends: Ends) -> None:
    response = StreamingHttpResponse(body())
    follow(response, variable, "inside", ends)
    chunks = iter(response)
    for value in ("first", "second", None):
        variable.set(value)
        next(chunks)
        assert variable.get() == value
    variable.set("outside")


def test_text_chunks_are_counted_in_bytes(ends: Ends) -> None:
    response = StreamingHttpResponse(["é" * 5, "€"])
    follow(response, variable, "inside", ends)
    assert b"".join(response).decode() == "ééééé€"
    assert ends.calls == [13]


def test_an_error_in_the_body_reaches_the_server_and_ends_the_response(ends: Ends) -> None:
    response = StreamingHttpResponse(body(fail_at=2))
    follow(response, variable, "inside", ends)
    with pytest.raises(RuntimeError, match="broken body"):
        list(response)
    assert ends.calls == [20]
    assert variable.get() == "outside"
    response.close()
    assert ends.calls == [20]


def test_a_response_that_the_client_leaves_ends_when_the_server_closes_it(ends: Ends) -> None:
    response = StreamingHttpResponse(body())
    follow(response, variable, "inside", ends)
    next(iter(response))
    assert ends.calls == []
    response.close()
    response.close()
    assert ends.calls == [10]


def test_a_response_that_is_never_iterated_ends_when_the_server_closes_it(ends: Ends) -> None:
    response = StreamingHttpResponse(body())
    follow(response, variable, "inside", ends)
    response.close()
    assert ends.calls == [0]


def test_the_body_s_own_close_is_still_called(ends: Ends) -> None:
    closed: list[str] = []

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield b"x"

        def close(self) -> None:
            closed.append("closed")

    response = StreamingHttpResponse(Body())
    follow(response, variable, "inside", ends)
    list(response)
    response.close()
    assert closed == ["closed"]


def test_an_error_in_closing_reaches_the_server_and_ends_the_response(ends: Ends) -> None:
    response = StreamingHttpResponse(body())

    def broken_close() -> None:
        raise OSError("broken close")

    response.close = broken_close  # type: ignore[method-assign]
    follow(response, variable, "inside", ends)
    with pytest.raises(OSError, match="broken close"):
        response.close()
    assert ends.calls == [0]


def test_a_middleware_outside_may_wrap_the_body_again(ends: Ends) -> None:
    response = StreamingHttpResponse(body())
    follow(response, variable, "inside", ends)
    response.streaming_content = (chunk.upper() for chunk in response.streaming_content)
    assert b"".join(response) == b"X" * 30
    assert seen_by_body == ["inside"] * 3
    assert ends.calls == [30]


def test_without_done_only_the_variable_is_carried() -> None:
    response = StreamingHttpResponse(body())
    follow(response, variable, "inside")
    assert b"".join(response) == b"x" * 30
    assert seen_by_body == ["inside"] * 3
    response.close()


def test_a_response_that_does_not_stream_is_left_as_it_is(ends: Ends) -> None:
    response = HttpResponse(b"whole")
    close = response.close
    follow(response, variable, "inside", ends)
    assert response.content == b"whole"
    assert response.close == close
    response.close()
    assert ends.calls == []


# Asynchronous


async def consume(response: StreamingHttpResponse) -> bytes:
    return b"".join([chunk async for chunk in response])


def test_an_asynchronous_body_is_followed_likewise(ends: Ends) -> None:
    async def serve() -> bytes:
        response = StreamingHttpResponse(async_body())
        follow(response, variable, "inside", ends)
        assert response.is_async
        return await consume(response)

    assert asyncio.run(serve()) == b"x" * 30
    assert seen_by_body == ["inside"] * 3
    assert ends.calls == [30]
    assert ends.seen == ["inside"]


def test_between_two_asynchronous_chunks_the_variable_is_as_it_was_before(ends: Ends) -> None:
    async def serve() -> None:
        response = StreamingHttpResponse(async_body())
        follow(response, variable, "inside", ends)
        values = ["first", "second", None]
        variable.set(values[0])
        async for _ in response:
            assert variable.get() == values.pop(0)
            if values:
                variable.set(values[0])

    asyncio.run(serve())


def test_an_error_in_an_asynchronous_body_ends_the_response(ends: Ends) -> None:
    async def serve() -> None:
        response = StreamingHttpResponse(async_body(fail_at=1))
        follow(response, variable, "inside", ends)
        with pytest.raises(RuntimeError, match="broken body"):
            await consume(response)
        assert variable.get() == "outside"
        response.close()

    asyncio.run(serve())
    assert ends.calls == [10]


def test_a_cancelled_asynchronous_body_ends_the_response(ends: Ends) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * 10
        await asyncio.Event().wait()

    async def serve() -> None:
        response = StreamingHttpResponse(endless())
        follow(response, variable, "inside", ends)
        first = asyncio.Event()

        async def send() -> None:
            async for _ in response:
                first.set()

        task = asyncio.ensure_future(send())
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ends.calls == [10]
        response.close()

    asyncio.run(serve())
    assert ends.calls == [10]


def test_two_responses_at_once_each_see_their_own_value() -> None:
    seen: dict[str, set[str | None]] = {"a": set(), "b": set()}

    async def own_body(name: str) -> AsyncIterator[bytes]:
        for _ in range(20):
            await asyncio.sleep(0)
            seen[name].add(variable.get())
            yield b"x"

    async def serve() -> None:
        responses = []
        for name in seen:
            response = StreamingHttpResponse(own_body(name))
            follow(response, variable, name)
            responses.append(response)
        await asyncio.gather(*(consume(response) for response in responses))

    asyncio.run(serve())
    assert seen == {"a": {"a"}, "b": {"b"}}


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
def test_a_synchronous_body_under_an_asynchronous_server_is_followed(ends: Ends) -> None:
    async def serve() -> bytes:
        response = StreamingHttpResponse(body())
        follow(response, variable, "inside", ends)
        return await consume(response)

    assert asyncio.run(serve()) == b"x" * 30
    assert seen_by_body == ["inside"] * 3
    assert ends.calls == [30]


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume:Warning")
def test_an_asynchronous_body_under_a_synchronous_server_is_followed(ends: Ends) -> None:
    response = StreamingHttpResponse(async_body())
    follow(response, variable, "inside", ends)
    assert b"".join(response) == b"x" * 30
    assert seen_by_body == ["inside"] * 3
    assert ends.calls == [30]


# Files


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file.bin"
    path.write_bytes(b"y" * 5000)
    return path


def test_a_file_that_the_server_may_send_by_itself_is_left_to_it(ends: Ends, file: Path) -> None:
    response = FileResponse(file.open("rb"))
    content = response.file_to_stream
    follow(response, variable, "inside", ends)
    assert response.file_to_stream is content
    assert ends.calls == []
    response.close()
    assert ends.calls == [5000]
    assert content is not None
    assert content.closed


def test_a_file_of_unknown_length_counts_as_empty(ends: Ends) -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return b"z" * size

    response = FileResponse(Endless())
    assert not response.has_header("Content-Length")
    follow(response, variable, "inside", ends)
    response.close()
    assert ends.calls == [0]


def test_a_content_length_that_is_no_number_counts_as_nothing(ends: Ends, file: Path) -> None:
    response = FileResponse(file.open("rb"))
    response["Content-Length"] = "²"
    follow(response, variable, "inside", ends)
    response.close()
    assert ends.calls == [0]


def test_a_generator_in_a_file_response_is_followed_like_any_body(ends: Ends) -> None:
    response = FileResponse(body())
    follow(response, variable, "inside", ends)
    assert b"".join(response) == b"x" * 30
    assert seen_by_body == ["inside"] * 3
    assert ends.calls == [30]


def test_a_wsgi_server_gets_the_file_itself(ends: Ends, file: Path) -> None:
    wrapped: list[Any] = []

    def file_wrapper(content: Any, size: int) -> FileWrapper:
        wrapped.append(content)
        return FileWrapper(content, size)

    def download(request: HttpRequest) -> FileResponse:
        response = FileResponse(file.open("rb"))
        follow(response, variable, "inside", ends)
        return response

    class Urls:
        urlpatterns = [path("", download)]

    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
        "wsgi.file_wrapper": file_wrapper,
    }
    with override_settings(ROOT_URLCONF=Urls, MIDDLEWARE=[]):
        sent: Any = WSGIHandler()(environ, lambda *_: None)
        assert len(wrapped) == 1
        assert b"".join(sent) == b"y" * 5000
        assert ends.calls == []
        sent.close()
    assert ends.calls == [5000]
