"""How long a hit, a miss and a set take in the memory of a process, against Django's LocMemCache and django-redis."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

from cache_common import (
    TEXT,
    VALUE,
    Effort,
    Row,
    at_least,
    hear,
    process,
    ratio,
    ratio_of_threads,
    say,
    timed,
)
from common import median
from django.core.cache import caches

KEYS = [f"key{number}" for number in range(200)]
ALONE, BESIDE = "alone on its host", "beside a second process"


def stand_by() -> None:
    """Be attached to the channel of the host, and do nothing."""
    caches["default"].get("k")
    say("ready")
    hear()


def hits(effort: Effort) -> Iterator[Row]:
    fill()
    alone(caches["default"])
    redis = caches["redis"]
    tagged, plain, text = (getter(caches["default"], key) for key in ("tagged", "plain", "text"))
    theirs, their_text = getter(caches["locmem"], "plain"), getter(caches["locmem"], "text")
    calls = effort.of(3_000, 100)

    def all_three(where: str) -> Iterator[Row]:
        yield at_least(f"hit, 2 tags, {where}", 1.5, ratio(tagged, theirs, effort.rounds, calls))
        yield at_least(f"hit, no tags, {where}", 1.7, ratio(plain, theirs, effort.rounds, calls))
        yield at_least(
            f"hit, text of 1 KB, no tags, {where}", 2.5, ratio(text, their_text, effort.rounds, calls)
        )

    yield from all_three(ALONE)
    with process(stand_by):
        yield from all_three(BESIDE)
    found = ratio_of_threads(tagged, theirs, effort.rounds, effort.of(20_000, 200), threads=2)
    yield at_least("hit, 2 tags, 2 threads at once", 2.2, found)
    found = ratio(tagged, getter(redis, "plain"), effort.rounds, effort.of(1_000, 50))
    yield at_least("hit, 2 tags, against django-redis", 20, found, "django-redis")


def alone(cache: Any) -> None:
    """Wait until this process has noticed that it is alone on its host; it looks once a second."""
    while not cache.engine.channel.is_alone():
        cache.engine.look_after_channel(time.time())
        time.sleep(0.05)


def fill() -> None:
    for alias, options in (("default", {"tier": "hot"}), ("locmem", {}), ("redis", {})):
        caches[alias].set("plain", VALUE, None, **options)
        caches[alias].set("text", TEXT, None, **options)
    caches["default"].set("tagged", VALUE, None, tags=["one", "two"], tier="hot")


def getter(cache: Any, key: str) -> Callable[[], Any]:
    return lambda: cache.get(key)


def setter(cache: Any) -> Callable[[], None]:
    turn = itertools.cycle(KEYS)
    return lambda: cache.set(next(turn), VALUE)


def sets(effort: Effort) -> Iterator[Row]:
    ours, theirs = setter(caches["default"]), setter(caches["locmem"])
    calls = effort.of(3_000, 100)
    alone(caches["default"])
    yield at_least(f"set, {ALONE}", 1.1, ratio(ours, theirs, effort.rounds, calls))
    with process(stand_by):
        yield at_least(f"set, {BESIDE}", 1.1, ratio(ours, theirs, effort.rounds, calls))


def misses(effort: Effort) -> Iterator[Row]:
    """A cache that has seen no tag, and one that has, where a miss remembers what was invalidated by then."""
    theirs, calls = getter(caches["locmem"], "none"), effort.of(3_000, 100)
    without, ours = caches["unchanneled"], caches["default"]
    ours.set("tagged", VALUE, tags=["one", "two"])
    yield at_least("miss, no tag in use", 5, ratio(getter(without, "none"), theirs, effort.rounds, calls))
    yield at_least("miss, tags in use", 5, ratio(getter(ours, "none"), theirs, effort.rounds, calls))


def channel(effort: Effort) -> Iterator[Row]:
    """What looking at the channel of the host adds to a hit: the same cache with it and without."""
    ours, without = caches["default"], caches["unchanneled"]
    for cache in (ours, without):
        cache.set("text", TEXT, None, tier="hot")
    alone(ours)
    yield added(f"what the host channel adds to a hit, {ALONE}", effort)
    with process(stand_by):
        yield added(f"what the host channel adds to a hit, {BESIDE}", effort)


def added(what: str, effort: Effort) -> Row:
    calls, found = effort.of(3_000, 100), []
    get, get_without = getter(caches["default"], "text"), getter(caches["unchanneled"], "text")
    for number in range(effort.rounds * 3):
        order = (get, get_without) if number % 2 else (get_without, get)
        took = {call: timed(call, calls)[0] for call in order}
        found.append((took[get] - took[get_without]) / calls * 1e6)
    return Row(what, f"{median(found):+.3f} µs", "<= 0.3 µs", median(found) <= 0.3)


MEASUREMENTS = {"hits": hits, "sets": sets, "misses": misses, "channel": channel}
