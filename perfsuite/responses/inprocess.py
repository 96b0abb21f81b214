"""A GET that goes through the site's own middleware in this process, as one of a visitor's would, for a command to look at.

``django.test.Client`` is not used: it sends an empty Cookie, which is not the same as none.
"""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIRequest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.encoding import iri_to_uri

from perfsuite.caching.warming import default_host
from perfsuite.exceptions import PerfsuiteError
from perfsuite.responses.caching import ResponseCacheMiddleware

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]+\Z")  # with an underscore, servers drop it
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
_CONTENT = ("content-type", "content-length")


class NotAskable(PerfsuiteError):
    """What is to be asked for is no URL of this site, or a header field is none."""


def environ_of(url: str, headers: Sequence[str] = ()) -> dict[str, Any]:
    """Return the WSGI environ of a GET; NotAskable, in one sentence, for what is none.

    A path alone is asked for at the first host of ALLOWED_HOSTS, by https if SECURE_SSL_REDIRECT is on. ``headers`` are
    ``"Name: value"``; nothing is sent that they do not say, but for the Host.
    """
    parts, port = _split(url)
    script_name = (settings.FORCE_SCRIPT_NAME or "").rstrip("/")
    path = unquote_to_bytes(parts.path or "/").decode("latin-1")
    if script_name and (path == script_name or path.startswith(script_name + "/")):
        path = path[len(script_name) :] or "/"
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path,
        "QUERY_STRING": str(iri_to_uri(parts.query)),
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": parts.hostname or "",
        "SERVER_PORT": str(port or (443 if parts.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": parts.netloc,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for header in headers:
        _add(environ, header)
    _refuse_other_hosts(environ)
    return environ


def _split(url: str) -> tuple[SplitResult, int | None]:
    """Return the parts of a URL of http or https, and its port."""
    if not url.isprintable() or " " in url:
        raise NotAskable(f"{url!r} is no URL; write spaces and the like as %20.")
    if url.startswith("/") and not url.startswith("//"):
        url = f"{'https' if settings.SECURE_SSL_REDIRECT else 'http'}://{default_host()}{url}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise NotAskable(f"{url!r} is no URL: {exc}.") from exc
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotAskable(
            f"{url!r} is no URL of a site; write one such as https://example.com/pricing/ or /pricing/."
        )
    if "@" in parts.netloc:
        raise NotAskable("The URL has a user in it; write --header 'Authorization: ...' instead.")
    return parts, port


def _add(environ: dict[str, Any], header: str) -> None:
    name, colon, value = header.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _NAME.match(name) or not _VALUE.match(value):
        raise NotAskable(f"{header!r} is no header field; write --header 'Name: value'.")
    if name.lower() == "host":
        raise NotAskable("The host is that of the URL; write it there and not as a header field.")
    place = name.upper().replace("-", "_")
    if name.lower() not in _CONTENT:
        place = f"HTTP_{place}"
    separator = "; " if place == "HTTP_COOKIE" else ","
    environ[place] = f"{environ[place]}{separator}{value}" if place in environ else value


def _refuse_other_hosts(environ: dict[str, Any]) -> None:
    try:
        WSGIRequest(dict(environ)).get_host()  # it changes what it is given
    except DisallowedHost as exc:
        raise NotAskable(
            f"The site does not answer for the host {environ['HTTP_HOST']!r}, which is not in ALLOWED_HOSTS."
        ) from exc


@dataclass
class Answer:
    """What came of a request. ``length`` is what was read of a streaming body, None where nothing was."""

    request: HttpRequest
    response: Any
    seconds: float
    length: int | None = None
    failure: str = ""  # of the body


class InProcess(BaseHandler):
    """The site's middleware, loaded for this object alone; ``cache`` is its ResponseCacheMiddleware, if it has one.

    Raises what loading the site's middleware raises.
    """

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()
        # Django keeps the hooks of its middleware, and nothing else of it.
        hooks = [getattr(hook, "__self__", None) for hook in getattr(self, "_view_middleware", None) or ()]
        self.cache = next((each for each in hooks if isinstance(each, ResponseCacheMiddleware)), None)

    def ask(self, environ: dict[str, Any], reads: Callable[[], int]) -> Answer:
        """Answer a request as the site does. Of a streaming body so many bytes are read as ``reads`` says, and a chunk."""
        with _connections_kept():
            request_started.send(sender=self.__class__, environ=environ)
            request = WSGIRequest(environ)
            started = time.perf_counter()
            response: Any = self.get_response(request)
            answer = Answer(request, response, time.perf_counter() - started)
            try:
                limit = reads() if response.streaming else 0
                if limit:
                    answer.length = _read(response, limit)
            except Exception as exc:  # noqa: BLE001 - the host's own body; it is what the command reports
                answer.failure = f"{type(exc).__name__}: {exc}"
            finally:
                response.close()
        return answer


@contextmanager
def _connections_kept() -> Iterator[None]:
    """Leave the caller's database connections open, which a request of a server's closes; as Django's test client does."""
    signals = (request_started, request_finished)
    kept = [each for each in signals if each.disconnect(close_old_connections)]
    try:
        yield
    finally:
        for each in kept:
            each.connect(close_old_connections)


def _read(response: HttpResponseBase, limit: int) -> int:
    chunks: Any = response.streaming_content  # type: ignore[attr-defined]
    if hasattr(chunks, "__aiter__"):
        return async_to_sync(_aread)(chunks, limit)
    length = 0
    for chunk in chunks:
        length += len(chunk)
        if length > limit:
            break
    return length


async def _aread(chunks: Any, limit: int) -> int:
    length = 0
    async for chunk in chunks:
        length += len(chunk)
        if length > limit:
            break
    return length
