"""What the cache keeps, shares and computes: hit rates, bytes, visibility, single flight."""

from __future__ import annotations

import bisect
import itertools
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from perfsuite.caching import TieredCache
from perfsuite.caching.engine import reading

ROOT = Path(__file__).resolve().parent.parent
MIB = 1 << 20
Row = tuple[str, str, str, bool | None]


def new_cache(**options: Any) -> TieredCache:
    return TieredCache(f"behaviour-{os.urandom(4).hex()}", {"OPTIONS": {"CHANNEL": "none", **options}})


def zipf(keys: int, count: int, seed: int = 1) -> list[int]:
    sums = list(itertools.accumulate(1 / rank for rank in range(1, keys + 1)))
    chance = random.Random(seed)
    return [bisect.bisect(sums, chance.random() * sums[-1]) for _ in range(count)]


def share_of_hot(rounds: int) -> list[Row]:
    """1:10, room for 100 and 1,000 of 100,000 keys, as in the research that the rule of promotion comes from."""
    size = 1_600  # of an entry with a text of about 1 KB
    cache = new_cache(TIERS=[{"MAX_BYTES": 100 * size}, {"MAX_BYTES": 1_000 * size}, {"MAX_BYTES": 0}])
    text = "x" * (size - 600)
    for key in zipf(100_000, 300_000):
        name = f"k{key}"
        if cache.get(name) is None:
            cache.set(name, text)
    hot, warm = (reading(tier.hits) for tier in cache.engine.tiers[:2])
    total = hot + warm + reading(cache.engine.counts.misses)
    share = 100 * hot / total
    both = 100 * (hot + warm) / total
    return [
        (
            "share of requests from hot, Zipf(1.0), 1:10",
            f"{share:.1f} % (with warm {both:.1f})",
            ">= 38 %",
            share >= 38,
        )
    ]


