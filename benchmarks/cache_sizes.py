"""What the cache keeps in its bytes: how the process grows, what is answered from where, and how many requests are hits."""

from __future__ import annotations

import bisect
import html
import itertools
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from cache_common import NAME, Effort, Row, process, say
from common import median

from perfsuite.caching import TieredCache, engine
from perfsuite.caching.engine import reading
from perfsuite.caching.options import DEFAULTS

MIB = 1 << 20
SIZES = (200, 1_000, 10_000)
TURNOVERS = 8


def new_cache(**options: Any) -> Any:
    return TieredCache(f"{NAME}-{os.urandom(4).hex()}", {"OPTIONS": {"CHANNEL": "none", **options}})


def zipf(keys: int, count: int, seed: int = 1) -> list[int]:
    """Return ``count`` requests for 0 to ``keys`` - 1, the nth most wanted of which is wanted 1/n as often as the first."""
    sums = list(itertools.accumulate(1 / rank for rank in range(1, keys + 1)))
    chance = random.Random(seed)
    return [bisect.bisect(sums, chance.random() * sums[-1]) for _ in range(count)]


# Memory


def grow(tiers: Any, value_bytes: int, turnovers: int) -> None:
    """Fill tiers with values, and replace all of them several times; say by how much the process has grown, and for what."""
    cache = new_cache(TIERS=tiers)
    cache.set("first", {"body": os.urandom(2_000).hex()}, None, tier="cold")  # what compresses is loaded
    process_itself, held = psutil.Process(), cache.engine.tiers
    before, number, budget = process_itself.memory_info().rss, 0, sum(tier.max_bytes for tier in held)
    say("ready")

    def put() -> None:
        nonlocal number
        cache.set(f"key-of-some-length:{number}", {"body": os.urandom(value_bytes // 2).hex()}, 3_600)
        if number % 40 == 0:  # so that hot has something too
            for _ in range(2):
                cache.get(f"key-of-some-length:{number}")
        number += 1

    while not all(tier.by_bytes for tier in held):
        put()
    fill, at = number, []
    for _ in range(turnovers + 1):
        entries = sum(len(tier.entries) for tier in held)
        grown = process_itself.memory_info().rss - before
        at.append([grown / budget - 1, (grown - sum(tier.bytes for tier in held)) / entries, entries])
        for _ in range(fill):
            put()
    say(at)


def memory(effort: Effort) -> Iterator[Row]:
    budget = effort.of(64, 4) * MIB
    for value_bytes in SIZES:
        yield grown(
            f"one tier of {budget // MIB} MiB, values of {value_bytes:,} B",
            [{"MAX_BYTES": budget}],
            value_bytes,
            TURNOVERS,
        )
    if effort.is_quick:
        return
    for mib in (80, 96, 112):
        yield grown(f"one tier of {mib} MiB, values of 200 B", [{"MAX_BYTES": mib * MIB}], 200, TURNOVERS)
    tiers = {name: {"MAX_BYTES": 2 * tier.max_bytes} for name, tier in DEFAULTS.items()}
    whole = sum(2 * tier.max_bytes for tier in DEFAULTS.values()) // MIB
    yield grown(f"hot, warm and cold of twice the default, {whole} MiB, values of 1,000 B", tiers, 1_000, 3)


def grown(what: str, tiers: Any, value_bytes: int, turnovers: int) -> Row:
    with process(grow, tiers, value_bytes, turnovers) as other:
        at = other.hear()
    (first, first_each, _), (last, last_each, entries) = at[0], at[-1]
    words = (
        f"{first:+.1%} when filled, {last:+.1%} after {turnovers} turnovers "
        f"({first_each:+.0f}, {last_each:+.0f} B for each of {entries:,})"
    )
    worst = max(abs(share) for share, _, _ in at)
    return Row(f"growth against the budget, {what}", words, "within 15 %", worst <= 0.15)


# Tiers


def share(effort: Effort) -> Iterator[Row]:
    """Room for 100 and for 1,000 of 100,000 keys, as in the research that the rule of promotion comes from."""
    requests = zipf(100_000, effort.of(300_000, 5_000))
    hot, warm, cost_us = hits_of(requests)
    words = f"{hot:.1%}, with warm {hot + warm:.1%}; a get {cost_us:.2f} µs, misses included"
    yield Row("share of requests answered by hot, Zipf(1.0), 1:10", words, ">= 38 %", hot >= 0.38)
    with promoting_at_once():
        hot, warm, cost_us = hits_of(requests, enters=0)
    words = f"{hot:.1%}, with warm {hot + warm:.1%}; a get {cost_us:.2f} µs"
    yield Row("the same, were everything that is stored or hit taken up at once", words)


def hits_of(requests: list[int], enters: int = 1) -> tuple[float, float, float]:
    text = "x" * 1_000
    probe = new_cache()
    probe.set("k000000", text)
    each = max(tier.bytes for tier in probe.engine.tiers)
    cache, spent = (
        new_cache(TIERS=[{"MAX_BYTES": 100 * each}, {"MAX_BYTES": 1_000 * each}, {"MAX_BYTES": 0}]),
        0.0,
    )
    cache.engine.enters = enters
    for key in requests:
        began = time.thread_time()
        found = cache.get(f"k{key:06}")
        spent += time.thread_time() - began
        if found is None:
            cache.set(f"k{key:06}", text)
    hot, warm = (reading(tier.hits) / len(requests) for tier in cache.engine.tiers[:2])
    return hot, warm, spent / len(requests) * 1e6


@contextmanager
def promoting_at_once() -> Iterator[None]:
    rule = engine.PROMOTING_HIT
    engine.PROMOTING_HIT = 1
    try:
        yield
    finally:
        engine.PROMOTING_HIT = rule


# Pages


def bodies(count: int) -> list[str]:
    """Return pages like those of the sample site, whose texts are the standard library's docstrings, in a random order."""
    from sampleproject.portal.seeding import library

    entries = library.entries()
    random.Random(2).shuffle(entries)
    chance = random.Random(3)
    found = []
    for number in range(count):
        entry = entries[number % len(entries)]
        links = "".join(
            f'<li class="item"><a href="/pages/{html.escape(each.name)}/">{html.escape(each.summary)}</a></li>\n'
            for each in chance.choices(entries, k=40)
        )
        found.append(
            f"<!doctype html><html lang=en><head><title>{html.escape(entry.name)}</title></head><body><main>"
            f"<h1>{html.escape(entry.name)} {number}</h1><p>{html.escape(entry.summary)}</p>"
            f"<pre>{html.escape(entry.body)}</pre></main><ul>{links}</ul></body></html>"
        )
    return found


def pages(effort: Effort) -> Iterator[Row]:
    """All pages are asked for once, and then by how much they are wanted."""
    texts, cache = bodies(effort.of(5_000, 200)), new_cache()
    requests, misses = zipf(len(texts), effort.of(200_000, 2_000)), cache.engine.counts.misses
    for page in random.Random(4).sample(range(len(texts)), len(texts)):
        cache.get_or_set(f"page{page}", lambda page=page: texts[page], None)
    before, began = reading(misses), time.thread_time()
    for page in requests:
        cache.get_or_set(f"page{page}", lambda page=page: texts[page], None)
    each_us = (time.thread_time() - began) / len(requests) * 1e6
    rate = 1 - (reading(misses) - before) / len(requests)
    tiers = cache.engine.tiers
    held, budget = (sum(getattr(tier, name) for tier in tiers) / MIB for name in ("bytes", "max_bytes"))
    of_tiers = ", ".join(f"{tier.name} {reading(tier.hits) / len(requests):.0%}" for tier in tiers)
    lengths = sorted(len(text) for text in texts)
    words = f"{rate:.2%} ({of_tiers}); {each_us:.1f} µs each"
    yield Row(
        f"hits, {len(texts):,} pages, {sum(lengths) / MIB:.0f} MiB, median {median(lengths) / 1024:.0f} KiB, Zipf(1.0)",
        words,
        ">= 99 %",
        rate >= 0.99,
    )
    words = f"{held:.0f} MiB for {sum(len(tier.entries) for tier in tiers):,} pages, cold compressed"
    yield Row(f"what they take of the default {budget:.0f} MiB", words)


MEASUREMENTS = {"memory": memory, "share": share, "pages": pages}
