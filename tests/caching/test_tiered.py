"""What Django's documentation promises of a cache, and the keywords beside it. Django's own tests are run in CI's lanes too."""

from __future__ import annotations

import pickle
import time
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import CacheKeyWarning
from django.test import override_settings
from django.utils.safestring import SafeString, mark_safe

from perfsuite.caching import TieredCache
from perfsuite.caching.engine import reading
from tests.caching.caches import new_cache, on_host, places


@pytest.fixture
def cache() -> TieredCache:
    return new_cache()


@pytest.mark.parametrize(
    "value",
    [
        None,
        0,
        True,
        False,
        -5,
        2**70,
        1.5,
        float("inf"),
        "",
        "text",
        "頁\udcff",
        b"",
        b"\xff\0",
        (1,),
        [1, [2]],
        {"a": {1}},
        Decimal("1.5"),
    ],
)
def test_what_is_set_is_got_and_of_its_type(cache: TieredCache, value: Any) -> None:
    cache.set("k", value)
    found = cache.get("k", "default")
    assert found == value
    assert type(found) is type(value)
    assert cache.has_key("k")
    assert "k" in cache


def test_a_safe_string_stays_safe(cache: TieredCache) -> None:
    cache.set("k", mark_safe("<b>"))
    assert type(cache.get("k")) is SafeString


def test_a_stored_none_is_a_value(cache: TieredCache) -> None:
    cache.set("k", None)
    assert cache.get("k", "default") is None
    assert not cache.add("k", 1)
    assert cache.get_or_set("k", lambda: pytest.fail("it is there")) is None
    assert cache.get_many(["k", "missing"]) == {"k": None}
    assert cache.get_or_set("computed", lambda: None) is None
    assert cache.get("computed", "default") is None


@pytest.mark.parametrize("operation", ["set", "add", "get_or_set"])
def test_what_cannot_be_pickled_raises_as_pickle_does_and_leaves_what_was_there(
    cache: TieredCache, operation: str
) -> None:
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        getattr(cache, operation)("fresh", (lambda: 1) if operation != "get_or_set" else (lambda: lambda: 1))
    assert cache.get("fresh") is None
    cache.set("k", "before")
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        cache.set("k", lambda: 1)
    assert cache.get("k") == "before"


@pytest.mark.parametrize("timeout", [0, -1, -1e9])
def test_a_timeout_of_zero_or_less_stores_nothing_and_forgets_what_was_there(
    cache: TieredCache, timeout: float
) -> None:
    cache.set("k", 1)
    cache.set("k", 2, timeout=timeout)
    assert cache.get("k") is None
    cache.set("k", 1)
    assert cache.touch("k", timeout)
    assert cache.get("k") is None
    cache.set("stale", 1, timeout=timeout, stale_for=100)
    assert cache.engine.held(cache.make_key("stale")) is None


def test_an_entry_expires_and_one_for_good_does_not(cache: TieredCache) -> None:
    cache.set("short", 1, timeout=0.02)
    cache.set("long", 1, timeout=None)
    time.sleep(0.03)
    assert cache.get("short") is None
    assert not cache.has_key("short")
    assert not cache.delete("short")
    assert not cache.touch("short", 10)
    assert cache.add("short", 2)
    assert cache.get("long") == 1


def test_add_incr_decr_touch_delete(cache: TieredCache) -> None:
    assert cache.add("n", 1)
    assert not cache.add("n", 5)
    assert cache.incr("n") == 2
    assert cache.incr("n", 10) == 12
    assert cache.decr("n", 2) == 10
    assert cache.get("n") == 10
    assert cache.touch("n", 100)
    assert cache.delete("n")
    assert not cache.delete("n")
    for operation in (cache.incr, cache.decr):
        with pytest.raises(ValueError, match="Key 'n' not found"):
            operation("n")


def test_incr_keeps_the_time_that_an_entry_has(cache: TieredCache) -> None:
    cache.set("n", 1, timeout=77)
    cache.incr("n")
    held = cache.engine.held(cache.make_key("n"))
    assert held is not None
    assert 76 < held.expires - time.time() <= 77


def test_versions_and_prefixes_are_kept_apart() -> None:
    cache = new_cache(params={"VERSION": 2, "KEY_PREFIX": "site"})
    cache.set("k", "two")
    cache.set("k", "three", version=3)
    assert (cache.get("k"), cache.get("k", version=3), cache.get("k", version=1)) == ("two", "three", None)
    assert cache.incr_version("k", version=3) == 4
    assert cache.get("k", version=4) == "three"
    cache.version = 4
    assert cache.get("k") == "three"


def test_a_key_function_of_the_hosts_own_is_used() -> None:
    cache = new_cache(params={"KEY_FUNCTION": lambda key, prefix, version: f"own-{version}-{key}"})
    cache.set("k", 1)
    assert list(cache.engine.tiers[1].entries) == ["own-1-k"]
    assert cache.get("k") == 1


OPERATIONS = [
    ("set", (1,)), ("get", ()), ("add", (1,)), ("incr", ()), ("touch", ()), ("has_key", ()), ("delete", ()), ("get_or_set", (1,)),
]  # fmt: skip


@pytest.mark.parametrize("key", ["x" * 300, "with space", "control\x01", "new\nline", "x" * 10_000])
@pytest.mark.parametrize(("operation", "arguments"), OPERATIONS)
def test_each_operation_warns_of_a_key_that_memcached_would_refuse_and_works(
    cache: TieredCache, operation: str, arguments: tuple[Any, ...], key: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CacheKeyWarning)
        cache.set(key, 1)
        cache.get(key), cache.get(key)  # so that it is hot
    with pytest.warns(CacheKeyWarning, match="memcached"):
        getattr(cache, operation)(key, *arguments)


