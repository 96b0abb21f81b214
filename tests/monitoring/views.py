"""Views for the middleware's tests, beside those of the test app; a urlconf of their own stands at the end."""

from __future__ import annotations

import asyncio
import contextvars
import io
import threading
from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import include, path

from perfsuite.metrics.request import discard_current
from tests.testapp.views import count_statements

FILE_CONTENT = b"f" * 10_000


class Hold:
    """Stops a view at a known point until the test lets it go on; no test waits longer than the timeout."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.done = threading.Event()


hold = Hold()


def own_header(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("own")
    response["Server-Timing"] = "render;dur=1.5"
    return response


def staff_check(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(request.user.is_staff))


async def async_staff_check(request: HttpRequest) -> HttpResponse:
    user = await request.auser()
    return HttpResponse(str(user.is_staff))


def deferred_user(request: HttpRequest) -> HttpResponse:
    """Hold a user whose ``is_staff`` was not read from the database."""
    request.user = User.objects.only("username").get(username="boss")
    return HttpResponse("deferred")


class StrangerWithCostlyProperty:
    """A host's user model whose ``is_staff`` asks the database."""

    is_active = True

    @property
    def is_staff(self) -> bool:
        return User.objects.filter(username="boss").exists()


def costly_user(request: HttpRequest) -> HttpResponse:
    request.user = StrangerWithCostlyProperty()
    return HttpResponse("costly")


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(io.BytesIO(FILE_CONTENT), filename="file.bin")


def discarded(request: HttpRequest) -> HttpResponse:
    count_statements(1)
    discard_current()
    return HttpResponse("discarded")


def system_exit(request: HttpRequest) -> HttpResponse:
    raise SystemExit(3)


def odd_status(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("odd")
    response.status_code = 799
    return response


def worker_thread(request: HttpRequest) -> HttpResponse:
    """Run three statements: one here, two in a thread that got a copy of the context."""
    from django.db import connections

    def work() -> None:
        try:
            count_statements(2)
        finally:
            connections.close_all()

    count_statements(1)
    thread = threading.Thread(target=contextvars.copy_context().run, args=[work])
    thread.start()
    thread.join()
    return HttpResponse("worked")


def left_behind(request: HttpRequest) -> HttpResponse:
    """Run a statement, and leave a thread behind that runs another when the request is over."""
    from django.db import connections

    def work() -> None:
        try:
            if hold.go_on.wait(10):
                count_statements(1)
        finally:
            connections.close_all()
            hold.done.set()

    count_statements(1)
    threading.Thread(target=contextvars.copy_context().run, args=[work]).start()
    return HttpResponse("left behind")


def stream_with_cleanup(request: HttpRequest) -> StreamingHttpResponse:
    """Stream without an end until closed."""

    def body() -> Iterator[bytes]:
        while True:
            count_statements(1)
            yield b"x" * 100

    return StreamingHttpResponse(body())


def empty_stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter(()))


async def async_endless_stream(request: HttpRequest) -> StreamingHttpResponse:
    """Stream one chunk, then wait for ever."""

    async def body() -> AsyncIterator[bytes]:
        await sync_to_async(count_statements)(1)
        yield b"x" * 100
        await asyncio.Event().wait()

    return StreamingHttpResponse(body())


async def async_broken_stream(request: HttpRequest) -> StreamingHttpResponse:
    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        raise RuntimeError("broken stream")

    return StreamingHttpResponse(body())


async def async_forever(request: HttpRequest) -> HttpResponse:
    await sync_to_async(count_statements)(2)
    await asyncio.Event().wait()
    return HttpResponse("never")


async def async_gathered(request: HttpRequest) -> HttpResponse:
    """Run four statements from four tasks of this one request."""
    await asyncio.gather(*(sync_to_async(count_statements)(1) for _ in range(4)))
    return HttpResponse("gathered")


urlpatterns = [
    path("own-header/", own_header),
    path("staff-check/", staff_check),
    path("async/staff-check/", async_staff_check),
    path("deferred-user/", deferred_user),
    path("costly-user/", costly_user),
    path("file/", file),
    path("discarded/", discarded),
    path("system-exit/", system_exit),
    path("odd-status/", odd_status),
    path("worker-thread/", worker_thread),
    path("left-behind/", left_behind),
    path("endless/", stream_with_cleanup),
    path("empty-stream/", empty_stream),
    path("async/endless/", async_endless_stream),
    path("async/broken-stream/", async_broken_stream),
    path("async/forever/", async_forever),
    path("async/gathered/", async_gathered),
    path("", include("tests.testapp.urls")),
]
