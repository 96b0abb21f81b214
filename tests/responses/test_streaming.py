"""Streaming bodies that are stored while they pass by, and those that are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import StreamingHttpResponse


def _streaming(
    site_kind: str, make: Callable[[], Any], **fields: str
) -> Callable[[Any], StreamingHttpResponse]:
    def view(request: Any) -> StreamingHttpResponse:
        response = StreamingHttpResponse(make(), content_type="text/plain")
        response["Cache-Control"] = "max-age=60"
        for name, value in fields.items():
            response[name.replace("_", "-")] = value
        return response

    return view


def test_a_stream_that_ends_well_is_stored(make_site: Any, kind: str) -> None:
    site = make_site({"p/": _streaming(kind, lambda: iter([b"one ", b"two"]))})

    first, second = site.get("/p/"), site.get("/p/")

    assert first.body == second.body == b"one two"
    assert first.streaming
    assert not second.streaming
    assert len(site.runs) == 1


def test_an_async_stream_that_ends_well_is_stored(make_site: Any, kind: str) -> None:
    async def chunks() -> Any:
        for chunk in (b"one ", b"two"):
            yield chunk

    if kind == "sync" or not hasattr(StreamingHttpResponse, "__aiter__"):
        pytest.skip("Django sends async streams under ASGI, from 4.2 on")
    site = make_site({"p/": _streaming(kind, chunks)})

    assert [site.get("/p/").body for _ in range(2)] == [b"one two"] * 2
    assert len(site.runs) == 1


def test_a_stream_that_is_too_long_is_passed_and_not_stored(make_site: Any, kind: str) -> None:
    site = make_site(
        {"p/": _streaming(kind, lambda: iter([b"x" * 600] * 2))}, options={"MAX_BODY_BYTES": 1_000}
    )

    assert [len(site.get("/p/").body) for _ in range(2)] == [1_200] * 2
    assert len(site.runs) == 2


def test_a_stream_of_events_is_never_stored(make_site: Any, kind: str) -> None:
    site = make_site(
        {"p/": _streaming(kind, lambda: iter([b"data: 1\n\n"]), Content_Type="text/event-stream")}
    )

    assert [site.get("/p/").body for _ in range(2)] == [b"data: 1\n\n"] * 2
    assert len(site.runs) == 2


def test_a_stream_whose_length_is_a_lie_is_not_stored(make_site: Any, kind: str) -> None:
    site = make_site({"p/": _streaming(kind, lambda: iter([b"short"]), Content_Length="50")})

    for _ in range(2):
        site.get("/p/")

    assert len(site.runs) == 2
