"""The URLs of compressed_site.py, whose settings must be in force."""

from __future__ import annotations

from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from tests.integration.compressed_site import FOLDER, async_events, events

PAGE = b"".join(b"<li>Lead %d of many</li>\n" % n for n in range(10_000))


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE)


def file(request: HttpRequest) -> FileResponse:
    written = FOLDER / "page.html"
    written.write_bytes(PAGE)
    return FileResponse(written.open("rb"))


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(events(), content_type="text/event-stream")


async def async_stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(async_events(), content_type="text/event-stream")


urlpatterns = [
    path("page/", page),
    path("file/", file),
    path("events/", stream),
    path("async/events/", async_stream),
]
