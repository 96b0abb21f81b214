"""A streaming body that is stored while it passes by, if it ends well and is not too long.

Nothing waits for it and nothing is held back: each chunk goes out when it is made. A body that raises, that is closed before
its end, as when the client leaves, or that outgrows the limit, leaves nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.http.response import HttpResponse, HttpResponseBase

from perfsuite.caching.collected import collecting
from perfsuite.caching.flight import in_thread
from perfsuite.responses import headers, looking, making, marks, pages
from perfsuite.responses.exchange import USER, Exchange
from perfsuite.responses.steps import take
from perfsuite.responses.store import faults
from perfsuite.streaming import follow


def tee(exchange: Exchange, response: Any, limit: int) -> str:
    """Have a streaming response stored when it has ended; return in a word why not, or ""."""
    if getattr(response, "file_to_stream", None) is not None and not _is_short(response, limit):
        return "file"  # the server may send it by itself
    # The tags of what the body uses while it runs are the page's too.
    follow(response, collecting, exchange.tags)
    kept = _Kept(exchange, response, limit)
    if getattr(response, "is_async", False):
        response.streaming_content = _atee(response.streaming_content, kept)
    else:
        response.streaming_content = _tee(iter(response.streaming_content), kept)
    return ""


def _is_short(response: Any, limit: int) -> bool:
    length = str(response.get("Content-Length", ""))
    return length.isascii() and length.isdigit() and len(length) < 15 and int(length) <= limit


class _Kept:
    """What has passed by so far; None once it is too much."""

    def __init__(self, exchange: Exchange, response: HttpResponseBase, limit: int) -> None:
        # The fields as they are now: those outside of the cache change them before the body has ended.
        self.exchange, self.response, self.limit = exchange, _bodiless(response), limit
        self.chunks: list[bytes] | None = []
        self.length = 0

    def add(self, chunk: bytes) -> None:
        """Keep a chunk, or nothing any more."""
        if self.chunks is None:
            return
        self.length += len(chunk)
        if self.length > self.limit:
            self.chunks = None
        else:
            self.chunks.append(bytes(chunk))

    def store(self) -> None:
        """Store the whole, if all is as it should be by now. Never raises."""
        exchange, response = self.exchange, self.response
        chunks, self.chunks = self.chunks, None
        try:
            if chunks is None or not self._is_whole() or making.why_not(exchange, response):
                return
            page = making.made_page(exchange, response, b"".join(chunks))
            if page is not None:
                key = exchange.user_key if making.options_of(exchange).per == USER else exchange.key
                take(looking.put(exchange, key, page), _no_view, None)
        except Exception as exc:  # noqa: BLE001 - the client has its response
            faults.add(exc, "Storing a streamed response")

    def _is_whole(self) -> bool:
        told = str(self.response.get("Content-Length", str(self.length)))
        return told.strip() == str(self.length)


def _bodiless(response: HttpResponseBase) -> HttpResponse:
    """Return a response with all of another but its body."""
    made = HttpResponse(status=response.status_code)
    own = getattr(response, "_reason_phrase", None)
    if own:
        made.reason_phrase = own
    headers.put_all(made, pages.fields_of(response))
    made.cookies = response.cookies
    said = marks.marked(response)
    if said is not None:
        marks.mark(made, said)
    return made


def _no_view(request: Any) -> Any:
    raise RuntimeError("Storing runs no view.")


def _tee(chunks: Iterator[bytes], kept: _Kept) -> Iterator[bytes]:
    try:
        for chunk in chunks:
            kept.add(chunk)
            yield chunk
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    kept.store()


async def _atee(chunks: AsyncIterator[bytes], kept: _Kept) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            kept.add(chunk)
            yield chunk
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
    if kept.exchange.store.is_local:
        kept.store()
    else:
        await in_thread(kept.store)