def test_django_s_cull_options_hold() -> None:
    cache = new_cache(params={"MAX_ENTRIES": 9}, MAX_ENTRIES=9)
    for key in range(9):
        cache.set(str(key), key)
    for key in range(6):
        assert cache.get(str(key)) == key
    cache.set("9", 9)
    assert [cache.get(str(key)) for key in range(10)] == [0, 1, 2, 3, 4, 5, None, None, None, 9]


def test_clear_forgets_only_this_cache() -> None:
    one, other = new_cache(), new_cache()
    one.set("k", 1)
    other.set("k", 2)
    one.clear()
    assert (one.get("k"), other.get("k")) == (None, 2)


def test_caches_of_one_location_are_one_cache_for_all_threads() -> None:
    params: dict[str, Any] = {"OPTIONS": {"CHANNEL": "none"}}
    TieredCache("the same", params).set("k", 1)
    assert TieredCache("the same", params).get("k") == 1


# Tags


def test_a_tag_invalidates_all_that_carry_it_and_no_other(cache: TieredCache) -> None:
    cache.set_many({"a": 1, "b": 2}, tags=["pages"])
    cache.add("c", 3, tags=["pages", "tenant:1"])
    cache.get_or_set("d", lambda: 4, tags=["tenant:1"])
    cache.set("e", 5)
    cache.invalidate_tags("pages")
    assert cache.get_many("abcde") == {"d": 4, "e": 5}


def test_a_value_computed_before_an_invalidation_is_not_set_after_it(cache: TieredCache) -> None:
    cache.set("before", 1, tags=["pages"])
    assert cache.get("k") is None
    cache.invalidate_tags("pages")
    cache.set("k", "old", tags=["pages"])
    assert cache.get("k") is None
    assert reading(cache.engine.counts.refused) == 1
    cache.set("k", "new", tags=["pages"])
    assert cache.get("k") == "new"


def test_what_was_there_does_not_survive_a_set_that_is_refused(cache: TieredCache) -> None:
    cache.set("k", "older", tags=["other"])
    assert cache.get("missing") is None
    cache.delete("k")
    assert cache.get("k") is None
    cache.set("k", "untagged")
    cache.invalidate_tags("pages")
    cache.get_or_set("warm", lambda: 1, tags=["pages"])
    cache.delete("k")
    assert cache.get("k") is None
    cache.invalidate_tags("pages")
    cache.set("k", "outdated", tags=["pages"])
    assert cache.get("k") is None


def test_the_first_tag_of_a_cache_comes_in_time_for_a_computation_that_began_before_it(
    cache: TieredCache,
) -> None:
    assert cache.get("k") is None
    cache.invalidate_tags("pages")
    cache.set("k", "old", tags=["pages"])
    assert cache.get("k") is None


def test_get_or_set_stores_nothing_that_was_invalidated_while_it_computed(cache: TieredCache) -> None:
    def compute() -> str:
        cache.invalidate_tags("pages")
        return "old"

    assert cache.get_or_set("k", compute, tags=["pages"]) == "old"
    assert cache.get("k") is None


def test_a_set_that_was_not_preceded_by_a_miss_stands(cache: TieredCache) -> None:
    cache.set("k", 1, tags=["pages"])
    cache.invalidate_tags("pages")
    cache.set("k", 2, tags=["pages"])
    assert cache.get("k") == 2


@pytest.mark.parametrize("mode", ["gone", "", None])
def test_an_unknown_mode_is_said(cache: TieredCache, mode: Any) -> None:
    with pytest.raises(ValueError, match="write 'expire' or 'remove'"):
        cache.invalidate_tags("t", mode=mode)


def test_an_unknown_tier_is_said(cache: TieredCache) -> None:
    with pytest.raises(ValueError, match="tier is 'tepid'; write one of hot, warm, cold"):
        cache.set("k", 1, tier="tepid")


# Computed values


def test_a_default_may_be_a_value_or_a_callable(cache: TieredCache) -> None:
    assert cache.get_or_set("a", 5) == 5
    assert cache.get_or_set("a", 6) == 5
    assert cache.get_or_set("b", lambda: [1], timeout=None, tier="hot") == [1]
    assert places(cache, "b") == ["hot"]


def test_what_somebody_set_meanwhile_stands(cache: TieredCache) -> None:
    def compute() -> str:
        cache.set("k", "set")
        return "computed"

    assert cache.get_or_set("k", compute) == "set"


def test_a_timeout_of_zero_computes_each_time(cache: TieredCache) -> None:
    numbers = iter(range(9))
    assert [cache.get_or_set("k", lambda: next(numbers), timeout=0) for _ in range(3)] == [0, 1, 2]


@override_settings(PERFSUITE={"CACHING": {"ENABLED": False}})
def test_switched_off_values_are_computed_and_plain_set_and_get_go_on(cache: TieredCache) -> None:
    numbers = iter(range(9))
    assert [cache.get_or_set("k", lambda: next(numbers)) for _ in range(2)] == [0, 1]
    assert cache.get_or_set("k", 7) == 7
    cache.set("session", 1)
    assert cache.get("session") == 1


def test_the_host_channel_is_there_by_default(tmp_path: Path) -> None:
    cache = on_host(tmp_path)
    assert cache.engine.channel is not None
    assert list(tmp_path.glob("*.page"))
