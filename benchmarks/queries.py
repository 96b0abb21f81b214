"""What the queries app costs, and what it finds: the figures of docs/topics/queries.md.

Fingerprints are compared with sqlparse, in one run. The 20-query view runs in one process with the execute wrapper on and
off in turn, in an order that is random anew in each round; a figure is the difference of the tenth percentiles over all
rounds, since a busy machine only ever adds time. What the recorder adds up later is done within the timed batch.

    python benchmarks/queries.py [--rounds 60] [--requests 64]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import common

QUERIES = 20
SELECT = (
    'SELECT "shop_book"."id", "shop_book"."title", "shop_book"."author_id", "shop_author"."name" FROM "shop_book" INNER JOIN '
    '"shop_author" ON ("shop_book"."author_id" = "shop_author"."id") WHERE ("shop_book"."pages" > %s AND '
    '"shop_author"."name" = \'x{}\') ORDER BY "shop_book"."title" ASC LIMIT 21'
)
IN = 'SELECT "shop_book"."id" FROM "shop_book" WHERE "shop_book"."id" IN ({})'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--requests", type=int, default=64, help="requests of a batch")
    options = parser.parse_args()
    print(f"{common.machine()}\npython benchmarks/queries.py {' '.join(sys.argv[1:])}".rstrip() + "\n")
    with tempfile.TemporaryDirectory(prefix="perfsuite-bench-") as folder:
        view = set_up(Path(folder))
        fingerprints()
        overhead(view, options.rounds, options.requests)


# Fingerprints


def fingerprints() -> None:
    """Print microseconds for each fingerprint: of a new statement, of a long list, and of one that came before."""
    from perfsuite.queries import fingerprint

    made_anew, remembered = fingerprint._shape, fingerprint._remembered  # noqa: SLF001 - with and without the cache
    literal = IN.format(", ".join(map(str, range(1_000))))
    cases = [
        ("new statement", SELECT.format(1), 30.0),
        ("IN with 1,000 placeholders", IN.format(", ".join(["%s"] * 1_000)), 300.0),
        ("IN with 1,000 values", literal, 300.0),
    ]
    ours = [lowest(lambda sql=sql: made_anew(sql, False), 40) for _, sql, _ in cases]
    theirs = [lowest(lambda sql=sql: by_sqlparse(sql), 5) for _, sql, _ in cases]
    came_before = lowest(lambda: remembered(SELECT, False), 1_000)
    rows: list[list[object]] = [
        [
            name,
            f"{us:.2f}",
            f"{bar:g}",
            "held" if us <= bar else "MISSED",
            f"{other:.0f}",
            f"{other / us:.0f}x",
        ]
        for (name, _, bar), us, other in zip(cases, ours, theirs, strict=True)
    ]
    rows.append(["one that came before", f"{came_before:.3f}", "0.1", verdict(came_before, 0.1), "", ""])
    common.print_table(["fingerprint of", "µs", "bar", "", "sqlparse µs", "ratio"], rows)
    print()


def by_sqlparse(sql: str) -> str:
    """Return a fingerprint as a user of sqlparse writes it."""
    import sqlparse
    from sqlparse import tokens

    statement = sqlparse.parse(sql)[0]
    return "".join("?" if token.ttype in tokens.Literal else token.value for token in statement.flatten())


def lowest(work: Callable[[], object], times: int) -> float:
    """Return the microseconds of one call, from the quickest of many runs."""
    best = float("inf")
    for _ in range(15):
        started = time.perf_counter()
        for _ in range(times):
            work()
        best = min(best, (time.perf_counter() - started) / times)
    return best * 1e6


def verdict(value: float, bar: float) -> str:
    return "held" if value <= bar else "MISSED"


# The view


def overhead(view: Callable[[], float], rounds: int, requests: int) -> None:
    """Print what the wrapper adds to a view of 20 statements."""
    from perfsuite.queries import sql

    switches = {"on": sql.install, "off": sql.uninstall}
    timings: dict[str, list[float]] = {"on": [], "off": []}
    for number in range(rounds + 5):
        for way in random.sample(list(switches), 2):
            switches[way]()
            batch = [view() for _ in range(requests)]
            if number >= 5:
                # By their mean, what is done once for many requests is in it.
                timings[way] += [
                    common.percentile(batch, 0.1),
                    sum(sorted(batch)[: requests // 2]) / (requests // 2),
                ]
    on, off = ([common.percentile(timings[way][kind::2], 0.1) for kind in (0, 1)] for way in ("on", "off"))
    rows = [
        [
            name,
            f"{o:.0f}",
            f"{w:.0f}",
            f"{w / o:.3f}",
            f"{(w - o) / QUERIES:.2f}",
            verdict((w - o) / QUERIES, 5),
        ]
        for name, w, o in zip(("tenth percentile", "mean of the quicker half"), on, off, strict=True)
    ]
    common.print_table(["20-query view", "off µs", "on µs", "ratio", "µs per query", "bar 5"], rows)


def set_up(folder: Path) -> Callable[[], float]:
    """Set Django up and return what serves one request and returns its microseconds."""
    import perfsuite

    urls = ModuleType("queries_urls")
    urls.urlpatterns = []  # type: ignore[attr-defined]
    sys.modules["queries_urls"] = urls
    host, store = (
        {"ENGINE": common.SQLITE, "NAME": name} for name in (":memory:", str(folder / "store.sqlite3"))
    )
    common.configure(
        host,
        apps=perfsuite.APPS,
        MIDDLEWARE=["perfsuite.monitoring.RequestMetricsMiddleware", *common.DEFAULT_MIDDLEWARE],
        DATABASES={"default": host, "perfsuite": store},
        ROOT_URLCONF="queries_urls",
    )
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.management import call_command
    from django.db import connection, models
    from django.http import HttpResponse
    from django.test import RequestFactory
    from django.urls import path

    class Item(models.Model):
        objects: ClassVar[models.Manager[Any]]
        name = models.CharField(max_length=100)
        price = models.IntegerField()

        class Meta:
            app_label = "queries"

        def __str__(self) -> str:
            return self.name

    def twenty(request: Any) -> HttpResponse:
        return HttpResponse(str(sum(Item.objects.get(pk=i).price for i in range(1, QUERIES + 1))))

    urls.urlpatterns.append(path("twenty/", twenty))  # type: ignore[attr-defined]
    call_command("migrate", database="perfsuite", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Item)
    Item.objects.bulk_create([Item(name=f"item {i}", price=i) for i in range(1, QUERIES + 1)])
    handler, factory = WSGIHandler(), RequestFactory()

    def serve() -> float:
        environ = factory.get("/twenty/").environ
        started = time.perf_counter_ns()
        response = handler(environ, lambda *_: None)
        response.close()
        return (time.perf_counter_ns() - started) / 1e3

    return serve


if __name__ == "__main__":
    main()
