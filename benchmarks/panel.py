"""How long the panel's JSON and its pages of queries take on a store that has run for two weeks, uncached, for each range.

The store is a SQLite file as compaction and retention leave it: 10-second rows of four writers, then 1-minute, 10-minute,
1-hour and 1-day rows, each for as long as it is kept. Every route has a latency series and four counters, every fingerprint
a series; 100 of each are 200 series with percentiles and 400 without.

    python benchmarks/panel.py [--routes 100] [--fingerprints 100] [--repeats 15] [--profile 24h]
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import common

DAY_S = 86_400
WRITERS = 4
BAR_MS = {"24h": 100.0}
PAGE_BAR_MS = 100.0
# Resolution -> how much of it is there, and how many values a row stands for.
KEPT_S = {10: 1_200, 60: 6 * 3_600, 600: 2 * DAY_S, 3_600: 14 * DAY_S, DAY_S: 14 * DAY_S}
VALUES_PER_ROW = {10: 2, 60: 40, 600: 400, 3_600: 2_400, DAY_S: 20_000}
# Which share of its kind's values a series has; the others have all of them.
RARE = {"3xx": 0.1, "4xx": 0.05, "5xx": 0.01, "INSERT": 0.1, "UPDATE": 0.1, "DELETE": 0.02}
# Which share of the series has a row in a stretch of that length (and of one writer, at 10 seconds).
ACTIVE = {10: 0.5, 60: 0.9, 600: 1.0, 3_600: 1.0, DAY_S: 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--routes", type=int, default=100)
    parser.add_argument("--fingerprints", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--profile", metavar="RANGE", help="profile this range instead of measuring all")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="perfsuite-bench-") as folder:
        set_up(Path(folder))
        now = int(time.time())
        started = time.perf_counter()
        rows = fill(now, options.routes, options.fingerprints)
        print(common.machine())
        print(f"python benchmarks/panel.py {' '.join(sys.argv[1:])}".rstrip())
        size_mb = sum(path.stat().st_size for path in Path(folder).glob("*perfsuite*")) / 1e6
        made_s = time.perf_counter() - started
        series = f"{options.routes} routes, {options.fingerprints} fingerprints"
        print(f"{series}: {rows:,} rows, {size_mb:.0f} MB, made in {made_s:.0f} s\n")
        if options.profile:
            profile(options.profile)
        else:
            measure(options.repeats)
            measure_pages(options.repeats)


def set_up(folder: Path) -> None:
    import perfsuite

    urls = ModuleType("panel_urls")
    urls.urlpatterns = []  # type: ignore[attr-defined]
    sys.modules["panel_urls"] = urls
    host = {"ENGINE": common.SQLITE, "NAME": str(folder / "host.sqlite3")}
    common.configure(host, apps=perfsuite.APPS, ROOT_URLCONF="panel_urls")


def measure(repeats: int) -> None:
    from perfsuite.panel.payload import RANGES, build

    timings: dict[str, list[float]] = {name: [] for name in RANGES}
    for number in range(repeats + 1):
        for name, chosen in RANGES.items():
            started = time.perf_counter()
            answer = build(chosen, time.time())
            ms = (time.perf_counter() - started) * 1e3
            assert not answer["notices"], answer["notices"]
            if number:  # the first one reads what each series is about
                timings[name].append(ms)
    rows = []
    for name, values in timings.items():
        median = common.median(values)
        bar = (
            f"<= {BAR_MS[name]:.0f}: {'held' if median <= BAR_MS[name] else 'MISSED'}"
            if name in BAR_MS
            else ""
        )
        rows.append([name, f"{median:.1f}", f"{common.percentile(values, 0.95):.1f}", bar])
    common.print_table(["range", "median ms", "p95 ms", "bar"], rows)


def measure_pages(repeats: int) -> None:
    """Measure what the page of queries reads in each order, and what the page of one query reads."""
    from perfsuite.metrics.query import Window
    from perfsuite.metrics.reading import one_reading
    from perfsuite.panel.payload import RANGES
    from perfsuite.queries.ranking import SORTS, Chosen, details, rank, statement

    timings: dict[tuple[str, str], list[float]] = {}
    for number in range(repeats + 1):
        for name, chosen in RANGES.items():
            window = Window.last(chosen.seconds).aligned(chosen.step)
            for sort in SORTS:
                started = time.perf_counter()
                lines = rank(window, Chosen(sort)).lines
                took_ms = (time.perf_counter() - started) * 1e3
                assert lines or sort == "errors"
                if number:
                    timings.setdefault((name, f"queries by {sort}"), []).append(took_ms)
            first = rank(window, Chosen()).lines[0]
            started = time.perf_counter()
            with one_reading():
                found = statement(first.short_id, "", window)
                assert found is not None
                assert details(found, window, chosen.step).value.count
            if number:
                timings.setdefault((name, "one query"), []).append((time.perf_counter() - started) * 1e3)
    rows = []
    for (name, page), values in timings.items():
        median = common.median(values)
        bar = f"<= {PAGE_BAR_MS:.0f}: {'held' if median <= PAGE_BAR_MS else 'MISSED'}"
        rows.append([page, name, f"{median:.1f}", f"{common.percentile(values, 0.95):.1f}", bar])
    print()
    common.print_table(["page", "range", "median ms", "p95 ms", "bar"], rows)


def profile(name: str) -> None:
    from perfsuite.panel.payload import RANGES, build

    build(RANGES[name], time.time())
    profiler = cProfile.Profile()
    profiler.enable()
    build(RANGES[name], time.time())
    profiler.disable()
    pstats.Stats(profiler).sort_stats("cumulative").print_stats(35)


def fill(now: int, routes: int, fingerprints: int) -> int:
    """Write the history that ends at ``now`` and return how many rows it has."""
    from django.db import connections, transaction

    from perfsuite.metrics.compaction import watermark
    from perfsuite.metrics.identity import describe
    from perfsuite.metrics.models import Bucket, Mark, Series
    from perfsuite.metrics.storages import get_storage

    get_storage().marks([])  # makes the tables
    described = [(describe(kind, labels), scale) for kind, labels, scale in all_series(routes, fingerprints)]
    alias = "perfsuite"
    # A minute closes a minute late; the coarser rows end where the finer ones are complete.
    marks, closed = {}, now - 60
    for resolution in (60, 600, 3_600, DAY_S):
        closed = marks[resolution] = closed - closed % resolution
    Mark.objects.using(alias).bulk_create([Mark(watermark(each), at) for each, at in marks.items()])
    Series.objects.using(alias).bulk_create(
        [Series(*row, now - now % DAY_S) for row, _ in described], batch_size=90
    )
    table = Bucket._meta.db_table
    count = 0
    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        for rows in batches(all_rows(now, marks, described), 20_000):
            cursor.executemany(f"INSERT INTO {table} VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)", rows)
            count += len(rows)
    connections[alias].close()
    return count


def all_series(routes: int, fingerprints: int) -> Iterator[tuple[str, tuple[str, ...], float]]:
    """Yield each series' kind, labels, and a typical value in the kind's unit."""
    rng = random.Random(1)
    for status in ("2xx", "3xx", "4xx", "5xx"):
        yield "requests.status", (status,), 40_000
    for operation in ("SELECT", "INSERT", "UPDATE", "DELETE"):
        yield "queries", ("default", operation), 900
    yield "self.request", (), 30
    yield "self.flush", (), 9_000
    names = [f"/section-{n % 12}/page-{n}/<slug:slug>/" for n in range(routes)]
    for name in names:
        yield "requests.route", (name, "GET", "2xx"), rng.uniform(2_000, 200_000)
        for kind, typical in (("queries", 12), ("db", 9_000), ("bytes_in", 300), ("bytes_out", 40_000)):
            yield f"requests.{kind}", (name,), typical
    columns = ", ".join(f'"shop_item"."column_{n}"' for n in range(12))
    for n in range(fingerprints):
        sql = f'SELECT {columns} FROM "shop_item" WHERE "shop_item"."column_{n}" = ? ORDER BY "shop_item"."id" LIMIT 21'
        yield "queries.fingerprint", (sql, "default", names[n % routes]), rng.uniform(200, 20_000)
        yield "queries.rows", (sql, "default", names[n % routes]), 20


def all_rows(
    now: int, marks: dict[int, int], described: list[tuple[Any, float]]
) -> Iterator[tuple[Any, ...]]:
    from perfsuite.metrics import kinds

    rng = random.Random(2)
    for resolution, kept_s in KEPT_S.items():
        end = now - now % 10 if resolution == 10 else marks[resolution]
        start = now - kept_s
        shapes = {row.id: histograms(rng, resolution, typical, share_of(row)) for row, typical in described}
        for at in range(start - start % resolution, end, resolution):
            for row, _ in described:
                for _ in range(WRITERS if resolution == 10 else 1):
                    if rng.random() > ACTIVE[resolution]:
                        continue
                    value, stored = rng.choice(shapes[row.id])
                    declared = kinds.lookup(row.kind)
                    kept = stored if declared is not None and declared.percentiles else b""
                    numbers = (value.count, value.sum, value.min, value.max, kept)
                    yield (
                        uuid.UUID(int=rng.getrandbits(128)).hex,
                        resolution,
                        at,
                        row.kind,
                        row.id,
                        *numbers,
                    )


def share_of(row: Any) -> float:
    """Return which share of its kind's values a series has."""
    return next((share for label, share in RARE.items() if f'"{label}"' in row.labels), 1.0)


def histograms(rng: random.Random, resolution: int, typical: float, share: float) -> list[tuple[Any, bytes]]:
    """Return a few histograms of the size that rows of a resolution have."""
    from perfsuite.metrics.histogram import Histogram

    made = []
    for _ in range(2):
        histogram = Histogram()
        for _ in range(max(1, round(share * min(VALUES_PER_ROW[resolution], 1_200)))):
            histogram.add(typical * rng.lognormvariate(0, 0.7))
        made.append((histogram, histogram.to_bytes()))
    return made


def batches(rows: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    batch: list[tuple[Any, ...]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    yield batch


if __name__ == "__main__":
    main()
