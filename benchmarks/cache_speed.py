"""How long a hit, a miss, a set and an invalidation take, against Django's LocMemCache and django-redis."""

from __future__ import annotations

import pickle
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.cache import caches

VALUE = {
    "id": 1,
    "title": "x" * 100,
    "body": "y" * 600,
    "tags": ["a", "b"],
    "when": 1.5,
    "n": list(range(60)),
}
TEXT = "z" * 1_000
CALLS = 3_000
TAGGED = 100_000
ROOT = Path(__file__).resolve().parent.parent
Row = tuple[str, str, str, bool | None]

STALLED = """
import sys, time, redis
client = redis.Redis(port=int(sys.argv[1]))
client.ping()
print("ready", flush=True)
worst = 0.0
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    began = time.perf_counter()
    client.ping()
    worst = max(worst, time.perf_counter() - began)
print(worst)
"""
# Attaches to the channel of the cache "benchmark", and stays.
SECOND = """
import sys
sys.path.insert(0, sys.argv[1])
from django.conf import settings
settings.configure(SECRET_KEY="benchmark", INSTALLED_APPS=[], CACHES={"default": {
    "BACKEND": "perfsuite.caching.TieredCache", "LOCATION": "benchmark"}})
import django; django.setup()
from django.core.cache import cache
cache.get("k")
print("ready", flush=True)
sys.stdin.read()
"""


def ratio(
    ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int, threads: int = 1
) -> tuple[float, str]:
    """Return how many times as quick ours is, by the median of interleaved rounds, and that in words."""
    found, in_thread = [], []
    for number in range(rounds):
        order = (ours, theirs) if number % 2 else (theirs, ours)
        took = {call: timed(call, threads) for call in order}
        found.append(took[theirs][0] / took[ours][0])
        in_thread.append(took[theirs][1] / took[ours][1])
    low, middle, high = statistics.quantiles(found, n=4)
    words = f"{middle:.2f}x ({low:.2f}-{high:.2f})"
    if threads == 1:
        words += f", CPU {statistics.median(in_thread):.2f}x"
    return middle, words


def timed(call: Callable[[], Any], threads: int) -> tuple[float, float]:
    if threads == 1:
        began, cpu = time.perf_counter(), time.thread_time()
        for _ in range(CALLS):
            call()
        return time.perf_counter() - began, time.thread_time() - cpu
    barrier = threading.Barrier(threads + 1)

    def run() -> None:
        barrier.wait()
        for _ in range(CALLS):
            call()
        barrier.wait()

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    barrier.wait()
    began = time.perf_counter()
    barrier.wait()
    took = time.perf_counter() - began
    for worker in workers:
        worker.join()
    return took, 1.0


def row(what: str, bar: float, found: tuple[float, str], unit: str = "LocMem") -> Row:
    return what, found[1], f">= {bar:g}x {unit}", found[0] >= bar


