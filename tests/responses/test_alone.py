"""The responses app with the metrics app alone, as a host that wants nothing else has it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, sys
sys.path.insert(0, {root!r})
from django.conf import settings
settings.configure(
    SECRET_KEY="alone", ALLOWED_HOSTS=["testserver"], ROOT_URLCONF=__name__, USE_I18N=False,
    INSTALLED_APPS=["perfsuite.metrics", "perfsuite.responses"],
    MIDDLEWARE=["perfsuite.responses.CompressionMiddleware", "perfsuite.responses.ResponseCacheMiddleware"],
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}},
    CACHES={{"default": {cache!r}}},
)
import django
django.setup()
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from perfsuite.caching import invalidate_tags
from perfsuite.responses import cache_response

runs = []

def page(request):
    runs.append(request.path)
    return HttpResponse("hello " * 200)

urlpatterns = [path("<slug>/", cache_response(60, tags=["page"])(lambda request, slug: page(request)))]
call_command("check", "--fail-level", "WARNING")

def ask(kind, url, **fields):
    if kind == "wsgi":
        return Client().get(url, **{{"HTTP_" + name: value for name, value in fields.items()}})
    async def asked():
        return await AsyncClient().get(url, **fields)
    return async_to_sync(asked)()

found = {{}}
for kind in ("wsgi", "asgi"):
    url = f"/{{kind}}/"
    first, second = ask(kind, url), ask(kind, url)
    third = ask(kind, url, IF_NONE_MATCH=first["ETag"])
    coded = ask(kind, url, ACCEPT_ENCODING="gzip")
    before = len(runs)
    invalidate_tags("page")
    fourth = ask(kind, url)
    found[kind] = [
        [answer.status_code, answer["Cache-Status"].partition("; ttl")[0]] for answer in (first, second, third, fourth)
    ] + [before, len(runs), coded.get("Content-Encoding"), first.content == second.content]
print(json.dumps([found, sorted(name for name in sys.modules if name.startswith("django.contrib."))]))
"""
CACHES: dict[str, Any] = {
    "tiered": {"BACKEND": "perfsuite.caching.TieredCache", "OPTIONS": {"CHANNEL": "none"}},
    "locmem": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}


@pytest.mark.once
@pytest.mark.parametrize("cache", CACHES.values(), ids=CACHES)
def test_it_works_with_no_other_app_than_metrics(cache: dict[str, Any]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", SCRIPT.format(root=str(ROOT), cache=cache)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found, contributed = json.loads(done.stdout.splitlines()[-1])

    miss, hit = [200, "perfsuite; fwd=uri-miss; stored"], "perfsuite; hit"
    answers = [miss, [200, hit], [304, hit], miss]
    assert found["wsgi"] == [*answers, 1, 2, "gzip", True]
    assert found["asgi"] == [*answers, 3, 4, "gzip", True]
    assert "django.contrib.auth.models" not in contributed
    assert done.stderr in ("", "System check identified no issues (0 silenced).\n")
