"""What two who use one shared tier do at the same moment: nothing old stays in memory, and no token is made up.

A moment between a question and its answer is made by running something just after a command of the tier has returned.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from perfsuite.caching import TieredCache
from perfsuite.caching import tags as tags_module
from perfsuite.caching.entry import decode
from tests.caching.tiers.conftest import Pair, with_shared
from tests.integration.site import wait_until

After = Callable[[TieredCache, str, Callable[[], object]], None]


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> After:
    """Return a function that has something done once, just after a command has been answered and before that is used."""

    def make(cache: TieredCache, command: str, action: Callable[[], object]) -> None:
        redis = cache.engine.shared.redis
        real = getattr(redis, command)

        def call(*args: Any) -> Any:
            monkeypatch.setattr(redis, command, real)
            answer = real(*args)
            action()
            return answer

        monkeypatch.setattr(redis, command, call)

    return make


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda cache: cache.set("k", "new"), "new"),
        (lambda cache: cache.set_many({"k": "new"}), "new"),
        (lambda cache: cache.delete("k"), None),
        (lambda cache: cache.touch("k", 0), None),
        (lambda cache: cache.clear(), None),
    ],
)
@pytest.mark.parametrize("who", [0, 1])
def test_what_was_read_before_a_change_is_not_kept_after_it(
    pair: Pair, after: After, change: Callable[[TieredCache], object], seen: str | None, who: int
) -> None:
    """The change is another thread's of the same process, whose own messages it skips, or another process's."""
    here = pair[0]
    here.set("k", "old")
    here.engine.clear()
    here.get("warm-up")

    def changed() -> None:
        applied = here.engine.applied
        change(pair[who])
        wait_until(lambda: here.engine.applied > applied, "the change to be known here")

    after(here, "get", changed)
    assert here.get("k") == "old"
    assert here.get("k") == seen


def test_what_was_set_before_another_set_is_not_kept_after_it(pair: Pair, after: After) -> None:
    here = pair[0]
    here.get("warm-up")
    after(here, "set_many", lambda: here.set("k", "second"))
    here.set("k", "first")
    assert here.get("k") == "second"


def test_what_was_computed_before_an_invalidation_is_refused_although_much_was_missed_before(
    pair: Pair,
) -> None:
    here, there = pair
    here.set("other", 1, tags=["pages"])
    for _ in range(3):
        here.engine.forget()  # as for messages that were trimmed away
    assert here.get("k") is None
    before = here.engine.tags.seq
    there.invalidate_tags("pages")
    wait_until(lambda: here.engine.tags.seq > before, "the message")
    here.set("k", "old", tags=["pages"])
    assert here.get("k") is None
    assert there.get("k") is None


def test_a_token_that_had_no_room_here_is_asked_for_and_not_made_up(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = pair
    monkeypatch.setattr(tags_module, "MAX_TAGS", 4)
    tags = [f"tag{number}" for number in range(9)]
    here.set("k", "value", tags=tags)
    monkeypatch.setattr(tags_module, "MAX_TAGS", 100)
    assert there.get("k") == "value"
    there.invalidate_tags("tag0")
    assert there.get("k") is None
    wait_until(lambda: here.get("k") is None, "the message")


def test_a_compute_that_began_before_its_token_was_lost_here_is_never_seen_after_an_invalidation(
    pair: Pair,
) -> None:
    here, there = pair

    def compute() -> str:
        there.invalidate_tags("pages")
        wait_until(lambda: "pages" in here.engine.tags.tokens, "the message")
        here.engine.tags.forget()
        here.set("other", 1, tags=["pages"])
        return "old"

    assert here.get_or_set("k", compute, tags=["pages"]) == "old"
    assert here.get("k") is None
    assert there.get("k") is None


@pytest.mark.parametrize("remade_by", ["set", "invalidate"])
def test_what_was_removed_is_not_shown_as_stale_when_the_token_that_says_so_is_lost(
    pair: Pair, remade_by: str
) -> None:
    here, _ = pair
    here.set("k", "old", tags=["pages"], stale_for=60)
    here.invalidate_tags("pages", mode="remove")
    here.engine.shared.redis.client.delete(here.engine.shared.redis._tag("pages"))
    fresh = with_shared(here.engine.name, WAIT=4.4)  # a process that knows no tokens yet
    if remade_by == "set":
        fresh.set("other", 1, tags=["pages"])
    else:
        fresh.invalidate_tags("pages")
    assert fresh.get_or_set("k", lambda: "new", tags=["pages"], stale_for=60) == "new"


def test_two_who_lost_a_token_at_one_sequence_agree_on_the_new_one(pair: Pair) -> None:
    here, there = pair
    here.set("k", "old", tags=["pages"])
    assert there.get("k") == "old"
    here.engine.shared.redis.client.delete(here.engine.shared.redis._tag("pages"))
    fresh = with_shared(here.engine.name, WAIT=4.4)
    fresh.set("k", "new", tags=["pages"])
    for cache in (here, there, fresh):
        wait_until(lambda cache=cache: cache.get("k") == "new", "that all agree")  # type: ignore[misc]
    there.set("k", "newest", tags=["pages"])
    wait_until(lambda: fresh.get("k") == here.get("k") == "newest", "that all agree")


@pytest.mark.parametrize(("first", "second"), [(1.0, "1.0"), ("1", b"1"), (None, "None"), (True, "True")])
def test_another_value_of_the_same_text_replaces_the_copy(pair: Pair, first: Any, second: Any) -> None:
    here, there = pair
    there.set("k", first)
    here.set("k", second)
    wait_until(lambda: type(there.get("k")) is type(second), "the change")


def test_the_same_value_with_other_tags_replaces_the_copy(pair: Pair) -> None:
    here, there = pair
    there.set("k", "value", tags=["pages"])
    here.set("k", "value", tags=["leads"])
    here.invalidate_tags("leads")
    wait_until(lambda: there.get("k") is None, "the invalidation")


def test_a_set_that_came_through_is_not_undone_by_one_that_did_not(pair: Pair) -> None:
    here, there = pair
    here.get("warm-up")
    here.engine.shared.pending.note_keys([here.make_key("k")])  # as by a set that timed out
    here.set("k", "value")
    here.engine.shared.pending.note_keys([here.make_key("other")])
    wait_until(lambda: not here.engine.shared.pending, "the reader to make it good")
    assert there.get("k") == "value"


def test_only_one_process_refreshes_early(pair: Pair) -> None:
    here, there = pair
    full, calls = here.make_key("k"), []

    def compute() -> str:
        calls.append(1)
        time.sleep(0.3)
        return f"computed {len(calls)}"

    def age() -> None:
        data = here.engine.shared.redis.get(full)
        entry = decode(data, time.time())
        entry.created, entry.expires = entry.created - 95, entry.expires - 95
        here.engine.shared.store(full, entry, time.time(), None)

    assert here.get_or_set("k", compute, timeout=100, stale_for=60) == "computed 1"
    age()
    wait_until(lambda: there.get("k") == "computed 1", "the aged value")
    for _ in range(3):
        for cache in pair:
            assert cache.get_or_set("k", compute, timeout=100, stale_for=60) == "computed 1"
    for cache in pair:
        wait_until(lambda cache=cache: cache.get("k") == "computed 2", "the refresh")  # type: ignore[misc]
        wait_until(lambda cache=cache: not cache.engine.flights._flights, "its end")  # type: ignore[misc]
    assert len(calls) == 2

    async def task() -> Any:
        return await there.aget_or_set("k", compute, timeout=100, stale_for=60)

    async def main() -> None:
        assert await task() == "computed 2"
        await until(lambda: there.get("k") == "computed 3")

    age()
    there.engine.clear()
    asyncio.run(asyncio.wait_for(main(), 20))


def test_tasks_that_wait_for_another_process_keep_no_thread_from_the_others(pair: Pair) -> None:
    here = pair[0]
    other = with_shared(here.engine.name, WAIT=30)
    here.set("there", "value")
    keys = [f"k{number}" for number in range(60)]
    turns = {key: other.engine.shared.redis.lock(other.make_key(key), 60) for key in keys}

    async def main() -> list[Any]:
        waiting = [asyncio.ensure_future(other.aget_or_set(key, lambda: "own")) for key in keys]
        await until(lambda: len(other.engine.flights._flights) == len(keys))
        for number in range(20):
            other.engine.clear()
            assert await asyncio.wait_for(other.aget("there"), 5) == "value", number
        for key, token in turns.items():
            here.set(key, "theirs")
            other.engine.shared.redis.unlock(other.make_key(key), token)
        return await asyncio.gather(*waiting)

    assert asyncio.run(main()) == ["theirs"] * len(keys)


def test_a_cancelled_task_gives_its_turn_back(pair: Pair) -> None:
    here, there = pair

    async def forever() -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        task = asyncio.ensure_future(here.aget_or_set("k", forever))
        key = here.engine.shared.redis._named("f", here.make_key("k"))
        await until(lambda: here.engine.shared.redis.client.exists(key))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    began = time.monotonic()
    assert there.get_or_set("k", lambda: "value") == "value"
    assert time.monotonic() - began < 3, "it did not wait for the end of the turn"


def test_a_computation_that_needs_its_own_key_does_not_wait_for_itself(pair: Pair) -> None:
    here, _ = pair

    def outer() -> list[Any]:
        return [
            here.get_or_set("a", lambda: "inner"),
            here.get_or_set("b", lambda: [here.get_or_set("a", lambda: 1)]),
        ]

    began = time.monotonic()
    assert here.get_or_set("a", outer) == ["inner", [1]]
    assert time.monotonic() - began < here.engine.options.wait - 1


def test_several_values_at_once_may_be_served_stale_too(pair: Pair) -> None:
    cache = with_shared(pair[0].engine.name, STALE_FOR=60)
    cache.set_many({"k": "old"}, timeout=0.05)
    wait_until(lambda: cache.get("k") is None, "its end")
    assert cache.get_or_set("k", lambda: "new") == "old"
