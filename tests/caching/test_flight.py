"""One computation for all who want the same: threads, tasks, and what ends it early."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.caching.caches import new_cache

THREADS = 20


def together(work: Any, threads: int = THREADS) -> list[Any]:
    """Return what ``work()`` returns in each of several threads that begin at once."""
    barrier = threading.Barrier(threads)

    def begin() -> Any:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(begin) for _ in range(threads)]]


class Factory:
    """Counts its calls, and takes until ``free`` is set."""

    def __init__(self) -> None:
        self.calls = 0
        self.began = threading.Event()
        self.free = threading.Event()
        self._lock = threading.Lock()

    def __call__(self) -> list[int]:
        with self._lock:
            self.calls += 1
            number = self.calls
        self.began.set()
        assert self.free.wait(30)
        return [number]


def test_twenty_threads_on_a_cold_key_compute_once_and_each_gets_a_copy_of_its_own() -> None:
    cache, factory = new_cache(), Factory()
    waiting = threading.Thread(target=lambda: (factory.began.wait(30), time.sleep(0.05), factory.free.set()))
    waiting.start()
    values = together(lambda: cache.get_or_set("k", factory))
    waiting.join()
    assert factory.calls == 1
    assert values == [[1]] * THREADS
    assert len({id(value) for value in values}) == THREADS


def test_an_exception_is_that_of_all_who_waited_and_the_next_call_computes_again() -> None:
    cache = new_cache()
    calls = []

    def broken() -> None:
        calls.append(1)
        time.sleep(0.05)
        raise LookupError("no such page")

    def attempt() -> str:
        with pytest.raises(LookupError) as caught:
            cache.get_or_set("k", broken)
        return str(caught.value)

    assert set(together(attempt)) == {"no such page"}
    assert len(calls) < THREADS
    assert cache.get_or_set("k", lambda: 5) == 5


def test_who_has_waited_long_enough_computes_for_itself() -> None:
    cache, factory = new_cache(WAIT=0.05), Factory()
    leader = threading.Thread(target=lambda: cache.get_or_set("k", factory))
    leader.start()
    assert factory.began.wait(30)
    assert cache.get_or_set("k", lambda: "mine") == "mine"
    factory.free.set()
    leader.join()


def test_a_leader_that_was_interrupted_is_replaced() -> None:
    cache = new_cache()
    began, free = threading.Event(), threading.Event()

    def interrupted() -> None:
        began.set()
        assert free.wait(30)
        raise KeyboardInterrupt

    def lead() -> None:
        with pytest.raises(KeyboardInterrupt):
            cache.get_or_set("k", interrupted)

    leader = threading.Thread(target=lead)
    leader.start()
    assert began.wait(30)
    with ThreadPoolExecutor(1) as pool:
        follower = pool.submit(cache.get_or_set, "k", lambda: "follower's")
        free.set()
        assert follower.result(30) == "follower's"
    leader.join()


def test_a_computation_that_needs_its_own_key_does_not_wait_for_itself() -> None:
    cache = new_cache(WAIT=30)
    assert cache.get_or_set("k", lambda: cache.get_or_set("k", lambda: "inner") + " outer") == "inner outer"


def test_two_computations_that_need_each_others_keys_end() -> None:
    cache = new_cache(WAIT=0.1)
    both = threading.Barrier(2)

    def of(own: str, other: str) -> str:
        def compute() -> str:
            both.wait(30)
            return own + cache.get_or_set(other, lambda: "?")

        return cache.get_or_set(own, compute)  # type: ignore[no-any-return]

    with ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(of, "a", "b"), pool.submit(of, "b", "a")]
        found = {future.result(30) for future in futures}
    assert len(found) == 2


def test_twenty_tasks_compute_once() -> None:
    cache = new_cache()
    calls = []

    async def compute() -> list[str]:
        calls.append(1)
        await asyncio.sleep(0.02)
        return ["value"]

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*[cache.aget_or_set("k", compute) for _ in range(THREADS)])

    assert asyncio.run(all_of_them()) == [["value"]] * THREADS
    assert len(calls) == 1


def test_a_cancelled_leader_among_tasks_is_replaced() -> None:
    cache = new_cache()

    async def main() -> Any:
        began = asyncio.Event()

        async def never() -> None:
            began.set()
            await asyncio.sleep(60)

        leader = asyncio.create_task(cache.aget_or_set("k", never))
        await began.wait()
        follower = asyncio.create_task(cache.aget_or_set("k", lambda: "follower's"))
        await asyncio.sleep(0)
        leader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leader
        return await follower

    assert asyncio.run(main()) == "follower's"


def test_a_task_that_waits_for_a_thread_leaves_the_event_loop_free() -> None:
    cache, factory = new_cache(), Factory()
    leader = threading.Thread(target=lambda: cache.get_or_set("k", factory))
    leader.start()
    assert factory.began.wait(30)

    async def main() -> Any:
        follower = asyncio.create_task(cache.aget_or_set("k", lambda: "never"))
        await asyncio.sleep(0.01)
        assert not follower.done()
        factory.free.set()
        return await follower

    assert asyncio.run(main()) == [1]
    leader.join()
