"""What measuring costs a request: perfsuite against the same site bare, and against the tools a user could take instead.

Each variant is a process of its own, started anew five times, that drives Django's WSGI handler directly, with
startproject's middleware and views that run 0 and 20 queries on SQLite in memory, the cheapest queries there are. One
process is active at a time, in an order that is random anew in each round. A ratio is the median over all rounds of (median
of the batch / median of the bare batch in the same round); ``by mean`` is the same with the means of the batches, which also
holds what is done only once in 64 requests, and the noise. ``bare again`` is the control: how far it is from 1.00 is the noise
of the machine. What a query costs is the difference of the 20-query view between perfsuite and perfsuite without its queries
app, so that the cost of the rest, which is larger in a longer request, is not in it.

    python benchmarks/overhead.py [--rounds 60] [--requests 64] [--database memory|file] [--only perfsuite]
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import logging
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import common

QUERIES = 20
BLIND = "no queries app"
OURS = ("perfsuite", BLIND)
PATHS = {"0 queries": "/zero/", "20 queries": "/twenty/"}
WARM_UP = 60
GENERATIONS = 5

# Name -> (the module that must be there, how to install it).
VARIANTS = {
    "bare": "",
    "bare again": "",
    "perfsuite": "perfsuite",
    "no queries app": "perfsuite",
    "django-prometheus": "django_prometheus",
    "OpenTelemetry": "opentelemetry.instrumentation.sqlite3",
    "django-silk": "silk",
}
OTEL_PACKAGES = ("opentelemetry.instrumentation.django", "opentelemetry.sdk")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--requests", type=int, default=64, help="requests per view, variant and round")
    parser.add_argument("--database", choices=("memory", "file"), default="memory")
    parser.add_argument(
        "--only", action="append", default=[], help="compare only this one with bare; repeatable"
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.database)
        return
    wanted = [
        name
        for name in VARIANTS
        if not options.only or name.startswith("bare") or name in options.only or name == BLIND
    ]
    absent = [name for name in wanted if not is_installed(name)]
    present = [name for name in wanted if name not in absent]
    print(
        f"{common.machine()}; SQLite {options.database}; {options.rounds} rounds of {options.requests} requests per view"
    )
    print(f"python benchmarks/overhead.py {' '.join(sys.argv[1:])}".rstrip() + "\n")
    timings = measure(present, options.rounds, options.requests, options.database)
    report(timings)
    for name in absent:
        print(f"Not compared, since it is not installed: {name}; type: pip install 'django-perfsuite[bench]'")


def is_installed(name: str) -> bool:
    needed = [VARIANTS[name], *(OTEL_PACKAGES if name == "OpenTelemetry" else ())]
    try:
        for module in filter(None, needed):
            if importlib.util.find_spec(module) is None:
                return False
    except ModuleNotFoundError:
        return False
    return True


# The driver


class Worker:
    """A variant's process; ``run`` has it serve a batch and returns microseconds per request."""

    def __init__(self, name: str, database: str) -> None:
        command = [sys.executable, __file__, "--worker", name, "--database", database]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.write, self.read = self.process.stdin, self.process.stdout
        if self.read.readline().strip() != "ready":
            raise SystemExit(f"The variant {name!r} did not start; its error is above.")

    def run(self, path: str, requests: int) -> list[float]:
        self.write.write(json.dumps([path, requests]) + "\n")
        self.write.flush()
        return [float(us) for us in json.loads(self.read.readline())]

    def stop(self) -> None:
        self.write.close()
        self.process.wait(60)


# Variant -> view -> one list of microseconds per round.
Timings = dict[str, dict[str, list[list[float]]]]
Center = Callable[[Sequence[float]], float]


