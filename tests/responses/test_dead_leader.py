"""A process that is killed while it makes a page for all: another takes its place, once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers import ROOT
from tests.valkey import Valkey, valkey

pytestmark = pytest.mark.once
EACH = 5

SCRIPT = """
import json, os, sys, time
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
import django
from django.conf import settings
settings.CACHES = json.loads(sys.argv[1])
settings.MIDDLEWARE = ["perfsuite.responses.ResponseCacheMiddleware"]
settings.PERFSUITE = {"RESPONSES": {"LOCK_S": 1.0}}
settings.ROOT_URLCONF = __name__
django.setup()
from concurrent.futures import ThreadPoolExecutor
from django.http import HttpResponse
from django.test import Client
from django.urls import path
runs = []
def view(request):
    print("runs", flush=True)
    runs.append(1)
    time.sleep(float(sys.argv[2]))
    return HttpResponse("hello", headers={"Cache-Control": "max-age=60"})
urlpatterns = [path("p/", view)]
Client().get("/warm/")
print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(5) as pool:
    answers = list(pool.map(lambda _: Client().get("/p/"), range(5)))
print(json.dumps([len(runs), [answer.content.decode() for answer in answers]]), flush=True)
os._exit(0)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with valkey() as running:
        yield running


def _started(caches: dict[str, Any], seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps(caches), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def _says(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == f"{word}\n"


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_of_those_who_wait_for_a_process_that_is_killed_one_runs_the_view(server: Valkey) -> None:
    caches = {
        "default": {
            "BACKEND": "perfsuite.caching.TieredCache",
            "OPTIONS": {"TIERS": {"cold": {"ALIAS": "shared"}}},
        },
        "shared": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url},
    }
    leader, *others = processes = [_started(caches, seconds) for seconds in (60, 0.1, 0.1, 0.1)]
    try:
        for process in processes:
            _says(process, "ready")
        _go(leader)
        _says(leader, "runs")
        for process in others:
            _go(process)
        leader.kill()
        told = [process.communicate(timeout=60)[0].splitlines()[-1] for process in others]
    finally:
        for process in processes:
            process.kill()
            process.wait()

    assert [json.loads(each)[1] for each in told] == [["hello"] * EACH] * 3
    assert sum(json.loads(each)[0] for each in told) == 1
