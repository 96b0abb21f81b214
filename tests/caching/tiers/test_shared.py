"""The tier that processes share, on a real server: what one does, the other sees."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import pytest
from django.core.cache import caches
from django.test import override_settings

from perfsuite.caching.engine import reading
from tests.caching.caches import places
from tests.caching.tiers.conftest import Pair, with_shared
from tests.integration.site import wait_until


def raw(cache: Any) -> Any:
    return cache.engine.shared.redis.client


def key_of(cache: Any, key: str) -> str:
    return cache.engine.shared.redis._key(cache.make_key(key))  # type: ignore[no-any-return]


def test_what_one_sets_the_other_gets_and_both_keep_a_copy(pair: Pair) -> None:
    here, there = pair
    here.set("k", ["value"])
    assert there.get("k") == ["value"]
    assert places(here, "k") == places(there, "k") == ["warm"]
    assert reading(there.engine.shared.hits) == 1
    assert there.get("k") == ["value"]
    assert reading(there.engine.shared.hits) == 1


@pytest.mark.parametrize("change", ["set", "delete", "touch", "incr", "clear", "set_many", "delete_many"])
def test_a_change_reaches_the_copy_of_the_other(pair: Pair, change: str) -> None:
    here, there = pair
    here.set("k", 5, tags=["numbers"])
    assert there.get("k") == 5
    arguments: dict[str, tuple[Any, ...]] = {
        "set": ("k", 6), "delete": ("k",), "touch": ("k", 0), "incr": ("k",), "clear": (), "set_many": ({"k": 6},),
        "delete_many": (["k"],),
    }  # fmt: skip
    getattr(here, change)(*arguments[change])
    expected = 6 if change in ("set", "incr", "set_many") else None
    wait_until(lambda: there.get("k") == expected, "the change")
    assert here.get("k") == expected


def test_an_invalidated_tag_is_a_miss_everywhere(pair: Pair) -> None:
    here, there = pair
    here.set("k", 1, tags=["pages"])
    here.set("other", 2, tags=["leads"])
    assert there.get_many(["k", "other"]) == {"k": 1, "other": 2}
    here.invalidate_tags("pages")
    assert here.get("k") is None
    wait_until(lambda: there.get("k") is None, "the invalidation")
    assert there.get("other") == 2


def test_what_was_computed_before_an_invalidation_elsewhere_is_never_seen_after_it(pair: Pair) -> None:
    here, there = pair
    assert here.get("k") is None
    there.invalidate_tags("pages")
    wait_until(lambda: "pages" in here.engine.tags.tokens, "the message")
    here.set("k", "old", tags=["pages"])
    assert there.get("k") is None
    assert here.get("k") is None

    def compute() -> str:
        there.invalidate_tags("pages")
        return "old"

    assert here.get_or_set("computed", compute, tags=["pages"]) == "old"
    wait_until(lambda: here.get("computed") is None, "the message")
    assert there.get("computed") is None


def test_lost_tokens_are_misses_and_bring_nothing_back(pair: Pair) -> None:
    here, there = pair
    here.set("k", "old", tags=["pages"])
    here.invalidate_tags("pages")
    raw(here).delete(here.engine.shared.redis._tag("pages"))
    fresh = with_shared(here.engine.name, WAIT=4.4)  # a process that knows no tokens yet
    assert fresh.get("k") is None
    assert there.get("k") is None
    fresh.set("k", "new", tags=["pages"])
    assert there.get("k") == "new"


def test_all_data_lost_is_all_forgotten(pair: Pair) -> None:
    here, there = pair
    here.set("k", 1, tags=["t"])
    assert there.get("k") == 1
    before = max(cache.engine.tags.seq for cache in pair)
    raw(here).flushall()
    wait_until(lambda: here.get("k") is None and there.get("k") is None, "that they notice")
    # A set between the loss and the new beginning may be refused: its tag may have been invalidated meanwhile.
    wait_until(lambda: min(cache.engine.tags.seq for cache in pair) > before, "that both have begun anew")
    assert here.get("k") is None
    here.set("k", 2, tags=["t"])
    assert there.get("k") == 2


def test_of_many_who_add_one_wins(pair: Pair) -> None:
    with ThreadPoolExecutor(20) as pool:
        won = list(pool.map(lambda number: pair[number % 2].add("lock", number, 30), range(40)))
    assert won.count(True) == 1
    assert pair[0].get("lock") == won.index(True)


def test_all_who_count_are_counted(pair: Pair) -> None:
    pair[0].set("n", 0)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: pair[number % 2].incr("n"), range(200)))
    assert pair[0].get("n") == pair[1].get("n") == 200


@pytest.mark.parametrize("value", [2**63 - 1, 2**80, 1.5])
def test_a_number_that_the_server_cannot_count_up_is_counted_all_the_same(pair: Pair, value: Any) -> None:
    pair[0].set("n", value, timeout=60)
    assert pair[1].incr("n", 2) == value + 2
    wait_until(lambda: pair[0].get("n") == value + 2, "the sum")
    assert raw(pair[0]).pttl(key_of(pair[0], "n")) > 0


def test_the_end_of_an_entry_is_the_servers_too(pair: Pair) -> None:
    here, there = pair
    here.set("short", [1], timeout=0.05)
    here.set("weeks", [1], timeout=14 * 86_400)
    here.set("good", [1], timeout=None)
    assert 13 * 86_400 < raw(here).ttl(key_of(here, "weeks")) <= 14 * 86_400
    assert raw(here).ttl(key_of(here, "good")) == -1
    time.sleep(0.06)
    assert there.get("short") is None
    assert there.touch("weeks", 100)
    assert 0 < raw(here).ttl(key_of(here, "weeks")) <= 100
    assert there.touch("good", None)
    assert not there.touch("short", 100)


def test_clear_removes_only_what_is_this_caches(pair: Pair) -> None:
    here, _ = pair
    other = with_shared()
    for cache in (here, other):
        cache.set("k", 1)
        cache.set("n", [1])
    raw(here).set("foreign", 1)
    here.clear()
    assert here.get_many(["k", "n"]) == {}
    assert other.get_many(["k", "n"]) == {"k": 1, "n": [1]}
    assert raw(here).get("foreign") == b"1"


@pytest.mark.parametrize(
    "data",
    [b"", b"foreign", b"pS\x63later version", b"pS\x01cut", b"\x80\x05K\x01.", b"pS\x01\x00" + b"\xff" * 60],
)
def test_what_is_no_envelope_is_a_miss_for_each_operation_and_counted(pair: Pair, data: bytes) -> None:
    here, _ = pair
    here.get("warm-up")
    for attempt in (
        lambda: here.get("k") is None,
        lambda: here.get_many(["k"]) == {},
        lambda: not here.has_key("k"),
        lambda: not here.touch("k", 60),
        lambda: not here.delete("k"),
        lambda: here.add("k", "added"),
        lambda: here.get_or_set("k", lambda: "computed") == "computed",
    ):
        raw(here).set(key_of(here, "k"), data)
        here.engine.clear()
        assert attempt()
    raw(here).set(key_of(here, "k"), data)
    with pytest.raises(ValueError, match="not found"):
        here.incr("k")
    assert reading(here.engine.counts.damaged) >= 6


def test_four_processes_of_twenty_threads_compute_twice_at_most(pair: Pair) -> None:
    name = pair[0].engine.name
    processes = [*pair, with_shared(name, WAIT=4.3), with_shared(name, WAIT=4.2)]
    calls: list[int] = []
    barrier = threading.Barrier(80)

    def compute() -> str:
        calls.append(1)
        time.sleep(0.1)
        return "value"

    def want(number: int) -> Any:
        barrier.wait()
        return processes[number % 4].get_or_set("k", compute)

    with ThreadPoolExecutor(80) as pool:
        assert set(pool.map(want, range(80))) == {"value"}
    assert len(calls) <= 2


def test_tasks_take_their_turns_among_processes_too(pair: Pair) -> None:
    calls: list[int] = []

    async def compute() -> str:
        calls.append(1)
        await asyncio.sleep(0.05)
        return "value"

    async def main() -> list[Any]:
        return await asyncio.gather(*[pair[number % 2].aget_or_set("k", compute) for number in range(20)])

    assert set(asyncio.run(main())) == {"value"}
    assert len(calls) == 1


def test_a_turn_whose_taker_has_died_ends_by_itself(pair: Pair) -> None:
    here = with_shared(pair[0].engine.name, LOCK_TTL=0.2, WAIT=5)
    assert here.engine.shared.redis.lock(here.make_key("k"), 0.2)  # taken by a process that is killed now
    assert here.get_or_set("k", lambda: "value") == "value"


def test_a_stale_value_is_served_from_the_server_while_it_is_refreshed(pair: Pair) -> None:
    here, there = pair
    here.set("k", "old", timeout=0.05, stale_for=60)
    time.sleep(0.06)
    assert there.get("k") is None
    assert there.get_or_set("k", lambda: "new", stale_for=60) == "old"
    wait_until(lambda: there.get("k") == "new", "the refresh")


def test_it_can_be_the_only_tier(settings: Any, pair: Pair) -> None:
    only = with_shared(TIERS=[{"ALIAS": "shared"}])
    only.set("k", ["v"], tags=["t"])
    assert only.get("k") == ["v"]
    only.invalidate_tags("t")
    assert only.get("k") is None


@pytest.mark.django_db
@pytest.mark.parametrize("engine", ["cache", "cached_db"])
def test_djangos_sessions_live_in_it(settings: Any, pair: Pair, engine: str) -> None:
    options = {"TIERS": {"cold": {"ALIAS": "shared"}}}
    tiered = {"BACKEND": "perfsuite.caching.TieredCache", "LOCATION": pair[0].engine.name, "OPTIONS": options}
    with override_settings(CACHES={**settings.CACHES, "default": tiered}):
        store = import_module(f"django.contrib.sessions.backends.{engine}").SessionStore
        session = store()
        session["user"] = 5
        session.save()
        caches["default"].engine.clear()
        again = store(session.session_key)
        assert again["user"] == 5
        again.delete()
        assert not store().exists(session.session_key)
