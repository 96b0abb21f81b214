"""What the caches count is what the store gets: all of it, once, whoever counted."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator

import pytest
from django.core.cache import caches
from django.test import override_settings

from perfsuite.caching import TieredCache, stats
from perfsuite.caching.engine import SAMPLE_EVERY, Engine, sample_reads
from perfsuite.metrics.recorder import recorder
from tests.caching.caches import new_cache
from tests.recorded import Recorded
from tests.valkey import Valkey

pytestmark = pytest.mark.usefixtures("no_caches")

BACKEND = "perfsuite.caching.TieredCache"
QUIET = {"CHANNEL": "none"}


@pytest.fixture
def cache() -> Iterator[TieredCache]:
    """A cache known as ``fast``, and under its location as ``again``."""
    place = f"test-{os.urandom(6).hex()}"
    entry = {"BACKEND": BACKEND, "LOCATION": place, "OPTIONS": QUIET}
    with override_settings(
        CACHES={"default": {**entry, "LOCATION": place + "x"}, "fast": entry, "again": entry}
    ):
        made = caches["fast"]
        assert isinstance(made, TieredCache)
        yield made


NAME = "again, fast"


def test_reads_are_recorded_by_who_answered_them(cache: TieredCache, recorded: Recorded) -> None:
    cache.set("page:1", "body", tier="cold")
    cache.set("page:2", None)
    assert cache.get("page:3") is None  # a miss
    for _ in range(4):
        cache.get("page:2")
    cache.get("page:1")

    reads = {
        answer: recorded.sum("cache.reads", NAME, answer) for _, answer in recorded.labels("cache.reads")
    }
    assert reads == {"miss": 1, "warm": 2, "hot": 2, "cold": 1}
    assert recorded.sum("cache.sets", NAME) == 2
    assert recorded.sum("cache.promotions", NAME, "warm") == 1


def test_an_add_is_a_set_where_it_stores_something(cache: TieredCache, recorded: Recorded) -> None:
    assert cache.add("page:1", "body")
    assert not cache.add("page:1", "another")
    assert recorded.sum("cache.sets", NAME) == 1


def test_what_was_recorded_is_not_recorded_again(cache: TieredCache, recorded: Recorded) -> None:
    cache.get("nothing")
    assert recorded.sum("cache.reads", NAME, "miss") == 1
    assert recorded.sum("cache.reads", NAME, "miss") == 1
    cache.get("nothing")
    assert recorded.sum("cache.reads", NAME, "miss") == 2


def test_a_cache_that_is_left_alone_is_not_recorded(cache: TieredCache, recorded: Recorded) -> None:
    cache.set("page:1", "x")
    assert recorded.count("cache.bytes", NAME, "warm") == 1
    assert recorded.count("cache.bytes", NAME, "warm") == 1


def test_each_way_out_of_a_tier_is_told(recorded: Recorded) -> None:
    small = new_cache(TIERS=[{"MAX_BYTES": 2_000}])
    name = small.engine.name
    for number in range(5):
        small.set(f"k{number}", "x" * 200)
    small.set("large", "x" * 3_000)
    small.set("short", "x", timeout=1)
    held = small.engine.tiers[0].entries[small.make_key("short")]
    held.leaves = held.expires = 1.0
    assert small.get("short") is None

    assert recorded.sum("cache.evictions", name, "warm", "bytes") == small.engine.tiers[0].by_bytes > 0
    assert recorded.sum("cache.evictions", name, "warm", "expiry") == 1
    assert recorded.sum("cache.rejected", name, "warm") == 1
    assert recorded.sum("cache.bytes", name, "warm") == small.engine.tiers[0].bytes <= 2_000
    assert recorded.sum("cache.budget", name, "warm") == 2_000
    assert recorded.sum("cache.entries", name, "warm") == len(small.engine.tiers[0].entries)


def test_a_stale_answer_is_no_miss(recorded: Recorded) -> None:
    cache = new_cache()
    cache.get_or_set("page", lambda: "old", timeout=100, stale_for=100)
    cache.engine.tiers[0].pop(cache.make_key("page"))
    held = cache.engine.held(cache.make_key("page"))
    assert held is not None
    held.leaves = held.expires = held.created - 1.0
    held.stale_for = 1e6
    done = threading.Event()

    def computed() -> str:
        done.set()
        return "new"

    assert cache.get_or_set("page", computed, timeout=100, stale_for=100) == "old"
    assert done.wait(20)
    name = cache.engine.name
    assert recorded.sum("cache.reads", name, "stale") == 1
    assert recorded.sum("cache.reads", name, "miss") == 1  # the first one


def test_a_read_that_finds_what_another_flight_brought_is_one_read(cache: TieredCache) -> None:
    """The leader looks once more before it computes, and that is no second read."""
    full = cache.make_key("page")
    cache.set("page", "there")
    before = cache.statistics()["reads"]
    assert cache.engine.fresh(full, 0.0) is not None
    assert cache.statistics()["reads"] == before
    cache.engine.held(full).expires = 0.0  # type: ignore[union-attr]
    assert cache.engine.fresh(full, 1.0) is None


def test_eight_threads_are_counted_exactly(cache: TieredCache, recorded: Recorded) -> None:
    cache.set("page:1", "body")
    begin = threading.Barrier(8)

    def read() -> None:
        begin.wait(20)
        mine = caches["fast"]
        for number in range(2_000):
            mine.get("page:1")
            if not number % 4:
                mine.get("nothing")

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorded.sum("cache.reads", NAME, "miss") == 4_000
    assert recorded.sum("cache.reads") == 20_000


def test_what_is_flushed_while_threads_read_adds_up(cache: TieredCache, recorded: Recorded) -> None:
    cache.set("page:1", "body")
    ended = threading.Event()

    def read() -> None:
        for _ in range(5_000):
            caches["fast"].get("page:1")
            caches["fast"].get("nothing")
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    while not ended.is_set():
        recorded.sum("cache.reads")
    thread.join()
    assert recorded.sum("cache.reads") == 10_000
    assert recorded.sum("cache.reads", NAME, "miss") == 5_000


def test_tasks_are_counted_exactly(cache: TieredCache, recorded: Recorded) -> None:
    async def read(number: int) -> None:
        await cache.aset(f"page:{number}", number)
        assert await cache.aget(f"page:{number}") == number
        assert await cache.aget("nothing") is None
        await cache.aget_or_set(f"made:{number}", lambda: number)

    async def all_of_them() -> None:
        await asyncio.gather(*(read(number) for number in range(50)))

    asyncio.run(all_of_them())
    assert recorded.sum("cache.reads", NAME, "warm") == 50
    assert recorded.sum("cache.reads", NAME, "miss") == 100
    assert recorded.sum("cache.sets", NAME) == 100


def test_one_read_in_so_many_is_a_sample_with_its_prefix_and_its_time(
    cache: TieredCache, recorded: Recorded
) -> None:
    cache.set("page:1", "body")
    for _ in range(SAMPLE_EVERY * 3):
        cache.get("page:1")
    for _ in range(SAMPLE_EVERY * 2):
        cache.get_or_set("page:1", lambda: "never")
    for _ in range(SAMPLE_EVERY):
        cache.get("alice@example.org")

    assert recorded.sum("cache.prefixes", NAME, "page", "hit") == 5
    assert recorded.sum("cache.prefixes", NAME, "<other>", "miss") == 1
    assert recorded.count("cache.time", NAME, "get") == 6
    assert recorded.sum("cache.time", NAME, "get") > 0
    assert recorded.sum("cache.reads") == SAMPLE_EVERY * 6


def test_samples_of_asynchronous_reads_are_taken_too(cache: TieredCache, recorded: Recorded) -> None:
    async def read() -> None:
        for _ in range(SAMPLE_EVERY):
            await cache.aget("page:1")

    asyncio.run(read())
    assert recorded.sum("cache.prefixes", NAME, "page", "miss") == 1


def test_a_prefix_of_the_settings_is_no_prefix_of_the_keys(recorded: Recorded) -> None:
    cache = new_cache(params={"KEY_PREFIX": "acme"})
    for _ in range(SAMPLE_EVERY):
        cache.get("page:1")
    assert {labels[1] for labels in recorded.labels("cache.prefixes")} == {"page"}


def test_nothing_is_sampled_where_monitoring_is_off(cache: TieredCache, recorded: Recorded) -> None:
    with override_settings(PERFSUITE={"METRICS": {"ENABLED": False}}):
        for _ in range(SAMPLE_EVERY):
            cache.get("page:1")
        assert not cache.engine.samples
    for _ in range(SAMPLE_EVERY):
        cache.get("page:1")
    assert len(cache.engine.samples) == 1


def test_statistics_say_what_the_cache_did_and_how_it_stands(cache: TieredCache) -> None:
    assert (cache.statistics()["hit_rate"], cache.statistics()["distribution"]) == (None, {})
    cache.set("page:1", "body")
    for _ in range(3):
        cache.get("page:1")
    cache.get("nothing")
    found = cache.statistics()
    assert (found["name"], found["reads"], found["hits"], found["misses"]) == (NAME, 4, 3, 1)
    assert found["hit_rate"] == 75
    assert found["distribution"] == {"stale": 0, "miss": 25, "hot": 25, "warm": 50, "cold": 0}
    assert found["breaker"] is None
    hot, warm, cold = found["tiers"]
    assert (hot["name"], hot["entries"], hot["hits"]) == ("hot", 1, 1)
    assert hot["bytes"] == cache.engine.tiers[0].bytes > 0
    assert (warm["promotions"], warm["entries"], warm["budget"]) == (1, 0, 10 << 20)
    assert cold["evictions"] == {"bytes": 0, "expiry": 0}


def test_a_cache_outside_the_settings_goes_by_its_own_name() -> None:
    cache = new_cache()
    assert cache.statistics()["name"] == cache.engine.name


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_leaves_its_parents_reads_to_the_parent(cache: TieredCache, recorded: Recorded) -> None:
    for _ in range(SAMPLE_EVERY):
        cache.get("nothing")
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        recorder.take()
        cache.get("nothing")
        taken = recorder.take()
        answer = {
            key: value.sum for key, value in taken.items() if key[0] in ("cache.reads", "cache.prefixes")
        }
        os.write(sending, repr(answer).encode())
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as told:
        assert told.read() == repr({("cache.reads", (NAME, "miss")): 1.0})
    os.waitpid(child, 0)
    assert recorded.sum("cache.reads", NAME, "miss") == SAMPLE_EVERY
    assert recorded.sum("cache.prefixes", NAME, "<other>", "miss") == 1


def test_a_cache_that_cannot_be_read_breaks_no_flush(
    cache: TieredCache, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(engine: Engine) -> None:
        raise RuntimeError("broken")

    cache.get("nothing")
    with monkeypatch.context() as patch:
        patch.setattr(stats, "counted", broken)
        assert recorded.sum("self.failures", "recorder") >= 1
    assert recorded.sum("cache.reads", NAME, "miss") == 1


def test_sampling_is_switched_for_the_caches_that_are_there(cache: TieredCache) -> None:
    sample_reads(False)
    assert not any(next(cache.engine.sampling) for _ in range(SAMPLE_EVERY))
    sample_reads(True)
    assert [next(cache.engine.sampling) for _ in range(SAMPLE_EVERY)].count(True) == 1


def test_a_shared_tier_is_counted_and_its_server_told_of_when_it_goes(
    own_server: Valkey, recorded: Recorded
) -> None:
    """The last test of the module: it stops the server."""
    caches_ = {
        "default": {
            "BACKEND": BACKEND,
            "LOCATION": "far",
            "OPTIONS": {"TIERS": {"cold": {"ALIAS": "shared"}}},
        },
        "shared": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": own_server.url},
    }
    with override_settings(CACHES=caches_):
        cache = caches["default"]
        assert isinstance(cache, TieredCache)
        engine = cache.engine
        cache.set("page:1", "body")
        engine.forget()
        assert cache.has_key("page:1")  # no read
        engine.forget()
        assert cache.get("page:1") == "body"  # from the server
        engine.forget()
        assert cache.get_many(["page:1", "page:2"]) == {"page:1": "body"}
        engine.forget()
        assert asyncio.run(cache.aget("page:1")) == "body"
        assert recorded.sum("cache.reads", "default", "cold") == 3
        assert recorded.sum("cache.reads", "default", "miss") == 1
        assert recorded.sum("cache.breaker_open", "default") == 0
        assert 0 < recorded.sum("cache.stream_lag", "default") < 60e6
        (*_, last) = cache.statistics()["tiers"]
        assert last == {"name": "cold", "hits": 3, "alias": "shared"}
        assert cache.statistics()["breaker"] == {"state": "closed", "since": None, "opened": 0, "failures": 0}

        own_server.kill()
        for number in range(engine.options.failures + 5):
            cache.get(f"page:{number + 10}")
        breaker = cache.statistics()["breaker"]
        assert (breaker["state"], breaker["opened"]) == ("open", 1)
        assert breaker["failures"] >= engine.options.failures
        assert recorded.sum("cache.events", "default", "breaker opened") == 1
        assert recorded.sum("cache.events", "default", "server failure") == engine.shared.breaker.failed
        assert recorded.sum("cache.breaker_open", "default") >= 1