def pages(rounds: int) -> list[Row]:
    """5,000 pages of the sizes that HTML has: a median of 8 KB, some of 100."""
    chance = random.Random(2)
    sizes = [min(200_000, int(chance.lognormvariate(9.0, 0.8))) for _ in range(5_000)]
    words = [f"<p>{chance.random()}</p>" for _ in range(2_000)]
    cache = new_cache()

    def body(page: int) -> str:
        text = " ".join(chance.choices(words, k=sizes[page] // 24))
        return text[: sizes[page]]

    requests = zipf(5_000, 200_000)
    for page in sorted(set(requests), key=requests.index):
        cache.get_or_set(f"page{page}", lambda page=page: body(page), timeout=None)
    before = reading(cache.engine.counts.misses)
    for page in requests:
        cache.get_or_set(f"page{page}", lambda page=page: body(page), timeout=None)
    missed = reading(cache.engine.counts.misses) - before
    rate = 100 * (1 - missed / len(requests))
    whole = sum(sizes) / MIB
    return [
        (
            f"hit rate, 5,000 pages of {whole:.0f} MiB in all, after warm-up",
            f"{rate:.2f} %",
            ">= 99 %",
            rate >= 99,
        )
    ]


def _grown(budget: int, value_bytes: int, queue: Any) -> None:
    cache = new_cache(TIERS=[{"MAX_BYTES": budget}])
    process = psutil.Process()
    cache.set("warm", 1)
    before = process.memory_info().rss
    number = 0
    while cache.engine.tiers[0].by_bytes < 1_000:
        cache.set(f"key-of-some-length:{number}", {"body": os.urandom(value_bytes // 2).hex()}, timeout=None)
        number += 1
    tier = cache.engine.tiers[0]
    grown = process.memory_info().rss - before
    queue.put((grown, tier.bytes, len(tier.entries)))


def memory(rounds: int) -> list[Row]:
    rows: list[Row] = []
    spawn = multiprocessing.get_context("spawn")
    for value_bytes in (200, 1_000, 10_000):
        queue = spawn.Queue()
        process = spawn.Process(target=_grown, args=(64 * MIB, value_bytes, queue))
        process.start()
        grown, accounted, entries = queue.get()
        process.join()
        off = 100 * (grown / (64 * MIB) - 1)
        per_entry = (grown - accounted) / entries
        words = f"{off:+.1f} % ({per_entry:+.0f} B an entry)"
        rows.append(
            (
                f"memory at a full budget of 64 MiB, values of {value_bytes} B",
                words,
                "within 15 %",
                abs(off) <= 15,
            )
        )
    return rows


def single_flight(rounds: int) -> list[Row]:
    cache, calls = new_cache(), []
    barrier = threading.Barrier(20)

    def compute() -> int:
        calls.append(1)
        time.sleep(0.05)
        return 1

    def want() -> None:
        barrier.wait()
        cache.get_or_set("cold", compute)

    threads = [threading.Thread(target=want) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [("computations, 20 threads on a cold key", str(len(calls)), "1 (LocMem: 20)", len(calls) == 1)]


def interleavings(rounds: int) -> list[Row]:
    """Steps of two computations and of invalidations in a random order, each computation in a context of its own."""
    import contextvars

    cache, chance, stale = new_cache(), random.Random(3), 0
    source = 0
    for number in range(10_000):
        key, tag = f"k{number % 50}", f"t{number % 50}"
        contexts = [contextvars.copy_context() for _ in range(2)]
        held: dict[int, int | None] = {}
        steps = [0, 0, 1, 1, *("i" * chance.randrange(1, 3))]
        chance.shuffle(steps)
        for step in steps:
            if step == "i":
                source += 1
                cache.invalidate_tags(tag)
            elif step not in held:
                # What was found needs no computation.
                is_there = contexts[int(step)].run(cache.get, key) is not None
                held[int(step)] = None if is_there else source
            elif (value := held[int(step)]) is not None:
                contexts[int(step)].run(partial(cache.set, key, value, tags=[tag]))
        found = cache.get(key)
        latest_invalidation = source
        stale += found is not None and found < latest_invalidation
        cache.delete(key)
    return [("stale results of 10,000 interleavings", str(stale), "0", stale == 0)]


def coherence(rounds: int) -> list[Row]:
    import json

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.integration.coherence", folder, "35000"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    words = f"{said['stale']} of {said['reads']:,}, {said['changes']:,} changes"
    return [("stale reads over processes, writers killed", words, "0", said["stale"] == 0)]


READER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from django.conf import settings
settings.configure(SECRET_KEY="b", INSTALLED_APPS=[], CACHES={
    "redis": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": sys.argv[2]},
    "default": {"BACKEND": "perfsuite.caching.TieredCache", "LOCATION": "visibility",
                "OPTIONS": {"TIERS": {"cold": {"ALIAS": "redis"}}}}})
import django; django.setup()
from django.core.cache import caches
cache = caches["default"]
cache.set("mine", 1, tags=["t"])
tokens = cache.engine.tags.tokens
print("ready", flush=True)
seen = tokens.get("t")
for _ in range(int(sys.argv[3])):
    while tokens.get("t") == seen:
        time.sleep(0.00005)
    at = time.monotonic()
    seen = tokens.get("t")
    print(at, flush=True)
"""


def visibility(rounds: int) -> list[Row]:
    from django.conf import settings

    url, times = settings.CACHES["redis"]["LOCATION"], 1_000
    here = TieredCache("visibility", {"OPTIONS": {"TIERS": {"cold": {"ALIAS": "redis"}}}})
    here.set("k", 1, tags=["t"])
    command = [sys.executable, "-c", READER, str(ROOT), url, str(times)]
    delays = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        reader.stdout.readline()
        for _ in range(times):
            began = time.monotonic()
            here.invalidate_tags("t")
            delays.append((float(reader.stdout.readline()) - began) * 1e3)
    delays.sort()
    middle, late = delays[len(delays) // 2], delays[int(len(delays) * 0.99)]
    words = f"p50 {middle:.2f} ms, p99 {late:.2f} ms"
    return [("visible in another process, Redis channel", words, "p99 < 5 ms", late < 5)]


MEASUREMENTS = {
    "hot": share_of_hot,
    "pages": pages,
    "memory": memory,
    "flight": single_flight,
    "interleavings": interleavings,
    "coherence": coherence,
    "visibility": visibility,
}