def hits(rounds: int) -> list[Row]:
    ours, locmem, redis = caches["default"], caches["locmem"], caches["redis"]
    for cache, options in ((ours, {"tier": "hot"}), (locmem, {}), (redis, {})):
        cache.set("k", VALUE, **options)
        cache.set("text", TEXT, **options)
    ours.set("tagged", VALUE, tags=["one", "two"], tier="hot")
    ours.set("other", 1, tags=["three"])
    plain, tagged, text = (lambda: ours.get("k")), (lambda: ours.get("tagged")), (lambda: ours.get("text"))
    theirs, their_text = (lambda: locmem.get("k")), (lambda: locmem.get("text"))
    return [
        row("hit in hot, 2 tags", 1.5, ratio(tagged, theirs, rounds)),
        row("hit in hot, no tags", 1.7, ratio(plain, theirs, rounds)),
        row("hit in hot, text of 1 KB, no tags", 2.5, ratio(text, their_text, rounds)),
        row("hit in hot, 2 tags, 2 threads", 2.2, ratio(tagged, theirs, rounds, threads=2)),
        row(
            "hit in hot, 2 tags",
            20,
            ratio(tagged, lambda: redis.get("k"), max(5, rounds // 3)),
            "django-redis",
        ),
    ]


def sets_and_misses(rounds: int) -> list[Row]:
    ours, locmem = caches["default"], caches["locmem"]
    keys = [f"k{number}" for number in range(200)]

    def setter(cache: Any) -> Callable[[], None]:
        turn = iter(keys * (CALLS * rounds // len(keys) + CALLS))
        return lambda: cache.set(next(turn), VALUE)

    rows = [
        row("set, alone on its host", 1.1, ratio(setter(ours), setter(locmem), rounds)),
        row("miss", 5, ratio(lambda: ours.get("none"), lambda: locmem.get("none"), rounds)),
    ]
    command = [sys.executable, "-c", SECOND, str(ROOT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as second:
        assert second.stdout is not None
        assert second.stdin is not None
        second.stdout.readline()
        rows.append(row("set, beside a second process", 1.1, ratio(setter(ours), setter(locmem), rounds)))
        rows.append(channel(rounds, "beside a second process"))
        second.stdin.close()
    return rows


def channel(rounds: int, where: str) -> Row:
    """Return what the channel of the host adds to a hit."""
    ours, without = caches["default"], caches["unchanneled"]
    for cache in (ours, without):
        cache.set("text", TEXT, tier="hot")
    added = []
    for number in range(rounds * 3):
        order = (ours, without) if number % 2 else (without, ours)
        took = {id(cache): timed(lambda cache=cache: cache.get("text"), 1)[1] for cache in order}
        added.append((took[id(ours)] - took[id(without)]) / CALLS * 1e6)
    middle = statistics.median(added)
    return f"what the host channel adds to a hit, {where}", f"{middle:+.3f} us", "<= 0.3 us", middle <= 0.3


def invalidation(rounds: int) -> list[Row]:
    ours = caches["tiered-redis"]
    for start in range(0, TAGGED, 1_000):
        for number in range(start, start + 1_000):
            ours.set(f"tagged{number}", "x", tags=["everything"], timeout=None)
    client = ours.engine.shared.redis.client
    port = client.connection_pool.connection_kwargs["port"]
    command = [sys.executable, "-c", STALLED, str(port), "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pinging:
        assert pinging.stdout is not None
        pinging.stdout.readline()
        took = []
        for _ in range(200):
            began = time.perf_counter()
            ours.invalidate_tags("everything")
            took.append((time.perf_counter() - began) * 1e3)
            time.sleep(0.005)
        worst = float(pinging.stdout.readline()) * 1e3
    middle, high = statistics.median(took), sorted(took)[int(len(took) * 0.95)]
    what = f"invalidate a tag, {TAGGED:,} keys in Redis"
    return [
        (what, f"{middle:.2f} ms (p95 {high:.2f})", "< 1 ms", middle < 1),
        ("the longest stall of another client meanwhile", f"{worst:.2f} ms", "< 2 ms", worst < 2),
    ]


def redis_reads(rounds: int) -> list[Row]:
    ours, redis = caches["tiered-redis"], caches["redis"]
    ours.set("k", VALUE)
    raw = ours.engine.shared.redis
    data = pickle.dumps(VALUE, 5)
    raw.client.set("raw", data)
    full = ours.make_key("k")

    def miss_in_memory() -> Any:
        ours.engine.drop(full)
        return ours.get("k")

    few = max(5, rounds // 3)
    read = ratio(lambda: pickle.loads(raw.client.get("raw")), miss_in_memory, few)
    stored = ratio(lambda: redis.set("k", VALUE), lambda: ours.set("k", VALUE), few)
    return [
        (
            "miss in memory and hit in Redis, time of a raw GET",
            f"{read[0]:.2f}x the time",
            "goal 1.25x",
            None,
        ),
        ("set through to Redis, time of django-redis's set", f"{stored[0]:.2f}x the time", "goal 1.3x", None),
    ]


MEASUREMENTS = {"hits": hits, "sets": sets_and_misses, "invalidation": invalidation, "redis": redis_reads}
