"""Views whose responses are compressed, or not, and the bodies that they are made of."""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.urls import path
from django.views.decorators.http import condition, etag

from perfsuite.responses import compress_response, never_compress_response

PAGE = b"<p>" + b"Every page says much the same, again and again. " * 100 + b"</p>"
LARGE = PAGE * 40
NOISE = random.Random(7).randbytes(768)
ROWS = [{"id": n, "name": f"Lead {n}"} for n in range(200)]


class Events:
    """What the streams have done, for the tests to look at."""

    def __init__(self) -> None:
        self.made = 0
        self.closed = 0


events = Events()


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE)


def with_headers(request: HttpRequest) -> HttpResponse:
    """Answer with the status and the header fields that the query asks for."""
    fields = request.GET.dict()
    body = {"small": b"x" * 100, "empty": b"", "noise": NOISE}.get(fields.pop("body", ""), PAGE)
    response = HttpResponse(body, status=int(fields.pop("status", "200")))
    for name, value in fields.items():
        if value:
            response[name] = value
        else:
            del response[name]
    return response


def data(request: HttpRequest) -> JsonResponse:
    return JsonResponse(ROWS, safe=False)


def large(request: HttpRequest) -> HttpResponse:
    return HttpResponse(LARGE)


async def async_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE)


async def async_large(request: HttpRequest) -> HttpResponse:
    return HttpResponse(LARGE)


@never_compress_response
def never(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE)


@never_compress_response
async def async_never(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE)


def never_by_attribute(request: HttpRequest) -> HttpResponse:
    response = HttpResponse(PAGE)
    response.perfsuite_compress = False  # type: ignore[attr-defined]
    return response


@etag(lambda request: '"page-1"')
def tagged(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE)


@condition(etag_func=lambda request: 'W/"page-1"')
def weakly_tagged(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE)


def redirect(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect("/page/")


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(io.BytesIO(PAGE), content_type="text/plain")


@compress_response
def compressed_file(request: HttpRequest) -> FileResponse:
    return FileResponse(io.BytesIO(LARGE), content_type="text/plain")


def small_file(request: HttpRequest) -> FileResponse:
    return FileResponse(io.BytesIO(b"x" * 100), content_type="text/plain")


def picture(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE, content_type="image/png")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def lines() -> Iterator[str]:
        for row in ROWS:
            yield json.dumps(row) + "\n"

    return StreamingHttpResponse(lines(), content_type="application/x-ndjson")


def event_source(request: HttpRequest, number: int = 3) -> StreamingHttpResponse:
    def made() -> Iterator[str]:
        try:
            for n in range(number):
                events.made += 1
                yield f"data: event {n}\n\n"
        finally:
            events.closed += 1

    return StreamingHttpResponse(made(), content_type="text/event-stream")


async def async_event_source(request: HttpRequest, number: int = 3) -> StreamingHttpResponse:
    async def made() -> AsyncIterator[str]:
        try:
            for n in range(number):
                events.made += 1
                yield f"data: event {n}\n\n"
                await asyncio.sleep(0)  # as one that waits for events does
        finally:
            events.closed += 1

    return StreamingHttpResponse(made(), content_type="text/event-stream")


async def async_large_chunks(request: HttpRequest) -> StreamingHttpResponse:
    async def made() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield LARGE

    return StreamingHttpResponse(made())


def broken_stream(request: HttpRequest) -> StreamingHttpResponse:
    def made() -> Iterator[bytes]:
        yield PAGE
        raise RuntimeError("broken stream")

    return StreamingHttpResponse(made())


async def async_broken_stream(request: HttpRequest) -> StreamingHttpResponse:
    async def made() -> AsyncIterator[bytes]:
        yield PAGE
        raise RuntimeError("broken stream")

    return StreamingHttpResponse(made())


class Closing:
    """A body with a ``close`` of its own, as a database cursor has."""

    def __init__(self) -> None:
        self.left = 1_000

    def __iter__(self) -> Closing:
        return self

    def __next__(self) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise StopIteration
        return b"a row of data\n"

    def close(self) -> None:
        events.closed += 1


def closing(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(Closing())


def odd_stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(["", "a", b"", b"b" * 2_000, ""])


def empty_stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse([])


def error(request: HttpRequest) -> Any:
    raise RuntimeError("the view fails")


urlpatterns = [
    path("page/", page),
    path("with-headers/", with_headers),
    path("data/", data),
    path("large/", large),
    path("async/page/", async_page),
    path("async/large/", async_large),
    path("never/", never),
    path("async/never/", async_never),
    path("never-by-attribute/", never_by_attribute),
    path("tagged/", tagged),
    path("weakly-tagged/", weakly_tagged),
    path("redirect/", redirect),
    path("file/", file),
    path("compressed-file/", compressed_file),
    path("small-file/", small_file),
    path("picture/", picture),
    path("stream/", stream),
    path("events/", event_source),
    path("events/<int:number>/", event_source),
    path("async/events/", async_event_source),
    path("async/events/<int:number>/", async_event_source),
    path("async/large-chunks/", async_large_chunks),
    path("broken-stream/", broken_stream),
    path("async/broken-stream/", async_broken_stream),
    path("closing/", closing),
    path("odd-stream/", odd_stream),
    path("empty-stream/", empty_stream),
    path("error/", error),
]
