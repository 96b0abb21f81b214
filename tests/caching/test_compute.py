"""Stale values: who gets one, who refreshes it, and what happens when that fails."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest

from perfsuite.caching import TieredCache, compute
from perfsuite.caching.engine import reading
from tests.caching.caches import new_cache
from tests.integration.site import wait_until


@pytest.fixture
def cache() -> TieredCache:
    return new_cache()


class Numbers:
    """Returns 1, then 2, and so on; ``broken`` makes it raise."""

    def __init__(self) -> None:
        self.calls = 0
        self.broken = False
        self.threads: set[str] = set()

    def __call__(self) -> list[int]:
        self.calls += 1
        self.threads.add(threading.current_thread().name)
        if self.broken:
            raise OSError("the source is away")
        return [self.calls]

    async def later(self) -> list[int]:
        await asyncio.sleep(0)
        return self()


def expire(cache: TieredCache, key: str, seconds_ago: float = 0.1) -> None:
    held = cache.engine.held(cache.make_key(key))
    assert held is not None
    held.expires = held.leaves = time.time() - seconds_ago


def test_what_has_expired_is_served_at_once_while_one_refresh_runs_behind_it(cache: TieredCache) -> None:
    numbers = Numbers()
    for _ in range(2):
        assert cache.get_or_set("k", numbers, stale_for=60) == [1]
    expire(cache, "k")
    assert cache.get_or_set("k", numbers, stale_for=60) == [1]
    wait_until(lambda: cache.get("k") == [2], "the refresh")
    assert numbers.calls == 2
    assert numbers.threads - {threading.current_thread().name} == {"perfsuite-cache-refresh"}
    assert reading(cache.engine.counts.stale) == 1


def test_a_plain_get_never_sees_what_is_stale(cache: TieredCache) -> None:
    cache.set("k", 1, stale_for=60)
    expire(cache, "k")
    assert cache.get("k") is None
    assert not cache.has_key("k")
    assert cache.add("k", 2)


def test_what_is_too_old_or_was_not_meant_to_be_served_is_computed(cache: TieredCache) -> None:
    numbers = Numbers()
    cache.get_or_set("k", numbers, stale_for=60)
    expire(cache, "k", seconds_ago=61)
    assert cache.get_or_set("k", numbers, stale_for=60) == [2]
    cache.get_or_set("other", numbers, tags=["t"])
    cache.invalidate_tags("t")
    assert cache.get_or_set("other", numbers, tags=["t"]) == [4]


@pytest.mark.parametrize(("mode", "served"), [("expire", [1]), ("remove", [2])])
def test_an_outdated_value_may_be_served_as_stale_and_a_removed_one_may_not(
    cache: TieredCache, mode: str, served: list[int]
) -> None:
    numbers = Numbers()
    cache.get_or_set("k", numbers, timeout=None, tags=["t"], stale_for=60)
    cache.invalidate_tags("t", mode=mode)
    assert cache.get_or_set("k", numbers, timeout=None, tags=["t"], stale_for=60) == served
    wait_until(lambda: cache.get("k") == [2], "the new value")


def test_a_refresh_that_fails_is_logged_and_the_next_waits_a_while(
    cache: TieredCache, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = Numbers()
    cache.get_or_set("k", numbers, stale_for=60)
    expire(cache, "k")
    numbers.broken = True
    with caplog.at_level(logging.ERROR, "perfsuite.caching"):
        assert cache.get_or_set("k", numbers, stale_for=60) == [1]
        wait_until(lambda: "could not be computed anew" in caplog.text, "the log's word")
    wait_until(lambda: not cache.engine.flights._flights, "the end of the refresh")
    for _ in range(5):
        assert cache.get_or_set("k", numbers, stale_for=60) == [1]
    assert numbers.calls == 2
    numbers.broken = False
    monkeypatch.setattr(compute, "THROTTLE_S", 0.0)
    cache.engine.throttled.clear()
    assert cache.get_or_set("k", numbers, stale_for=60) == [1]
    wait_until(lambda: cache.get("k") == [3], "the refresh")


def test_what_nears_its_end_is_refreshed_early_where_stale_values_are_welcome(cache: TieredCache) -> None:
    numbers = Numbers()
    cache.get_or_set("k", numbers, timeout=100, stale_for=60)
    held = cache.engine.held(cache.make_key("k"))
    assert held is not None
    held.created -= 95
    held.expires -= 95
    assert cache.get_or_set("k", numbers, timeout=100, stale_for=60) == [1]
    wait_until(lambda: cache.get("k") == [2], "the refresh")


def test_without_it_a_value_is_computed_when_it_has_expired_and_not_before(cache: TieredCache) -> None:
    numbers = Numbers()
    cache.get_or_set("k", numbers, timeout=100)
    held = cache.engine.held(cache.make_key("k"))
    assert held is not None
    held.created -= 95
    assert cache.get_or_set("k", numbers, timeout=100) == [1]
    assert numbers.calls == 1


def test_who_comes_after_an_invalidation_does_not_wait_for_what_was_before_it(cache: TieredCache) -> None:
    source, began, go_on, seen = [1], threading.Event(), threading.Event(), []

    def read() -> int:
        found = source[0]
        began.set()
        go_on.wait(10)
        return found

    def ask() -> None:
        seen.append(cache.get_or_set("k", read, tags=["t"]))

    first, second = threading.Thread(target=ask), threading.Thread(target=ask)
    first.start()
    began.wait(10)
    source[0] = 2
    cache.invalidate_tags("t")
    second.start()
    wait_until(lambda: reading(cache.engine.counts.coalesced) == 1, "the second to wait")
    go_on.set()
    first.join()
    second.join()
    assert seen == [1, 2]


def test_nor_does_a_task(cache: TieredCache) -> None:
    source, go_on = [1], asyncio.Event()

    async def read() -> int:
        found = source[0]
        await go_on.wait()
        return found

    async def both() -> list[int]:
        first = asyncio.create_task(cache.aget_or_set("k", read, tags=["t"]))
        await asyncio.sleep(0)
        source[0] = 2
        await cache.ainvalidate_tags("t")
        second = asyncio.create_task(cache.aget_or_set("k", read, tags=["t"]))
        await asyncio.sleep(0)
        go_on.set()
        return list(await asyncio.gather(first, second))

    assert asyncio.run(both()) == [1, 2]


def test_stale_values_can_be_welcome_for_the_whole_cache() -> None:
    cache, numbers = new_cache(STALE_FOR=60), Numbers()
    cache.get_or_set("k", numbers)
    expire(cache, "k")
    assert cache.get_or_set("k", numbers) == [1]
    wait_until(lambda: cache.get("k") == [2], "the refresh")


def test_the_cost_of_a_computation_is_kept_with_it(cache: TieredCache) -> None:
    cache.get_or_set("k", lambda: time.sleep(0.01))
    held = cache.engine.held(cache.make_key("k"))
    assert held is not None
    assert held.cost_s >= 0.01


def test_every_asynchronous_method_does_what_the_other_does(cache: TieredCache) -> None:
    async def all_of_them() -> list[Any]:
        await cache.aset("a", 1, tags=["t"])
        found: list[Any] = [await cache.aget("a"), await cache.aget("b", "default"), await cache.aadd("a", 2)]
        found += [await cache.aincr("a", 4), await cache.adecr("a"), await cache.atouch("a", 60)]
        found += [
            await cache.ahas_key("a"),
            await cache.aset_many({"x": 1, "y": 2}),
            await cache.aget_many(["x", "y"]),
        ]
        await cache.adelete_many(["x"])
        found += [await cache.aget("x"), await cache.adelete("y"), await cache.aget_or_set("z", lambda: [3])]
        await cache.ainvalidate_tags("t")
        await cache.aclear()
        return [*found, await cache.aget("z")]

    assert asyncio.run(all_of_them()) == [
        1,
        "default",
        False,
        5,
        4,
        True,
        True,
        [],
        {"x": 1, "y": 2},
        None,
        True,
        [3],
        None,
    ]


def test_a_task_too_is_served_what_is_stale_while_a_refresh_runs(cache: TieredCache) -> None:
    numbers = Numbers()

    async def main() -> None:
        assert await cache.aget_or_set("k", numbers.later, stale_for=60) == [1]
        expire(cache, "k")
        assert await cache.aget_or_set("k", numbers.later, stale_for=60) == [1]
        await asyncio.gather(*compute._tasks)
        assert await cache.aget("k") == [2]
        numbers.broken = True
        expire(cache, "k")
        for _ in range(5):
            assert await cache.aget_or_set("k", numbers.later, stale_for=60) == [2]
            await asyncio.sleep(0.005)

    asyncio.run(main())
    assert numbers.calls == 3


def test_a_refresh_that_is_cancelled_before_it_begins_is_in_nobodys_way(cache: TieredCache) -> None:
    numbers = Numbers()
    cache.get_or_set("k", numbers, stale_for=60)
    expire(cache, "k")

    async def served_and_gone() -> Any:
        return await cache.aget_or_set("k", numbers.later, stale_for=60)

    assert asyncio.run(served_and_gone()) == [1]
    assert not cache.engine.flights._flights
    assert cache.get_or_set("k", numbers, stale_for=60) == [1]
    wait_until(lambda: cache.get("k") == [2], "the refresh")


def test_a_miss_in_a_task_leaves_its_lease(cache: TieredCache) -> None:
    async def main() -> None:
        assert await cache.aget("k") is None
        await cache.ainvalidate_tags("t")
        await cache.aset("k", "old", tags=["t"])

    asyncio.run(main())
    assert cache.get("k") is None
