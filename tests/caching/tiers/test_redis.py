"""The commands on a real server: whatever connections the alias asks for, and whatever lies under the keys."""

from __future__ import annotations

import os
import time
from math import inf
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from perfsuite.caching.tiers.redis import TIMEOUT_S, milliseconds, parsed_token
from tests.caching.tiers.conftest import Pair, alias, with_shared
from tests.integration.site import wait_until
from tests.valkey import Valkey

POOLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "decoding": {"CONNECTION_POOL_KWARGS": {"decode_responses": True}},
    "the third protocol": {"CONNECTION_POOL_KWARGS": {"protocol": 3}},
    "the third protocol, decoding": {"CONNECTION_POOL_KWARGS": {"protocol": 3, "decode_responses": True}},
    "blocking": {
        "CONNECTION_POOL_CLASS": "redis.BlockingConnectionPool",
        "CONNECTION_POOL_KWARGS": {"max_connections": 4, "timeout": 5},
    },
    "without timeouts": {"CONNECTION_POOL_KWARGS": {"socket_timeout": None}},
}


@pytest.fixture(params=POOLS)
def pool(request: pytest.FixtureRequest) -> dict[str, Any]:
    return POOLS[request.param]


def test_it_works_on_whatever_connections_an_alias_asks_for(
    settings: Any, valkey: Valkey, pool: dict[str, Any]
) -> None:
    settings.CACHES = {**settings.CACHES, "shared": alias(valkey, **pool)}
    name = f"test-{os.urandom(6).hex()}"
    here, there = with_shared(name), with_shared(name, WAIT=4.5)
    here.set("k", {"ä": b"\xff"}, tags=["Tag mit Leerzeichen ✓"])
    assert there.get("k") == {"ä": b"\xff"}
    here.set("n", 1)
    assert there.incr("n", 2) == 3
    here.invalidate_tags("Tag mit Leerzeichen ✓")
    wait_until(lambda: there.get("k") is None, "the message")
    assert here.add("k", "again")
    here.set("k", "changed")
    wait_until(lambda: there.get("k") == "changed", "the message")
    assert not there.engine.shared.breaker.failed


def test_an_alias_without_timeouts_gets_some(settings: Any, own_server: Valkey) -> None:
    without = {"SOCKET_TIMEOUT": None, "SOCKET_CONNECT_TIMEOUT": None}
    settings.CACHES = {**settings.CACHES, "shared": alias(own_server, **without)}
    cache = with_shared()
    cache.set("k", "v")
    own_server.stop()
    began = time.monotonic()
    try:
        for number in range(4):
            assert cache.get(f"missing{number}") is None
    finally:
        own_server.cont()
    assert time.monotonic() - began < 3 * TIMEOUT_S + 2  # and without an end, if nothing bounded it
    assert cache.engine.shared.redis.read_timeout_s == TIMEOUT_S


def test_the_hosts_own_connections_stay_as_they_are(settings: Any, valkey: Valkey) -> None:
    from django.core.cache import caches

    options = {"CONNECTION_POOL_KWARGS": {"decode_responses": True, "retry_on_timeout": True}}
    settings.CACHES = {**settings.CACHES, "shared": alias(valkey, **options)}
    theirs = caches["shared"].client.get_client().connection_pool  # type: ignore[attr-defined]
    before = dict(theirs.connection_kwargs)
    with_shared().set("k", "v")
    assert theirs.connection_kwargs == before


def test_an_alias_of_another_kind_is_an_error_that_says_what_to_write(settings: Any) -> None:
    local = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    settings.CACHES = {**settings.CACHES, "shared": local}
    with pytest.raises(ImproperlyConfigured, match=r"'shared'.*django_redis.cache.RedisCache"):
        with_shared().get("k")


