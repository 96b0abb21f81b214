"""The test host for the browser: under a strict Content-Security-Policy, with its static files, flushing each second.

As a module of settings (``DJANGO_SETTINGS_MODULE=tests.browser.host``) it is the test settings with short times; its
``application`` adds the policy to every answer and serves the static files from the apps.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from tests.settings import *  # noqa: F403 - these are the test settings
from tests.settings import MIDDLEWARE as OTHERS

POLICY = "default-src 'self'"
MIDDLEWARE = [*OTHERS[:2], "perfsuite.responses.ResponseCacheMiddleware", *OTHERS[2:]]
PERFSUITE = {
    "METRICS": {"FLUSH_INTERVAL_S": 1.0},
    "PANEL": {"POLL_S": 1},
    "INDEXES": {"COLLECT_EVERY_S": 0},  # a test collects, and the server not again behind it
}


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the policy."""

    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        return start_response(status, [*headers, ("Content-Security-Policy", POLICY)], exc_info)

    # A browser asks for it by itself, and its absence would be a line on the console.
    if environ["PATH_INFO"] == "/favicon.ico":
        start("204 No Content", [])
        return []
    return _django()(environ, start)


def _django() -> Callable[..., Iterable[bytes]]:
    global _made
    if _made is None:
        from django.contrib.staticfiles.handlers import StaticFilesHandler
        from django.core.wsgi import get_wsgi_application

        _made = StaticFilesHandler(get_wsgi_application())
    return _made


_made: Callable[..., Iterable[bytes]] | None = None
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.browser.host")