def measure(names: list[str], rounds: int, requests: int, database: str) -> Timings:
    timings: Timings = {name: {view: [] for view in PATHS} for name in names}
    for generation in range(GENERATIONS):
        first, last = (rounds * each // GENERATIONS for each in (generation, generation + 1))
        measure_generation(timings, range(first, last), requests, database)
        if sys.stderr.isatty():
            print(f"\r{last}/{rounds} ", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    return timings


def measure_generation(timings: Timings, rounds: range, requests: int, database: str) -> None:
    """Measure some rounds with new processes: where a process happens to lie in memory is worth a few percent."""
    names, workers = list(timings), dict[str, Worker]()
    try:
        for name in names:
            workers[name] = Worker(name, database)
            for path in PATHS.values():
                workers[name].run(path, WARM_UP)
        for _ in rounds:
            for view, path in PATHS.items():
                for name in random.sample(names, len(names)):
                    timings[name][view].append(workers[name].run(path, requests))
    finally:
        for worker in workers.values():
            worker.stop()


def report(timings: Timings) -> None:
    head = [
        "variant",
        *["0 q µs", "ratio", "by mean", "p95"],
        *["20 q µs", "ratio", "by mean", "p95"],
        "20 q - 0 q, µs per query",
    ]
    rows = []
    for name in timings:
        none, twenty = extra_us(timings, name, "0 queries"), extra_us(timings, name, "20 queries")
        row: list[object] = [name]
        for view in PATHS:
            everything = [us for batch in timings[name][view] for us in batch]
            row += [f"{common.median(everything):.0f}", f"{ratio(timings, name, view):.3f}"]
            row.append(f"{ratio(timings, name, view, statistics.fmean):.3f}")
            row.append(f"{common.percentile(everything, 0.95):.0f}")
        rows.append([*row, f"{(twenty - none) / QUERIES:+.2f}"])
    common.print_table(head, rows)
    if "perfsuite" in timings:
        verdicts = [
            f"by {way} {verdict(timings, of)}"
            for way, of in (("median", common.median), ("mean", statistics.fmean))
        ]
        print(f"\nThe bars, 0 queries <= 1.15, 20 queries <= 1.05, <= 5 µs per query: {', '.join(verdicts)}")


def verdict(timings: Timings, of: Center) -> str:
    zero, twenty = (ratio(timings, "perfsuite", view, of) for view in PATHS)
    per_query = extra_us(timings, "perfsuite", "20 queries", of, than=BLIND) / QUERIES
    held = zero <= 1.15 and twenty <= 1.05 and per_query <= 5
    return f"{'held' if held else 'MISSED'} ({zero:.3f}, {twenty:.3f}, {per_query:.1f})"


def ratio(
    timings: Timings, name: str, view: str, of: Callable[[list[float]], float] = common.median
) -> float:
    pairs = zip(timings[name][view], timings["bare"][view], strict=True)
    return common.median([of(one) / of(bare) for one, bare in pairs])


def extra_us(timings: Timings, name: str, view: str, of: Center = common.median, than: str = "bare") -> float:
    """Return the microseconds that a request costs more than one of another variant."""
    pairs = zip(timings[name][view], timings[than][view], strict=True)
    return common.median([of(one) - of(bare) for one, bare in pairs])


# A worker


def work(name: str, database: str) -> None:
    """Serve batches: a line of JSON on stdin, ``[path, requests]``, is answered by one of microseconds on stdout."""
    with tempfile.TemporaryDirectory(prefix="perfsuite-bench-") as folder:
        between_batches = set_up(name, database, Path(folder))
        from django.core.handlers.wsgi import WSGIHandler
        from django.test import RequestFactory

        handler, factory = WSGIHandler(), RequestFactory()
        answers = sys.stdout
        print("ready", flush=True)
        for line in sys.stdin:
            path, requests = json.loads(line)
            timings = [one_request(handler, factory.get(path).environ) for _ in range(requests)]
            between_batches()
            print(json.dumps([round(us, 2) for us in timings]), file=answers, flush=True)
    os._exit(0)  # at once: what is not flushed yet belongs to nobody


def one_request(handler: Any, environ: dict[str, Any]) -> float:
    """Return the microseconds from the call of the handler to the end of ``response.close()``."""
    started = time.perf_counter_ns()
    response = handler(environ, start_response)
    for _ in response:
        pass
    response.close()
    us = (time.perf_counter_ns() - started) / 1e3
    assert response.status_code == 200, response.content
    return us


def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
    """Take what a server would send."""


def set_up(name: str, database: str, folder: Path) -> Callable[[], None]:
    """Set Django up as the variant's users do and return what must run between two batches."""
    host = {
        "ENGINE": common.SQLITE,
        "NAME": ":memory:" if database == "memory" else str(folder / "host.sqlite3"),
    }
    # The store is a file, as on every SQLite host that is one.
    store = {"ENGINE": common.SQLITE, "NAME": str(folder / "host.perfsuite.sqlite3")}
    middleware, databases, apps, extra = common.DEFAULT_MIDDLEWARE, {"default": host}, [], {}
    if name in OURS:
        import perfsuite

        apps = [app for app in perfsuite.APPS if name != BLIND or app != "perfsuite.queries"]
        middleware = ["perfsuite.monitoring.RequestMetricsMiddleware", *middleware]
        if database == "memory":
            databases["perfsuite"] = store
    elif name == "django-silk":
        apps, middleware = ["silk"], ["silk.middleware.SilkyMiddleware", *middleware]
    elif name == "django-prometheus":
        apps = ["django_prometheus"]
        before, after = (
            f"django_prometheus.middleware.Prometheus{each}Middleware" for each in ("Before", "After")
        )
        middleware = [before, *middleware, after]
        host["ENGINE"] = "django_prometheus.db.backends.sqlite3"
        extra = {"PROMETHEUS_EXPORT_MIGRATIONS": False}
    elif name == "OpenTelemetry":
        _instrument_with_opentelemetry()
    logging.disable(logging.WARNING)
    common.configure(
        host, apps=apps, MIDDLEWARE=middleware, DATABASES=databases, ROOT_URLCONF=make_urls(), **extra
    )
    return _fill(name, database)


def _instrument_with_opentelemetry() -> None:
    from opentelemetry import trace
    from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    SQLite3Instrumentor().instrument()
    _exporters.append(exporter)


_exporters: list[Any] = []


def make_urls() -> Any:
    """Return a URL configuration of the two views; ``Item`` is made when Django is set up."""
    from types import ModuleType

    urls = ModuleType("overhead_urls")
    sys.modules["overhead_urls"] = urls
    urls.urlpatterns = []  # type: ignore[attr-defined]
    return "overhead_urls"


def _fill(name: str, database: str) -> Callable[[], None]:
    from django.contrib import admin
    from django.core.management import call_command
    from django.db import connection, connections, models
    from django.http import HttpResponse
    from django.urls import path

    class Item(models.Model):
        objects: ClassVar[models.Manager[Any]]
        name = models.CharField(max_length=100)
        price = models.IntegerField()

        class Meta:
            app_label = "overhead"

        def __str__(self) -> str:
            return self.name

    def zero(request: Any) -> HttpResponse:
        return HttpResponse("ok")

    def twenty(request: Any) -> HttpResponse:
        return HttpResponse(str(sum(Item.objects.get(pk=i).price for i in range(1, QUERIES + 1))))

    views = [path("zero/", zero), path("twenty/", twenty), path("admin/", admin.site.urls)]
    sys.modules["overhead_urls"].urlpatterns += views  # type: ignore[attr-defined]
    call_command("migrate", verbosity=0)
    if name in OURS and database == "memory":
        call_command("migrate", database="perfsuite", verbosity=0)
        # On a site only the flusher's thread opens the store.
        connections["perfsuite"].close()
        del connections["perfsuite"]
    with connection.schema_editor() as editor:
        editor.create_model(Item)
    Item.objects.bulk_create([Item(name=f"item {i}", price=i) for i in range(1, QUERIES + 1)])
    return _cleaner(name)


def _cleaner(name: str) -> Callable[[], None]:
    """Return what keeps a variant's own memory from growing, so that its growth is not in its figures."""
    if name == "OpenTelemetry":
        from opentelemetry.instrumentation.django import DjangoInstrumentor

        DjangoInstrumentor().instrument()
        return _exporters[0].clear  # type: ignore[no-any-return]
    if name == "django-silk":
        from silk.models import Request, SQLQuery

        def empty() -> None:
            with contextlib.suppress(Exception):
                SQLQuery.objects.all().delete()
            Request.objects.all().delete()

        return empty
    return lambda: None


if __name__ == "__main__":
    main()
