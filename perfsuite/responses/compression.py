"""The middleware that sends bodies compressed: zstd, br or gzip, whichever the client likes best.

It belongs outside of whatever reads or changes a body, ``ConditionalGetMiddleware`` included: a page is validated by what it
says, and that does not change with its coding. The surprising rule: a response that could be compressed has ``Vary:
Accept-Encoding`` even where it is not, for a cache that keeps it has to know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, NamedTuple

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags

from perfsuite.metrics.guard import Guard
from perfsuite.responses import codings, encoding, headers
from perfsuite.responses.aside import aside
from perfsuite.responses.conf import ResponsesSettings
from perfsuite.responses.headers import Get
from perfsuite.responses.marks import marked
from perfsuite.responses.negotiation import IDENTITY, Negotiated
from perfsuite.responses.streams import async_compressed, compressed

# A longer If-None-Match is nothing that a browser sends.
MAX_IF_NONE_MATCH = 8_192

_guard = Guard("compression")


class Work(NamedTuple):
    """A body that is to be compressed."""

    response: HttpResponseBase
    body: bytes
    negotiated: Negotiated


class CompressionMiddleware:
    """Compresses responses, streams included, and says in ``Vary`` that it does. Sync and async."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        if not ResponsesSettings.get().compression_enabled:
            raise MiddlewareNotUsed("COMPRESSION_ENABLED is off")
        headers.prepare()
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    # Hot path: benchmarks/compression.py
    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request, compressed if the client and the response allow it."""
        if self.is_async:
            return self.__acall__(request)
        response: HttpResponseBase = self.get_response(request)
        work = begin(request, response)
        if work is not None:
            try:
                finish(work, _encoded(work))
            except Exception as exc:  # noqa: BLE001 - the guard's
                _guard.failed(exc)
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Do the same under ASGI, large bodies in a thread."""
        response: HttpResponseBase = await self.get_response(request)
        work = begin(request, response)
        if work is not None:
            try:
                if len(work.body) >= ResponsesSettings.get().compress_aside_bytes:
                    finish(work, await aside(_encoded, work))
                else:
                    finish(work, _encoded(work))
            except Exception as exc:  # noqa: BLE001 - the guard's
                _guard.failed(exc)
        return response


def begin(request: HttpRequest, response: HttpResponseBase) -> Work | None:
    """Do all but the compressing: ``Vary``, and streams, which are compressed when they run. Never raises."""
    if marked(response) is False or not _guard.on:
        return None
    try:
        return _begin(request, response)
    except Exception as exc:  # noqa: BLE001 - the guard's
        _guard.failed(exc)
        return None


def _begin(request: HttpRequest, response: HttpResponseBase) -> Work | None:
    get = headers.getter(response)
    if response.status_code == 304:
        _tell_not_modified(request, response, get)
        return None
    if not encoding.is_negotiable(response.status_code, get) or _is_sent_by_the_server(request, response):
        return None
    _vary(response, get)
    if encoding.wants_as_is(request.META):
        return None
    body = b"" if response.streaming else response.content  # type: ignore[attr-defined]
    is_head = request.method == "HEAD"
    length = _stated_length(get) if response.streaming or (is_head and not body) else len(body)
    negotiated = encoding.coding_for(request.META.get("HTTP_ACCEPT_ENCODING"), length)
    if negotiated.coding == IDENTITY:
        return None
    if is_head:
        # The fields of the GET, as far as they are known without its body (RFC 9110 9.3.2).
        _put(response, encoding.fields(get, negotiated.coding, None))
    elif response.streaming:
        _compress_stream(response, get, negotiated.coding)
    else:
        return Work(response, body, negotiated)
    return None


def _encoded(work: Work) -> encoding.Encoded | None:
    get = headers.getter(work.response)
    return encoding.encoded(work.body, get, work.negotiated)


def finish(work: Work, made: encoding.Encoded | None) -> None:
    """Put a compressed body into its response. The fields come last: were the body refused, they would lie."""
    if made is None:
        return
    work.response.content = made.body  # type: ignore[attr-defined]
    _put(work.response, made.fields)
    encoding.record_sent(made.coding, len(work.body), len(made.body))


def _compress_stream(response: Any, get: Get, name: str) -> None:
    coding = codings.coding(name)
    if coding is None:
        return
    changed = encoding.fields(get, name, None)
    stream = coding.stream(encoding.level_for(name, 0), encoding.padding_for(get))
    flush = getattr(response, "file_to_stream", None) is None
    done = partial(encoding.record_sent, name)
    if getattr(response, "is_async", False):
        aside_bytes = ResponsesSettings.get().compress_aside_bytes
        response.streaming_content = async_compressed(
            response.streaming_content, stream, flush, done, aside_bytes
        )
    else:
        response.streaming_content = compressed(response.streaming_content, stream, flush, done)
    _put(response, changed)


def _is_sent_by_the_server(request: HttpRequest, response: HttpResponseBase) -> bool:
    """Tell whether a WSGI server can send a file by itself, which costs no Python; unless the view wants it compressed."""
    return (
        getattr(response, "file_to_stream", None) is not None
        and request.META.get("wsgi.file_wrapper") is not None
        and marked(response) is not True
    )


def _tell_not_modified(request: HttpRequest, response: HttpResponseBase, get: Get) -> None:
    """Give a 304 the fields that the 200 would have (RFC 9110 15.4.5).

    Whether that would be compressed is not known any more; but a client that has it compressed names its ETag as a weak one, and
    does not take a strong one for it (RFC 9111 4.3.4).
    """
    _vary(response, get)
    etag, known = get("etag"), request.META.get("HTTP_IF_NONE_MATCH", "")
    if etag and etag.startswith('"') and len(known) <= MAX_IF_NONE_MATCH:
        tags = parse_etags(known)
        if "W/" + etag in tags and etag not in tags:
            _put(response, {"ETag": "W/" + etag})


def _stated_length(get: Get) -> int | None:
    text = str(get("content-length") or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


def _vary(response: Any, get: Get) -> None:
    before = get("vary")
    after = encoding.with_accept_encoding(before)
    if after != before:
        headers.put(response, "Vary", after)


def _put(response: Any, changed: dict[str, str | None]) -> None:
    for name, value in changed.items():
        if value is not None:
            response[name] = value
        elif response.has_header(name):
            del response[name]
