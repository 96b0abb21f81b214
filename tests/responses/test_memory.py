"""What is left of a request when it is over: nothing, and at once."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.http import HttpResponse
from django.test import RequestFactory, override_settings

from perfsuite.responses import ResponseCacheMiddleware
from tests.responses.site import TIERED


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    """Begin with nothing stored."""
    with override_settings(CACHES={"default": TIERED}):
        caches["default"].clear()
        yield


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Free only what nothing holds any more."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _kept(request: Any) -> HttpResponse:
    request.perfsuite.tags.add("page:1")
    response = HttpResponse("kept")
    response["Cache-Control"] = "max-age=60"
    return response


def _fresh(request: Any) -> HttpResponse:
    request.perfsuite.tags.add("page:1")
    return HttpResponse("fresh")


@pytest.mark.parametrize("view", [_kept, _fresh])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_request_is_freed_without_the_garbage_collector(view: Any, method: str, no_collector: None) -> None:
    middleware: Any = ResponseCacheMiddleware(view)

    for _ in range(3):  # a miss, then a hit or what runs its view each time
        request = getattr(RequestFactory(), method)("/p/")
        middleware(request)
        held = weakref.ref(request)
        del request

        assert held() is None


@pytest.mark.parametrize("view", [_kept, _fresh])
def test_a_request_is_freed_under_asgi_too(view: Any, no_collector: None) -> None:
    async def answer(request: Any) -> HttpResponse:
        return view(request)  # type: ignore[no-any-return]

    async def ask() -> list[Any]:
        middleware: Any = ResponseCacheMiddleware(answer)
        held = []
        for _ in range(3):
            request = RequestFactory().get("/p/")
            await middleware(request)
            held.append(weakref.ref(request))
            del request
        return [each() for each in held]

    assert asyncio.run(ask()) == [None, None, None]


def test_the_tags_of_a_request_can_be_read_when_it_is_over() -> None:
    request: Any = RequestFactory().get("/p/")

    ResponseCacheMiddleware(_fresh)(request)

    assert request.perfsuite.tags == {"page:1"}
