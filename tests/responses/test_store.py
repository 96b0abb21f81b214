"""Where pages are kept: the same promises in a tiered cache, in LocMem and in Redis."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.test import override_settings

from perfsuite.caching import invalidate_tags
from perfsuite.responses.store import Faults, Store, TieredStore, _made_at, store_of
from tests.responses.site import LOCMEM, TIERED
from tests.valkey import Valkey, valkey


@pytest.fixture(scope="module")
def server() -> Iterator[Valkey]:
    with valkey() as running:
        yield running


def _redis(server: Valkey) -> dict[str, Any]:
    options = {"SOCKET_TIMEOUT": 5, "SOCKET_CONNECT_TIMEOUT": 5}
    return {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": server.url, "OPTIONS": options}


@pytest.fixture(params=["tiered", "locmem", "redis", "tiered over redis"])
def store(request: pytest.FixtureRequest, server: Valkey) -> Iterator[Store]:
    shared = {"BACKEND": "perfsuite.caching.TieredCache", "OPTIONS": {"TIERS": {"cold": {"ALIAS": "shared"}}}}
    default = {"tiered": TIERED, "locmem": LOCMEM, "redis": _redis(server), "tiered over redis": shared}[
        request.param
    ]
    with override_settings(CACHES={"default": default, "shared": _redis(server)}):
        caches["default"].clear()
        found = store_of("default")
        assert found is not None
        yield found
        caches["default"].clear()


VALUE = ("page.1", 200, "", {"a": ("A", "1")}, b"x" * 100, None, 1.5, True)


def test_a_value_comes_back_as_it_was(store: Store) -> None:
    assert store.read("k") is None
    assert store.write("k", VALUE, 60, (), store.mark())
    assert store.read("k") == VALUE

    store.drop(["k"])
    assert store.read("k") is None


def test_bytes_come_back_as_they_were(store: Store) -> None:
    store.write_part("b", b"\x00\xff" * 50_000, 60)

    assert store.read_part("b") == b"\x00\xff" * 50_000
    assert store.peek_part("b") in (None, store.read_part("b"))
    assert store.read_part("none") is None


def test_one_of_its_tags_makes_a_value_a_miss(store: Store) -> None:
    for key, tags in (("a", ("one", "two")), ("b", ("two",)), ("c", ("three",))):
        assert store.write(key, VALUE, 60, tags, store.mark())

    store.invalidate(["two"])

    assert [store.read(key) for key in ("a", "b", "c")] == [None, None, VALUE]
    assert store.read("c") == VALUE


def test_what_was_begun_before_an_invalidation_is_not_stored(store: Store) -> None:
    mark = store.mark()
    store.invalidate(["t"])

    assert not store.write("k", VALUE, 60, ("other", "t"), mark)
    assert store.read("k") is None
    assert store.write("k", VALUE, 60, ("other",), store.mark())
    assert store.write("late", VALUE, 60, (), mark)


def test_the_turn_is_one_processs_at_a_time(store: Store) -> None:
    first = store.lock("k", 5)
    assert first
    if store.is_shared:
        assert store.lock("k", 5) is None
        store.unlock("k", "somebody else's")
        assert store.lock("k", 5) is None
    store.unlock("k", first)
    second = store.lock("k", 5)
    assert second
    store.unlock("k", second)


def test_memory_is_asked_without_waiting(store: Store) -> None:
    assert store.write("k", VALUE, 60, (), store.mark())

    assert store.is_local == (not store.is_shared)
    peeked = store.peek("k")
    assert peeked == (None if type(store) is Store and store.is_shared else VALUE)


def test_tags_of_the_project_reach_tiered_caches_by_themselves(store: Store) -> None:
    if not isinstance(store, TieredStore):
        pytest.skip("the middleware tells the others")
    store.write("k", VALUE, 60, ("t",), store.mark())
    invalidate_tags("t")

    assert store.read("k") is None


def test_a_lost_token_is_a_miss() -> None:
    with override_settings(CACHES={"default": LOCMEM}):
        store = store_of("default")
        assert store is not None
        store.write("k", VALUE, 60, ("t",), store.mark())
        caches["default"].delete("response.tag:t")

        assert store.read("k") is None


def test_wrong_tags_are_not_stored(store: Store) -> None:
    assert not store.write("k", VALUE, 60, ("",), store.mark())
    assert not store.write("k", VALUE, 60, (7,), store.mark())  # type: ignore[arg-type]


def test_a_server_that_is_away_is_no_error(server: Valkey, caplog: Any) -> None:
    with override_settings(CACHES={"default": _redis(server)}):
        store = store_of("default")
        assert store is not None
        server.end()
        try:
            assert store.read("k") is None
            assert not store.write("k", VALUE, 60, ("t",), store.mark())
            assert store.read_part("k") is None
            store.drop(["k"])
            store.invalidate(["t"])
            store.write_part("k", b"", 60)
            token = store.lock("k", 5)
            assert token
            store.unlock("k", token)
        finally:
            server.start()
    assert len([record for record in caplog.records if record.name == "perfsuite.responses"]) <= 1


def test_faults_are_logged_once_a_second(caplog: Any) -> None:
    caplog.set_level(logging.ERROR, "perfsuite.responses")
    faults = Faults()
    for _ in range(100):
        faults.add(ValueError("x"), "A test")

    assert faults.count == 100
    assert len(caplog.records) <= 2


def test_a_token_that_is_none_counts_as_new() -> None:
    assert _made_at("1.5:abc") == 1.5
    assert _made_at("nonsense") == float("inf")
