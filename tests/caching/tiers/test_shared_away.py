"""A shared tier whose server is killed, frozen, or comes back empty: memory goes on, and what was missed is made good."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from tests.caching.tiers.conftest import Pair, alias, with_shared
from tests.integration.site import wait_until
from tests.valkey import Valkey


def is_back(cache: Any) -> bool:
    tier = cache.engine.shared
    return not tier.breaker.is_open and time.time() - tier.reader.synced_at < 1


def test_a_killed_server_is_asked_three_times_and_memory_serves_on(faulty: Pair, own_server: Valkey) -> None:
    here, _ = faulty
    here.set("k", ["before"], tags=["t"])
    own_server.kill()
    breaker = here.engine.shared.breaker
    for number in range(10):
        assert here.get("k") == ["before"]
        assert here.get(f"missing{number}") is None
        here.set(f"new{number}", number)
        assert here.get(f"new{number}") == number
    assert breaker.is_open
    assert breaker.failed <= 3 + 1  # the reader of the stream may be the fourth to notice
    assert here.add("lock", 1)
    assert not here.add("lock", 2)
    assert here.incr("lock") == 2
    assert here.get_or_set("computed", lambda: "value") == "value"
    assert here.touch("k", 60)
    assert here.delete("k")
    assert not here.has_key("k")
    here.clear()
    assert here.get("new9") is None


def test_a_frozen_server_costs_a_few_timeouts_and_then_nothing(faulty: Pair, own_server: Valkey) -> None:
    here, _ = faulty
    here.set("k", ["before"])
    own_server.stop()
    try:
        for number in range(3):
            here.get(f"missing{number}")
        assert here.engine.shared.breaker.is_open
        began = time.monotonic()
        for number in range(500):
            assert here.get("k") == ["before"]
            assert here.get(f"missing{number}") is None
        assert time.monotonic() - began < 1  # two hundred milliseconds each, if it were asked
    finally:
        own_server.cont()
    wait_until(lambda: is_back(here), "the server's return")
    here.set("k", ["after"])
    assert here.get("k") == ["after"]


def test_what_could_not_be_done_is_done_before_the_server_is_used_again(
    faulty: Pair, own_server: Valkey
) -> None:
    here, there = faulty
    here.set_many({"set": "old", "deleted": "old", "tagged": "old"})
    here.set("tagged", "old", tags=["pages"])
    assert there.get_many(["set", "deleted", "tagged"]) == dict.fromkeys(["set", "deleted", "tagged"], "old")
    own_server.stop()
    try:
        for number in range(3):
            here.get(f"missing{number}")
        here.set("set", "new")
        here.delete("deleted")
        here.invalidate_tags("pages")
        assert (here.get("set"), here.get("deleted"), here.get("tagged")) == ("new", None, None)
    finally:
        own_server.cont()
    wait_until(lambda: is_back(here), "the server's return")
    assert (here.get("set"), here.get("deleted"), here.get("tagged")) == (None, None, None)
    wait_until(lambda: there.get_many(["set", "deleted", "tagged"]) == {}, "the other's copies to go")


def test_what_is_cut_off_serves_no_copy_that_is_older_than_the_bound(
    faulty: Pair, own_server: Valkey
) -> None:
    here, _ = faulty
    here.set("k", "old", timeout=None)
    assert here.get("k") == "old"
    own_server.kill()
    assert here.get("k") == "old"
    wait_until(lambda: here.get("k") is None, "the end of the bound", timeout_s=10)
    here.set("k", "new")
    assert here.get("k") == "new"


def test_a_server_that_came_back_empty_is_noticed(faulty: Pair, own_server: Valkey) -> None:
    here, there = faulty
    here.set("k", "old", tags=["t"])
    assert there.get("k") == "old"
    own_server.kill()
    own_server.start()
    wait_until(lambda: is_back(here) and is_back(there), "the server's return")
    wait_until(lambda: here.get("k") is None and there.get("k") is None, "that they notice")
    here.set("k", "new", tags=["t"])
    assert there.get("k") == "new"


@pytest.mark.parametrize("state", ["read-only", "out of memory"])
def test_a_server_that_takes_no_writes_is_left_alone_until_it_does(
    faulty: Pair, own_server: Valkey, state: str
) -> None:
    here, _ = faulty
    here.set("k", "old")
    client = here.engine.shared.redis.client
    if state == "read-only":
        client.replicaof("127.0.0.1", own_server.port + 1 if own_server.port < 65_000 else 1)
    else:
        client.config_set("maxmemory", 1)
    for number in range(4):
        here.set("k", f"new{number}")
        assert here.get("k") == f"new{number}"
    assert here.engine.shared.breaker.is_open
    if state == "read-only":
        client.replicaof("NO", "ONE")
    else:
        client.config_set("maxmemory", 0)
    wait_until(lambda: is_back(here), "the server's recovery")
    assert here.get("k") is None
    here.set("k", "after")
    assert here.get("k") == "after"


def test_a_server_that_is_away_at_the_start_is_found_when_it_is_there(
    settings: Any, own_server: Valkey
) -> None:
    own_server.kill()
    settings.CACHES = {**settings.CACHES, "shared": alias(own_server)}
    cache = with_shared(f"test-{os.urandom(6).hex()}")
    cache.set("k", "alone")
    assert cache.get("k") == "alone"
    own_server.start()
    wait_until(lambda: is_back(cache), "the server")
    cache.set("k", "together")
    assert cache.engine.shared.redis.get(cache.make_key("k")) is not None


def test_messages_that_were_trimmed_away_make_everything_forgotten(pair: Pair) -> None:
    here, there = pair
    there.set("k", "old")
    reader = there.engine.shared.reader
    wait_until(lambda: reader.synced_at > 0, "the reader")
    client = here.engine.shared.redis.client
    reader._last = b"1-1"  # as far behind as can be
    client.xtrim(here.engine.shared.redis.stream, maxlen=0)
    wait_until(lambda: places_none(there), "that it forgets")


def places_none(cache: Any) -> bool:
    return not any(tier.entries for tier in cache.engine.tiers)