@pytest.mark.parametrize("name", ["{}*", "{}[ab]", "{}?", "{}:k:x", "{} ä", "{}\\", "{}\ud800"])
def test_a_caches_keys_are_its_own_whatever_it_is_called(pair: Pair, name: str) -> None:
    base = pair[0].engine.name
    odd, others = (
        with_shared(name.format(base)),
        [with_shared(base + tail) for tail in ("", "a", "xyz", ":k:x:k")],
    )
    for cache in (odd, *others):
        cache.set("k", ["value"])
    odd.clear()
    assert odd.get("k") is None
    pair[0].engine.clear()
    for other in others:
        other.engine.clear()
        assert other.get("k") == ["value"]
    for other in others:
        other.clear()
        assert other.get("k") is None


@pytest.mark.parametrize("key", ["with\ud800half", "ключ", "a b"])
@pytest.mark.filterwarnings("ignore::django.core.cache.CacheKeyWarning")
def test_a_key_may_have_any_characters(pair: Pair, key: str) -> None:
    here, there = pair
    here.set(key, [1], tags=["with\ud800half"])
    assert there.get(key) == [1]
    here.set(key, [2])
    wait_until(lambda: there.get(key) == [2], "the message")
    here.delete(key)
    wait_until(lambda: there.get(key) is None, "the message")


def test_a_key_of_another_type_is_a_miss_for_each_operation(pair: Pair) -> None:
    here, _ = pair
    client, key = here.engine.shared.redis.client, here.engine.shared.redis._key(here.make_key("k"))
    here.get("warm-up")

    def refuses_to_count() -> bool:
        with pytest.raises(ValueError, match="not found"):
            here.incr("k")
        return True

    for attempt in (
        lambda: here.get("k") is None,
        lambda: here.get_many(["k"]) == {},
        lambda: not here.has_key("k"),
        lambda: not here.touch("k", 60),
        lambda: not here.delete("k"),
        refuses_to_count,
        lambda: here.add("k", "added"),
    ):
        client.delete(key)
        client.rpush(key, "foreign")
        here.engine.clear()
        assert attempt()
    assert here.get("k") == "added"
    assert not here.engine.shared.breaker.failed


@pytest.mark.parametrize("number", [2**53 + 1, 2**60, -(2**62), 2**63 - 2])
def test_large_numbers_are_counted_exactly(pair: Pair, number: int) -> None:
    here, there = pair
    here.set("n", number)
    assert there.incr("n") == number + 1
    assert here.get("n") == number + 1
    assert here.decr("n", 2) == number - 1


def test_touching_keeps_the_time_for_which_a_value_may_be_stale(pair: Pair) -> None:
    here, there = pair
    here.set("k", "old", timeout=50, stale_for=1_000)
    assert there.touch("k", 0.05)
    left = here.engine.shared.redis.client.ttl(here.engine.shared.redis._key(here.make_key("k")))
    assert 900 < left <= 1_000
    wait_until(lambda: here.get("k") is None, "its end")
    assert there.get_or_set("k", lambda: "new", stale_for=1_000) == "old"


def test_the_sequence_never_goes_back_for_those_who_have_seen_a_later_one(pair: Pair) -> None:
    redis = pair[0].engine.shared.redis
    ahead = redis.sequence(0) + 1_000
    assert redis.tokens(["new"], ahead)[0][0] == ahead
    assert redis.invalidate(["new"], False, ahead + 5)[0][0] == ahead + 6
    assert redis.invalidate(["new"], False, 0)[0][0] == ahead + 7
    redis.client.delete(redis._seq)
    assert redis.sequence(0) > 1_600_000_000_000, "it begins with the time"


@pytest.mark.parametrize(
    ("keep_until", "ttl_s", "expected"),
    [(inf, None, None), (inf, 5.0, 5_000), (107.0, None, 7_000), (107.0, 5.0, 5_000), (100.0, None, 1)],
)
def test_milliseconds(keep_until: float, ttl_s: float | None, expected: int | None) -> None:
    assert milliseconds(keep_until, 100.0, ttl_s) == expected


def test_a_token_is_three_numbers() -> None:
    assert parsed_token(b"12.345.6") == (12, 345, 6)
