"""Record three hundred thousand requests in this process and print what that did to its memory, in bytes, as JSON.

``at_caps`` is what the recorder holds when every kind has as many different labels as it may have, measured by
``tracemalloc``; ``half`` and ``full`` are the process's resident memory after half of them and after all,
with a flush now and then.
"""

from __future__ import annotations

import gc
import json
import random
import tracemalloc
from collections.abc import Callable, Iterator

import django
import psutil  # type: ignore[import-untyped]
from django.http import HttpResponse
from django.test import RequestFactory

# Enough that eight bytes kept of each request after the first half are more than the bound of the test.
REQUESTS = 300_000
FLUSH_EVERY = 25_000
# One in so many goes through the middleware itself; the others are what it hands to the recorder.
THROUGH_MIDDLEWARE = 20


def main() -> None:
    django.setup()
    from perfsuite.metrics.flusher import flusher
    from perfsuite.metrics.recorder import recorder

    recorder.on_first = None  # flushed here and nowhere else, so that the figures do not depend on the clock
    assert flusher.flush()  # the store and all modules are there before anything is measured
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    fill_to_the_caps()
    gc.collect()
    at_caps = tracemalloc.get_traced_memory()[0] - before
    series = {kind: 0 for kind, _ in recorder._series}
    for kind, _ in recorder._series:
        series[kind] += 1
    tracemalloc.stop()
    assert flusher.flush()
    resident = psutil.Process().memory_info
    half = full = 0
    for number, request in enumerate(requests()):
        request()
        if number % FLUSH_EVERY == FLUSH_EVERY - 1:
            assert flusher.flush()
        if number == REQUESTS // 2 - 1:
            half = resident().rss
    full = resident().rss
    print(json.dumps({"at_caps": at_caps, "series": series, "half": half, "full": full}))


def fill_to_the_caps() -> None:
    """Record each kind with more different labels than its cap, over values that spread as response times do."""
    from perfsuite.metrics import kinds
    from perfsuite.metrics.recorder import recorder

    rng = random.Random(1)
    declared = [kind for kind in kinds._kinds.values() if not kind.name.startswith("self.")]
    for kind in declared:
        for number in range(kind.cap + 100):
            labels = tuple(text(label, number) for label in kind.labels)
            values = [rng.lognormvariate(9, 1.0) for _ in range(60 if kind.percentiles else 1)]
            recorder.observe_many((kind.name, labels, value) for value in values)
    recorder._add_up(wait=True)


def text(label: str, number: int) -> str:
    """Return a label value of a usual length."""
    if label == "fingerprint":
        columns = ", ".join(f'"shop_item"."column_{column}"' for column in range(15))
        return f'SELECT {columns} FROM "shop_item" WHERE "column_{number}" = ?'
    return f"/section/{number}/<slug:slug>/" if label == "route" else f"{label}-{number}"


def requests() -> Iterator[Callable[[], None]]:
    """Yield as many functions that record one request each."""
    from perfsuite.metrics.recorder import recorder
    from perfsuite.metrics.request import current
    from perfsuite.monitoring import RequestMetricsMiddleware
    from perfsuite.queries.sql import note_statement

    rng = random.Random(2)
    factory = RequestFactory()
    context = {"connection": django.db.connection}

    def view(request: object) -> HttpResponse:
        assert current.get() is not None
        note_statement(
            lambda *_: None, f"SELECT {rng.randrange(2_000)} FROM t{rng.randrange(700)}", (), False, context
        )
        return HttpResponse("ok")

    middleware = RequestMetricsMiddleware(view)

    def through_the_middleware() -> None:
        middleware(factory.get("/"))

    def straight() -> None:
        number, us = rng.randrange(500), rng.random() * 1e6
        route = f"/section/{number}/<slug:slug>/"
        recorder.observe_many(
            (
                ("requests.status", ("2xx",), us),
                ("requests.route", (route, "GET", "2xx"), us),
                ("requests.queries", (route,), 3),
                ("requests.db", (route,), us / 2),
                ("requests.bytes_out", (route,), 1_000),
                ("queries.fingerprint", (f"SELECT {number}", "default", route), [us / 4, us / 4]),
            )
        )

    for number in range(REQUESTS):
        yield through_the_middleware if number % THROUGH_MIDDLEWARE == 0 else straight


if __name__ == "__main__":
    main()
