"""What the caching app records of each cache, named as in ``CACHES``. Of a ``TieredCache`` under several aliases, all of them."""

from __future__ import annotations

from perfsuite.metrics.kinds import Kind, declare


def _counted(name: str, labels: tuple[str, ...], cap: int, unit: str = "count") -> str:
    return declare(Kind(name, unit, labels, cap=cap, percentiles=False)).name


# How the reads were answered: by a tier (hot, warm, cold), stale, or not (miss). Of other caches than TieredCache: found or
# absent, so that the answers alone tell how the tiers share the reads.
READS = _counted("cache.reads", ("cache", "answer"), 200)
SETS = _counted("cache.sets", ("cache",), 50)
DELETES = _counted("cache.deletes", ("cache",), 50)
PROMOTIONS = _counted("cache.promotions", ("cache", "tier"), 100)
EVICTIONS = _counted("cache.evictions", ("cache", "tier", "reason"), 200)
REJECTED = _counted("cache.rejected", ("cache", "tier"), 100)
# refused, coalesced, damaged, breaker opened, server failure, failed
EVENTS = _counted("cache.events", ("cache", "event"), 300)
# As they stand at a flush, in one process.
BYTES = _counted("cache.bytes", ("cache", "tier"), 100, "bytes")
BUDGET = _counted("cache.budget", ("cache", "tier"), 100, "bytes")
ENTRIES = _counted("cache.entries", ("cache", "tier"), 100)
BREAKER_OPEN = _counted("cache.breaker_open", ("cache",), 50)
STREAM_LAG = _counted("cache.stream_lag", ("cache",), 50, "us")
# Reads that were looked at, one in SAMPLE_EVERY, by the word that their keys begin with.
PREFIXES = _counted("cache.prefixes", ("cache", "prefix", "answer"), 200)
# Of a TieredCache the same reads; of other caches, every call.
TIME = declare(Kind("cache.time", "us", ("cache", "operation"), cap=200)).name
