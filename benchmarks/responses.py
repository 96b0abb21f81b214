"""What the response cache costs and saves, beside Django's own middleware for it, in one process and one run.

Each case is a handler of its own with its middleware, driven in process, sync and async. All take turns, a batch each, in an
order that is random anew in each round. Printed are medians of the batches' times for one request, its ratio to the floor (the
same view in a bare handler), the microseconds over that, and what is held to a bar. At last stale hits are timed while the view,
which takes a second, makes the page anew, beside hits of a fresh page.

    python benchmarks/responses.py [--rounds 60] [--requests 50] [--only hit]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
import types
from collections.abc import Callable
from typing import Any

import common

SIZES = {"2": 2_000, "20": 20_000, "200": 200_000}
COMPRESSION = "perfsuite.responses.CompressionMiddleware"
GZIP = "django.middleware.gzip.GZipMiddleware"
OURS = "perfsuite.responses.ResponseCacheMiddleware"
DJANGOS = [
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.cache.FetchFromCacheMiddleware",
]
CONDITIONAL = "django.middleware.http.ConditionalGetMiddleware"
TIERED, LOCMEM = "perfsuite.caching.TieredCache", "django.core.cache.backends.locmem.LocMemCache"
# Case -> (middleware, alias, path, header).
CASES: dict[str, tuple[list[str], str, str, dict[str, str]]] = {
    "bare, 20 KB": ([], "default", "/kept/20/", {}),
    "hit, 20 KB, memory tier": ([OURS], "default", "/kept/20/", {}),
    "hit, 20 KB, LocMem": ([OURS], "locmem", "/kept/20/", {}),
    "hit, 20 KB, Django, LocMem": (DJANGOS, "locmem", "/kept/20/", {}),
    "bare, 200 KB": ([], "default", "/kept/200/", {}),
    "304 on a hit, 200 KB, memory tier": ([OURS], "default", "/kept/200/", {"HTTP_IF_NONE_MATCH": "etag"}),
    "304 on a hit, 200 KB, LocMem": ([OURS], "locmem", "/kept/200/", {"HTTP_IF_NONE_MATCH": "etag"}),
    "304 on a hit, 200 KB, Django": (
        [CONDITIONAL, *DJANGOS],
        "locmem",
        "/kept/200/",
        {"HTTP_IF_NONE_MATCH": "etag"},
    ),
    "hit, 20 KB, compression outside": ([COMPRESSION, OURS], "default", "/kept/20/", {}),
    "compressed hit, 20 KB, gzip": (
        [COMPRESSION, OURS],
        "default",
        "/kept/20/",
        {"HTTP_ACCEPT_ENCODING": "gzip"},
    ),
    "compressed hit, 20 KB, br": (
        [COMPRESSION, OURS],
        "default",
        "/kept/20/",
        {"HTTP_ACCEPT_ENCODING": "br"},
    ),
    "compressed hit, 20 KB, zstd": (
        [COMPRESSION, OURS],
        "default",
        "/kept/20/",
        {"HTTP_ACCEPT_ENCODING": "zstd"},
    ),
    "compressed hit, 20 KB, Django, gzip": (
        [GZIP, *DJANGOS],
        "locmem",
        "/kept/20/",
        {"HTTP_ACCEPT_ENCODING": "gzip"},
    ),
    "bare, uncached 2 KB": ([], "default", "/fresh/2/", {}),
    "not stored, 2 KB, memory tier": ([OURS], "default", "/fresh/2/", {}),
    "not stored, 2 KB, whole stack": (
        [
            "perfsuite.monitoring.RequestMetricsMiddleware",
            "perfsuite.tenancy.TenantMiddleware",
            COMPRESSION,
            OURS,
        ],
        "default",
        "/fresh/2/",
        {},
    ),
    "not stored, 2 KB, Django": (DJANGOS, "locmem", "/fresh/2/", {}),
}
FLOORS = {
    "20": "bare, 20 KB",
    "200": "bare, 200 KB",
    "2": "bare, uncached 2 KB",
}
# Case -> the case that it is compared with, and the microseconds that it may take more, sync and async.
BARS = {
    "hit, 20 KB, memory tier": ("bare, 20 KB", 30, 40),
    "hit, 20 KB, LocMem": ("bare, 20 KB", 30, 40),
    "304 on a hit, 200 KB, memory tier": ("bare, 200 KB", 35, 35),
    "304 on a hit, 200 KB, LocMem": ("bare, 200 KB", 35, 35),
    "compressed hit, 20 KB, gzip": ("hit, 20 KB, compression outside", 5, 5),
    "not stored, 2 KB, whole stack": ("bare, uncached 2 KB", 60, 80),
}
STALE_HITS = 3_000
PERFSUITE = {"METRICS": {"DATABASE": "default"}, "TENANCY": {"RESOLVER": "benchmark_views.resolve"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--requests", type=int, default=50, help="requests of a batch")
    parser.add_argument("--only", default="", help="only cases with this in their name, and the floors")
    options = parser.parse_args()
    views = types.ModuleType("benchmark_views")
    sys.modules["benchmark_views"] = views
    common.configure(
        {"ENGINE": common.SQLITE, "NAME": ":memory:"},
        apps=[f"perfsuite.{name}" for name in ("metrics", "monitoring", "tenancy", "queries", "responses")],
        ROOT_URLCONF="benchmark_views",
        MIDDLEWARE=[],
        CACHES={"default": {"BACKEND": TIERED}, "locmem": {"BACKEND": LOCMEM}},
        PERFSUITE=PERFSUITE,
    )
    _make_urls(views)
    chosen = {name: case for name, case in CASES.items() if options.only in name or name.startswith("bare")}
    print(common.machine())
    for kind in ("sync", "async"):
        times = asyncio.run(_measure_async(chosen, options)) if kind == "async" else _measure(chosen, options)
        print(f"\n{kind}: {options.rounds} rounds of {options.requests} requests\n")
        medians = {name: statistics.median(seconds) * 1e6 for name, seconds in times.items()}
        for name, us in medians.items():
            floor = medians[_floor_of(name)]
            print(f"  {name:45} {us:8.1f} us   {us / floor:5.2f}x   {us - floor:+8.1f} over the floor")
        print()
        for name, (other, *bars) in BARS.items():
            if name in medians and other in medians:
                more, bar = medians[name] - medians[other], bars[kind == "async"]
                said = "held" if more <= bar else "MISSED"
                print(f"  {name:34} over {other:32} {more:+8.1f} us, bar {bar}: {said}")
    if not options.only:
        stale_hits(views)


def stale_hits(views: types.ModuleType) -> None:
    """Print the percentiles of hits of a fresh page, and of a stale one while its view runs for a second, one after the other."""
    from django.http import HttpResponse
    from django.test import RequestFactory
    from django.urls import path

    runs: list[float] = []

    def slow(request: Any) -> HttpResponse:
        runs.append(time.perf_counter())
        time.sleep(1.0 if len(runs) > 1 else 0.0)
        return HttpResponse(b"x" * 20_000, headers={"Cache-Control": "max-age=2, stale-while-revalidate=60"})

    views.sync_patterns.append(path("slow/", slow))
    case: Any = ([OURS], "default", "/slow/", {})
    handler, factory = _handler(case, is_async=False), RequestFactory(HTTP_HOST="testserver")
    _choose(case)
    paths = {"fresh": "/kept/20/", "stale": "/slow/"}
    for where in paths.values():
        handler.get_response(factory.get(where))
    time.sleep(2.1)
    handler.get_response(factory.get("/slow/"))  # begins the refresh
    found: dict[str, list[float]] = {name: [] for name in paths}
    for _ in range(STALE_HITS):
        for name in random.sample(list(paths), len(paths)):
            request = factory.get(paths[name])
            started = time.perf_counter()
            handler.get_response(request)
            found[name].append((time.perf_counter() - started) * 1e6)
    print(f"\nhits while the view takes a second ({len(runs)} runs of it)\n")
    for name, us in found.items():
        print(
            f"  {name}: p50 {common.percentile(us, 0.5):6.1f} us, p99 {common.percentile(us, 0.99):6.1f} us"
        )


def _floor_of(name: str) -> str:
    return FLOORS[CASES[name][2].rpartition("/")[0].rpartition("/")[2]]


def _make_urls(views: types.ModuleType) -> None:
    from django.http import HttpResponse
    from django.urls import path

    bodies = {
        size: json.dumps([{"id": i, "name": f"row {i}"} for i in range(length // 30)])
        for size, length in SIZES.items()
    }

    def kept(request: Any, size: str) -> HttpResponse:
        response = HttpResponse(bodies[size], content_type="application/json")
        response["Cache-Control"] = "max-age=3600"
        return response

    def fresh(request: Any, size: str) -> HttpResponse:
        return HttpResponse(bodies[size], content_type="application/json")

    async def akept(request: Any, size: str) -> HttpResponse:
        return kept(request, size)

    async def afresh(request: Any, size: str) -> HttpResponse:
        return fresh(request, size)

    views.sync_patterns = [path("kept/<size>/", kept), path("fresh/<size>/", fresh)]  # type: ignore[attr-defined]
    views.async_patterns = [path("kept/<size>/", akept), path("fresh/<size>/", afresh)]  # type: ignore[attr-defined]
    views.urlpatterns = views.sync_patterns  # type: ignore[attr-defined]


def _resolve(request: Any) -> None:
    """Resolve every request to no tenant."""


async def _aresolve(request: Any) -> None:
    """Do the same without a thread."""


def _handler(case: tuple[list[str], str, str, dict[str, str]], is_async: bool) -> Any:
    from django.conf import settings
    from django.core.handlers.base import BaseHandler
    from django.urls import clear_url_caches

    views: Any = sys.modules["benchmark_views"]
    views.urlpatterns = views.async_patterns if is_async else views.sync_patterns
    views.resolve = _aresolve if is_async else _resolve
    clear_url_caches()
    settings.MIDDLEWARE = case[0]
    settings.CACHE_MIDDLEWARE_ALIAS = case[1]
    handler = BaseHandler()
    handler.load_middleware(is_async=is_async)
    return handler


def _choose(case: tuple[list[str], str, str, dict[str, str]]) -> None:
    """Have our cache use the case's alias; Django's reads its own when it is made."""
    from django.conf import settings

    from perfsuite import conf

    settings.MIDDLEWARE = case[0]
    settings.PERFSUITE = {**PERFSUITE, "RESPONSES": {"ALIAS": case[1]}}
    conf.reset()


def _header(etag: str | None, case: Any) -> dict[str, str]:
    return {name: (etag or '"none"') if value == "etag" else value for name, value in case[3].items()}


def _measure(chosen: Any, options: Any) -> dict[str, list[float]]:
    from django.test import RequestFactory

    factory = RequestFactory(HTTP_HOST="testserver")  # as every client sends it
    runs: dict[str, Callable[[], float]] = {}
    for name, case in chosen.items():
        handler = _handler(case, is_async=False)
        _choose(case)
        handler.get_response(factory.get(case[2]))
        header = _header(handler.get_response(factory.get(case[2])).get("ETag"), case)

        def run(handler: Any = handler, case: Any = case, header: Any = header) -> float:
            _choose(case)
            requests = [factory.get(case[2], **header) for _ in range(options.requests)]
            handler.get_response(factory.get(case[2], **header))  # the settings are read anew
            started = time.perf_counter()
            for request in requests:
                handler.get_response(request)
            return (time.perf_counter() - started) / options.requests

        run()
        runs[name] = run
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name in random.sample(list(runs), len(runs)):
            times[name].append(runs[name]())
    return times


async def _measure_async(chosen: Any, options: Any) -> dict[str, list[float]]:
    from django.test import AsyncRequestFactory

    factory = AsyncRequestFactory()
    runs: dict[str, Callable[[], Any]] = {}
    for name, case in chosen.items():
        handler = _handler(case, is_async=True)
        _choose(case)
        await handler.get_response_async(factory.get(case[2]))
        etag = (await handler.get_response_async(factory.get(case[2]))).get("ETag")
        header = {
            key.removeprefix("HTTP_").replace("_", "-"): value for key, value in _header(etag, case).items()
        }

        async def run(handler: Any = handler, case: Any = case, header: Any = header) -> float:
            _choose(case)
            requests = [factory.get(case[2], headers=header) for _ in range(options.requests)]
            await handler.get_response_async(factory.get(case[2], headers=header))
            started = time.perf_counter()
            for request in requests:
                await handler.get_response_async(request)
            return (time.perf_counter() - started) / options.requests

        await run()
        runs[name] = run
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(options.rounds):
        for name in random.sample(list(runs), len(runs)):
            times[name].append(await runs[name]())
    return times


if __name__ == "__main__":
    main()
