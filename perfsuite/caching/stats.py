"""What the caches of this process have counted, as figures for the store and for the host's own code.

Reads count by ``next`` where they happen; here the counters are read with each flush, and what they have grown by is recorded.
The surprising rule: a counter is never set back, so a child process leaves its parent what the parent had not yet recorded.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed

from perfsuite.caching import kinds
from perfsuite.caching.engine import Engine, engines, reading, sample_reads
from perfsuite.caching.options import read
from perfsuite.caching.prefixes import prefix_of
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.recorder import Observation, recorder

Labels = tuple[str, ...]
# A kind and its labels behind the name of the cache.
Key = tuple[str, Labels]

MISS, STALE = "miss", "stale"
# What each counter of an engine stood at when it was last recorded.
_recorded: dict[Engine, dict[Key, int]] = {}


def follow_settings() -> None:
    """Have the caches recorded with each flush, and reads sampled, where monitoring is on. Idempotent."""
    setting_changed.connect(_on_setting_changed, dispatch_uid="perfsuite.caching.stats")
    _on_setting_changed(setting="PERFSUITE")


def _on_setting_changed(*, setting: str, **kwargs: object) -> None:
    if setting == "PERFSUITE":
        is_on = MetricsSettings.get().enabled
        sample_reads(is_on)
        if is_on:
            recorder.before_take(observations)


def observations() -> list[Observation]:
    """Return what all caches of this process have counted since the last call; nothing of one that was left alone."""
    found: list[Observation] = []
    for engine in engines():
        name = name_of(engine)
        grown = [(kind, (name, *labels), growth) for (kind, labels), growth in _grown(engine).items()]
        if grown or _is_open(engine):
            found += [*grown, *_standing(engine, name), *_of_samples(engine, name)]
    return found


def _grown(engine: Engine) -> dict[Key, int]:
    before = _recorded.setdefault(engine, {})
    found: dict[Key, int] = {}
    for key, now in counted(engine).items():
        growth = now - before.get(key, 0)
        if growth > 0:  # what was read an instant too early is made up for the next time
            found[key], before[key] = growth, now
    return found


def counted(engine: Engine) -> dict[Key, int]:
    """Return all counters of a cache by the series that they are recorded in."""
    counts, shared = engine.counts, engine.shared
    # A read that is answered stale is counted as a miss first; so stale is read first, and is never the larger of the two.
    stale = reading(counts.stale)
    found: dict[Key, int] = {
        (kinds.READS, (STALE,)): stale,
        (kinds.READS, (MISS,)): reading(counts.misses) - stale,
        (kinds.SETS, ()): reading(counts.sets),
        (kinds.EVENTS, ("refused",)): reading(counts.refused),
        (kinds.EVENTS, ("coalesced",)): reading(counts.coalesced),
        (kinds.EVENTS, ("damaged",)): reading(counts.damaged),
    }
    for tier in engine.tiers:
        found[kinds.READS, (tier.name,)] = reading(tier.hits)
        found[kinds.PROMOTIONS, (tier.name,)] = tier.promotions
        found[kinds.EVICTIONS, (tier.name, "bytes")] = tier.by_bytes
        found[kinds.EVICTIONS, (tier.name, "expiry")] = tier.by_expiry
        found[kinds.REJECTED, (tier.name,)] = tier.rejected
    if shared is not None:
        found[kinds.READS, (shared.name,)] = reading(shared.hits)
        found[kinds.EVENTS, ("server failure",)] = shared.breaker.failed
        found[kinds.EVENTS, ("breaker opened",)] = shared.breaker.opened
    return found


def _standing(engine: Engine, name: str) -> Iterator[Observation]:
    """Yield how a cache stands now."""
    for tier in engine.tiers:
        place = (name, tier.name)
        yield kinds.BYTES, place, tier.bytes
        yield kinds.BUDGET, place, tier.max_bytes
        yield kinds.ENTRIES, place, len(tier.entries)
    if engine.shared is not None:
        yield kinds.BREAKER_OPEN, (name,), int(_is_open(engine))
        if engine.shared.reader.synced_at:
            yield kinds.STREAM_LAG, (name,), max(0.0, time.time() - engine.shared.reader.synced_at) * 1e6


def _is_open(engine: Engine) -> bool:
    return engine.shared is not None and bool(engine.shared.breaker.is_open)


def _of_samples(engine: Engine, name: str) -> Iterator[Observation]:
    seconds: list[float] = []
    answers: Counter[Labels] = Counter()
    own = engine.name.partition("|")[2]
    while engine.samples:
        full, was_hit, took_s = engine.samples.popleft()
        answers[name, prefix_of(full.removeprefix(own)), "hit" if was_hit else MISS] += 1
        if took_s is not None:
            seconds.append(took_s * 1e6)
    for labels, times in answers.items():
        yield kinds.PREFIXES, labels, times
    if seconds:
        yield kinds.TIME, (name, "get"), seconds


def name_of(engine: Engine) -> str:
    """Return the aliases in ``CACHES`` under which a cache is known, else the name that its data have."""
    names = [
        alias
        for alias, given in settings.CACHES.items()
        if _engine_name(given) == engine.name and _is_of(given, engine)
    ]
    return ", ".join(sorted(names)) or engine.name


def _engine_name(given: dict[str, Any]) -> str:
    location, prefix = given.get("LOCATION") or "default", given.get("KEY_PREFIX", "")
    return f"{location}|{prefix}" if prefix else str(location)


def _is_of(given: dict[str, Any], engine: Engine) -> bool:
    try:
        return read(given.get("OPTIONS", {})) == engine.options
    except Exception:  # noqa: BLE001 - another backend's options are of another kind
        return False


def statistics(engine: Engine) -> dict[str, Any]:
    """Return what ``TieredCache.statistics`` says."""
    counts = counted(engine)
    reads = {labels[0]: number for (kind, labels), number in counts.items() if kind == kinds.READS}
    events = {labels[0]: number for (kind, labels), number in counts.items() if kind == kinds.EVENTS}
    whole = sum(reads.values())
    return {
        "name": name_of(engine),
        "reads": whole,
        "hits": whole - reads[MISS],
        "misses": reads[MISS],
        "stale": reads[STALE],
        "hit_rate": round(100 * (whole - reads[MISS]) / whole, 3) if whole else None,
        "distribution": {answer: round(100 * number / whole, 3) for answer, number in reads.items() if whole},
        "sets": counts[kinds.SETS, ()],
        "tiers": _tiers(engine),
        "refused": events["refused"],
        "coalesced": events["coalesced"],
        "damaged": events["damaged"],
        "breaker": _breaker(engine),
    }


def _tiers(engine: Engine) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": tier.name,
            "hits": reading(tier.hits),
            "bytes": tier.bytes,
            "budget": tier.max_bytes,
            "entries": len(tier.entries),
            "promotions": tier.promotions,
            "evictions": {"bytes": tier.by_bytes, "expiry": tier.by_expiry},
            "rejected": tier.rejected,
        }
        for tier in engine.tiers
    ]
    if engine.shared is not None:
        found.append(
            {
                "name": engine.shared.name,
                "hits": reading(engine.shared.hits),
                "alias": engine.shared.redis.alias,
            }
        )
    return found


def _breaker(engine: Engine) -> dict[str, Any] | None:
    if engine.shared is None:
        return None
    breaker = engine.shared.breaker
    return {
        "state": "open" if breaker.is_open else "closed",
        "since": breaker.since if breaker.is_open else None,
        "opened": breaker.opened,
        "failures": breaker.failed,
    }


def _after_fork() -> None:
    """Leave what was counted so far to the parent."""
    for engine in engines():
        engine.samples.clear()
        _recorded[engine] = counted(engine)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
