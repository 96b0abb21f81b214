"""A site of a few views behind the response cache, asked in process under WSGI or ASGI."""

from __future__ import annotations

import asyncio
import functools
import itertools
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path

from perfsuite.responses import deduplication

OURS = "perfsuite.responses.ResponseCacheMiddleware"
SESSIONS = "django.contrib.sessions.middleware.SessionMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"
CSRF = "django.middleware.csrf.CsrfViewMiddleware"
AUTH = "django.contrib.auth.middleware.AuthenticationMiddleware"
MESSAGES = "django.contrib.messages.middleware.MessageMiddleware"
TENANTS = "perfsuite.tenancy.TenantMiddleware"
LOCALE = "django.middleware.locale.LocaleMiddleware"
LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
TIERED = {"BACKEND": "perfsuite.caching.TieredCache", "OPTIONS": {"CHANNEL": "none"}}
SYNC, ASYNC = "sync", "async"

_numbers = itertools.count()


class OneHostClient(AsyncClient):
    """A client that sends the Host and the Cookie that it is given, and not its own before them."""

    def _base_scope(self, **request: Any) -> Any:
        scope = super()._base_scope(**request)  # type: ignore[misc]
        headers = scope["headers"]
        for once, place in ((b"host", -1), (b"cookie", 0)):
            found = [pair for pair in headers if pair[0] == once and pair[1]]
            headers = [pair for pair in headers if pair[0] != once] + ([found[place]] if found else [])
        return {**scope, "headers": headers}


class Site:
    """Asks a site; ``runs`` are the paths of the views that ran."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.runs: list[str] = []
        # No cookie jar: what is sent is what the test sends.
        self.client: Any = (Client if kind == SYNC else OneHostClient)(raise_request_exception=False)

    def client_of_thread(self) -> Client:
        """Return a client that no other thread uses."""
        return Client(raise_request_exception=False)

    def get(self, url: str, **headers: str) -> Any:
        """GET a URL; header names with underscores."""
        return self.ask("get", url, **headers)

    def head(self, url: str, **headers: str) -> Any:
        """HEAD a URL."""
        return self.ask("head", url, **headers)

    def post(self, url: str, **headers: str) -> Any:
        """POST to a URL."""
        return self.ask("post", url, **headers)

    def ask(self, method: str, url: str, **headers: str) -> Any:
        """Send a request and return the response, its body read."""
        if self.kind == ASYNC:
            return async_to_sync(self.aask)(method, url, **headers)
        self.client.cookies.clear()
        extra = {"HTTP_" + name.upper(): value for name, value in headers.items()}
        response = getattr(self.client, method)(url, **extra)
        return _read(response)

    async def aask(self, method: str, url: str, **headers: str) -> Any:
        """Do the same in a task, with a client of its own."""
        client: Any = OneHostClient(raise_request_exception=False)
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        response = await getattr(client, method)(url, **extra)
        if response.streaming:
            chunks = response.streaming_content
            if hasattr(chunks, "__aiter__"):
                response.body = b"".join([chunk async for chunk in chunks])
            else:
                response.body = b"".join(chunks)
            return response
        return _read(response)


def _read(response: Any) -> Any:
    response.body = b"".join(response.streaming_content) if response.streaming else response.content
    return response


def text(body: str = "hello", cache_control: str | None = "max-age=60", **fields: str) -> HttpResponse:
    """Return a response with fields; names with underscores."""
    response = HttpResponse(body, content_type="text/plain")
    if cache_control is not None:
        response["Cache-Control"] = cache_control
    for name, value in fields.items():
        response[name.replace("_", "-")] = value
    return response


def running(kind: str, site: Site, url: str, view: Callable[..., Any]) -> Callable[..., Any]:
    """Return a view that counts its runs, of the kind of the site unless it is async itself."""
    if iscoroutinefunction(view):

        @functools.wraps(view)
        async def counted_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            site.runs.append(request.path)
            return await view(request, *args, **kwargs)

        return counted_async

    @functools.wraps(view)
    def counted(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        site.runs.append(request.path)
        return view(request, *args, **kwargs)

    return counted


@contextmanager
def serving(
    kind: str,
    views: Mapping[str, Callable[..., Any]],
    middleware: tuple[str, ...] = (OURS,),
    cache: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    others: dict[str, Any] | None = None,
    **settings: Any,
) -> Iterator[Site]:
    """Have a site with views by their routes until the block ends; ``options`` are those of PERFSUITE["RESPONSES"], ``others``
    caches beside the default one.
    """
    site = Site(kind)
    module = types.ModuleType(f"tests_responses_urls_{next(_numbers)}")
    module.urlpatterns = [  # type: ignore[attr-defined]
        path(route, running(kind, site, route, view)) for route, view in views.items()
    ]
    sys.modules[module.__name__] = module
    perfsuite = {"RESPONSES": options or {}, **settings.pop("PERFSUITE", {})}
    with ExitStack() as stack:
        stack.enter_context(
            override_settings(
                ROOT_URLCONF=module.__name__,
                MIDDLEWARE=list(middleware),
                CACHES={"default": cache or TIERED, **(others or {})},
                PERFSUITE=perfsuite,
                **settings,
            )
        )
        stack.callback(sys.modules.pop, module.__name__)
        _forget()
        yield site
        _forget()


def _forget() -> None:
    caches["default"].clear()
    deduplication.useless.clear()
    deduplication.stored.clear()
    deduplication.failed.clear()


def cookie_header(cookies: Mapping[str, str]) -> str:
    """Return the Cookie field of some cookies."""
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def gather(*awaitables: Any) -> list[Any]:
    """Run coroutines at once in a new event loop."""

    async def together() -> list[Any]:
        return list(await asyncio.gather(*awaitables))

    return asyncio.run(together())
