"""A page of each tenant, kept in the cache, and what changes it. With ``--preload`` the cache is used before workers are forked.

What a page is made of is a number in the file ``versions``, which all processes map. ``/page/TENANT/`` says the tenant and the
number, ``/change/TENANT/`` counts it up and invalidates. Each answer says its process in ``X-Worker``, and in ``X-Synced`` since
when that is in step with the others: 0 while the server of the cache is left alone.
"""

from __future__ import annotations

import mmap
import os
import threading
from pathlib import Path
from typing import Any

from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.urls import path

from tests.wsgi import application

__all__ = ["application"]

TENANTS = ("ada", "bob", "cyd", "dan", "eve", "fay")

_file = Path(os.environ["PERFSUITE_TEST_DIR"], "versions")
if not _file.exists():
    _file.write_bytes(bytes(8 * len(TENANTS)))
with _file.open("r+b") as _opened:
    versions = memoryview(mmap.mmap(_opened.fileno(), 8 * len(TENANTS))).cast("Q")

caches["default"].set("used before the fork", 1)


def page(request: HttpRequest, tenant: str) -> HttpResponse:
    cache: Any = caches["default"]
    at = TENANTS.index(tenant)
    tags = [f"tenant:{tenant}"]
    if request.GET.get("plain"):
        body = cache.get(f"plain:{tenant}")
        if body is None:
            body = f"{tenant} {versions[at]}"
            cache.set(f"plain:{tenant}", body, tags=tags)
    else:
        body = cache.get_or_set(f"page:{tenant}", lambda: f"{tenant} {versions[at]}", tags=tags)
    return _answer(body)


def change(request: HttpRequest, tenant: str) -> HttpResponse:
    cache: Any = caches["default"]
    at = TENANTS.index(tenant)
    versions[at] += 1
    cache.invalidate_tags(f"tenant:{tenant}")
    return _answer(f"{tenant} {versions[at]}")


def _answer(body: str) -> HttpResponse:
    cache: Any = caches["default"]
    shared = cache.engine.shared
    response = HttpResponse(body)
    response["X-Worker"] = str(os.getpid())
    response["X-Readers"] = str(sum(each.name == "perfsuite-cache-stream" for each in threading.enumerate()))
    response["X-Synced"] = repr(0.0 if shared.breaker.is_open else shared.reader.synced_at)
    return response


urlpatterns = [path("page/<str:tenant>/", page), path("change/<str:tenant>/", change)]
