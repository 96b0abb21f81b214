"""Resolvers and views for the tests of TenantMiddleware; the urlconf stands at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from perfsuite.tenancy import current_tenant, tenant

NOT_A_FUNCTION = "acme"


def from_query(request: HttpRequest) -> str | None:
    return request.GET.get("tenant")


async def async_from_query(request: HttpRequest) -> str | None:
    await asyncio.sleep(0)
    return request.GET.get("tenant")


def number(request: HttpRequest) -> int:
    return 7


def fails(request: HttpRequest) -> str:
    raise LookupError("no such tenant")


async def async_fails(request: HttpRequest) -> str:
    raise LookupError("no such tenant")


def refuses(request: HttpRequest) -> str:
    raise PermissionDenied


def gives_an_object(request: HttpRequest) -> Any:
    return object()


def shown() -> str:
    return repr(current_tenant())


def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse(shown())


async def async_view(request: HttpRequest) -> HttpResponse:
    before = shown()
    await asyncio.sleep(0)
    in_thread = await sync_to_async(shown)()
    in_task = await asyncio.create_task(_async_shown())
    return HttpResponse(f"{before} {in_thread} {in_task}")


async def _async_shown() -> str:
    return shown()


def other_thread(request: HttpRequest) -> HttpResponse:
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.append(shown()))
    thread.start()
    thread.join()
    return HttpResponse(seen[0])


def nested(request: HttpRequest) -> HttpResponse:
    with tenant("other"):
        inside = shown()
    return HttpResponse(f"{inside} {shown()}")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def body() -> Iterator[bytes]:
        yield shown().encode()
        yield shown().encode()

    return StreamingHttpResponse(body())


async def async_stream(request: HttpRequest) -> StreamingHttpResponse:
    async def body() -> AsyncIterator[bytes]:
        yield shown().encode()
        yield (await sync_to_async(shown)()).encode()

    return StreamingHttpResponse(body())


def fails_in_view(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("in the view")


urlpatterns = [
    path("view/", view),
    path("async/view/", async_view),
    path("other-thread/", other_thread),
    path("nested/", nested),
    path("stream/", stream),
    path("async/stream/", async_stream),
    path("fails/", fails_in_view),
]
