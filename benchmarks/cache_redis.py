"""What the tier in Redis costs: reading and storing through it, invalidating a tag that much carries, being seen elsewhere."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from typing import Any

import redis
from cache_common import VALUE, Effort, Row, hear, process, ratio, say
from common import median, percentile
from django.core.cache import caches

BATCH = 1_000
# What caches that keep a set of keys for each tag do.
UNLINK_MEMBERS = """
local keys = redis.call('SMEMBERS', KEYS[1])
for i = 1, #keys, 5000 do redis.call('UNLINK', unpack(keys, i, math.min(i + 4999, #keys))) end
return redis.call('DEL', KEYS[1])
"""


def through(effort: Effort) -> Iterator[Row]:
    """A miss in memory that is a hit in Redis, beside the least that can be done; and a set beside django-redis's."""
    ours, theirs = caches["behind"], caches["redis"]
    ours.set("key", VALUE, None)
    theirs.set("key", VALUE, None)
    raw, full, calls = theirs.client.get_client(), ours.make_key("key"), effort.of(500, 30)
    raw.set("raw", pickle.dumps(VALUE, 5))

    def miss_in_memory() -> Any:
        ours.engine.drop(full)
        return ours.get("key")

    found = ratio(lambda: pickle.loads(raw.get("raw")), miss_in_memory, effort.rounds, calls)
    yield Row("miss in memory, hit in Redis: times a raw GET and loads", str(found), "goal: <= 1.25x")
    found = ratio(lambda: theirs.get("key"), miss_in_memory, effort.rounds, calls)
    yield Row("the same: times django-redis's get", str(found))
    found = ratio(lambda: theirs.set("key", VALUE), lambda: ours.set("key", VALUE), effort.rounds, calls)
    yield Row("set through to Redis: times django-redis's set", str(found), "goal: <= 1.3x")


def server() -> dict[str, Any]:
    return dict(caches["redis"].client.get_client().connection_pool.connection_kwargs)


# Invalidating


def ping(host: str, port: int) -> None:
    """Be another client of the server: ask again and again, and say how long the longest answer took."""
    client = redis.Redis(host, port)
    client.ping()
    say("ready")
    while (seconds := hear()) is not None:
        worst, until = 0.0, time.monotonic() + seconds
        say("begun")
        while time.monotonic() < until:
            began = time.perf_counter()
            client.ping()
            worst = max(worst, time.perf_counter() - began)
        say(worst * 1e3)


def invalidating(effort: Effort) -> Iterator[Row]:
    count, where = effort.of(100_000, 2_000), server()
    client = caches["redis"].client.get_client()
    with process(ping, where["host"], where["port"]) as other:

        def stalled(work: Callable[[], None], seconds: float) -> float:
            other.say(seconds)
            other.hear()
            work()
            return float(other.hear())

        yield from tag(count, stalled, effort)
        client.flushall()
        yield from set_of_keys(count, stalled, client)
        client.flushall()
        yield from delete_pattern(count, stalled)
    client.flushall()


Stalled = Callable[[Callable[[], None], float], float]


def tag(count: int, stalled: Stalled, effort: Effort) -> Iterator[Row]:
    """The control does the same with a command that the server has hardly to do with, on the same two cores."""
    ours, times, took = caches["behind"], effort.of(200, 20), []
    client = ours.engine.shared.redis.client
    for number in range(count):
        ours.set(f"many{number}", VALUE, None, tags=["everything"])

    def invalidate() -> None:
        for _ in range(times):
            began = time.perf_counter()
            ours.invalidate_tags("everything")
            took.append((time.perf_counter() - began) * 1e3)
            time.sleep(0.005)

    def read() -> None:
        for _ in range(times):
            client.get("nothing")
            time.sleep(0.005)

    control, worst = stalled(read, effort.of(3, 1)), stalled(invalidate, effort.of(3, 1))
    words = f"{median(took):.2f} ms, p95 {percentile(took, 0.95):.2f}"
    yield Row(f"invalidate a tag that {count:,} entries in Redis carry", words, "< 1 ms", median(took) < 1)
    words = f"{worst:.2f} ms (while as much is read: {control:.2f})"
    held = worst <= 2
    yield Row("the longest that another client waited meanwhile", words, "<= 2 ms", held)
    gone = ours.get(f"many{count - 1}") is None and ours.get("many0") is None
    yield Row("those entries afterwards", "all misses" if gone else "still there", "misses", gone)


def set_of_keys(count: int, stalled: Stalled, client: Any) -> Iterator[Row]:
    data = pickle.dumps(VALUE, 5)
    for start in range(0, count, BATCH):
        with client.pipeline(transaction=False) as pipe:
            for number in range(start, start + BATCH):
                pipe.set(f"many{number}", data)
                pipe.sadd("everything", f"many{number}")
            pipe.execute()
    yield from one(
        "the same by a set of keys for each tag",
        lambda: client.eval(UNLINK_MEMBERS, 1, "everything"),
        stalled,
    )


def delete_pattern(count: int, stalled: Stalled) -> Iterator[Row]:
    theirs = caches["redis"]
    for start in range(0, count, BATCH):
        theirs.set_many({f"many{number}": VALUE for number in range(start, start + BATCH)}, None)
    yield from one(
        "the same by django-redis's delete_pattern", lambda: theirs.delete_pattern("many*"), stalled
    )


def one(what: str, work: Callable[[], Any], stalled: Stalled) -> Iterator[Row]:
    took: list[float] = []

    def timed() -> None:
        began = time.perf_counter()
        work()
        took.append((time.perf_counter() - began) * 1e3)

    worst = stalled(timed, 5)
    yield Row(what, f"{took[0]:.0f} ms, another client waited {worst:.0f} ms")


# Being seen elsewhere


def watch() -> None:
    """Hold a copy in memory; say when it is seen to be outdated, by the clock that all processes of a host share."""
    ours = caches["behind"]
    ours.set("watched", 1.5, None, tags=["watched"])
    say("ready")
    while hear() is not None:
        ours.set("watched", 1.5, None, tags=["watched"])
        for _ in range(3):
            ours.get("watched")
        say("held")
        while ours.get("watched") is not None:
            time.sleep(0.000_05)
        say(time.monotonic())


def visible(effort: Effort) -> Iterator[Row]:
    ours, times, delays = caches["behind"], effort.of(1_000, 30), []
    ours.invalidate_tags("watched")
    with process(watch) as other:
        for _ in range(times):
            other.say("again")
            other.hear()
            began = time.monotonic()
            ours.invalidate_tags("watched")
            delays.append((other.hear() - began) * 1e3)
    late = percentile(delays, 0.99)
    words = f"p50 {median(delays):.2f} ms, p99 {late:.2f}, longest {max(delays):.2f}"
    yield Row(f"invalidation seen in another process, Redis, {times:,} times", words, "p99 < 5 ms", late < 5)


MEASUREMENTS = {"through": through, "invalidating": invalidating, "visible": visible}
