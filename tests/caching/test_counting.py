"""Other caches than ours are counted, and behave as if they were not."""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django
import django.core.cache as django_cache
import pytest
from django.core.cache import cache as default_cache
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.test import override_settings

from perfsuite.caching import counting, counts
from perfsuite.caching.counts import guard
from perfsuite.caching.engine import SAMPLE_EVERY
from perfsuite.metrics.recorder import recorder
from tests.recorded import Recorded

HAS_ASYNC = hasattr(BaseCache, "aget")
LOCMEM = "django.core.cache.backends.locmem.LocMemCache"


# Django's database cache speaks SQL that djongo cannot read.
DATABASE = pytest.param("database", marks=pytest.mark.relational)
BACKENDS = ["locmem", "file", DATABASE, "django_redis"] + (["redis"] if django.VERSION >= (4, 0) else [])


@pytest.fixture(params=BACKENDS)
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseCache]:
    """A cache of each kind, known as ``other``; it is empty."""
    backend = str(request.param)
    if backend == "database":
        request.getfixturevalue("db")
    given: dict[str, Any] = {
        "locmem": lambda: {"BACKEND": LOCMEM, "LOCATION": os.urandom(6).hex()},
        "file": lambda: {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": str(tmp_path),
        },
        "database": lambda: {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "cache_table",
        },
        "redis": lambda: {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": request.getfixturevalue("valkey").url,
        },
        "django_redis": lambda: {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": request.getfixturevalue("valkey").url,
        },
    }[backend]()
    with override_settings(CACHES={"default": {"BACKEND": LOCMEM, "LOCATION": "default"}, "other": given}):
        if backend == "database":
            from django.core.management import call_command

            call_command("createcachetable", verbosity=0)
        made = caches["other"]
        made.clear()
        recorder.take()
        yield made
        made.clear()
        made.close()


@pytest.fixture
def locmem() -> Iterator[BaseCache]:
    """A LocMemCache of its own, known as ``other``."""
    with of_backend(LOCMEM) as made:
        yield made


class of_backend:  # noqa: N801 - it reads as the function that it stands for
    """A cache of a backend, known as ``other``, for the block."""

    def __init__(self, backend: str, **params: Any) -> None:
        entry = {"BACKEND": backend, "LOCATION": os.urandom(6).hex(), **params}
        self.settings = override_settings(CACHES={"default": {"BACKEND": LOCMEM}, "other": entry})

    def __enter__(self) -> BaseCache:
        self.settings.enable()
        return caches["other"]

    def __exit__(self, *args: object) -> None:
        self.settings.disable()


@pytest.fixture(autouse=True)
def _none_before(no_caches: None, recorded: Recorded) -> None:
    recorder.take()


def reads(recorded: Recorded) -> tuple[float, float]:
    """Return the hits and misses of the cache ``other``."""
    return recorded.sum("cache.reads", "other", "found"), recorded.sum("cache.reads", "other", "absent")


def test_hits_and_misses_are_counted_and_a_stored_none_is_a_hit(other: BaseCache, recorded: Recorded) -> None:
    assert other.get("page:1") is None
    assert other.get("page:1", "absent") == "absent"
    assert other.get("page:1", default="absent") == "absent"
    other.set("page:1", None)
    assert other.get("page:1") is None
    assert other.get("page:1", "absent") is None
    assert other.get("page:1", default="absent") is None
    assert reads(recorded) == (3, 3)
    assert recorded.sum("cache.sets", "other") == 1


def test_get_many_counts_each_key(other: BaseCache, recorded: Recorded) -> None:
    assert other.set_many({"a": 1, "b": 2, "c": 3}) in ([], None)
    assert other.get_many(["a", "b", "x"]) == {"a": 1, "b": 2}
    assert other.get_many(key for key in ("a", "y", "z")) == {"a": 1}
    assert other.get_many(keys=("c",)) == {"c": 3}
    assert reads(recorded) == (4, 3)
    assert recorded.sum("cache.sets", "other") == 3
    other.delete_many(["a", "b"])
    other.delete("c")
    assert recorded.sum("cache.deletes", "other") == 3


def test_get_or_set_is_one_read_and_what_it_computes_with_counts_as_ever(
    other: BaseCache, recorded: Recorded
) -> None:
    other.set("part", 1)

    def compute() -> int:
        return int(other.get("part")) + 1

    assert other.get_or_set("whole", compute) == 2
    assert reads(recorded) == (1, 1)
    assert other.get_or_set("whole", compute) == 2
    assert reads(recorded) == (2, 1)
    assert recorded.sum("cache.sets", "other") == 2


def test_asking_whether_a_key_is_there_and_counting_up_are_no_reads(
    other: BaseCache, recorded: Recorded
) -> None:
    other.set("number", 1)
    assert "number" in other
    assert other.has_key("number")
    assert "nothing" not in other
    assert other.incr("number") == 2
    assert other.decr("number", 2) == 0
    assert other.touch("number", 10) is True
    assert other.incr_version("number") == 2
    assert reads(recorded) == (0, 0)
    assert recorded.sum("cache.sets", "other") == 1
    assert recorded.sum("cache.deletes", "other") == 0


def test_add_is_a_set_where_it_stored(other: BaseCache, recorded: Recorded) -> None:
    assert other.add("lock", 1) is True
    assert other.add("lock", 2) is False
    assert reads(recorded) == (0, 0)
    assert recorded.sum("cache.sets", "other") == 1


def test_each_call_has_its_time_and_those_within_it_none(other: BaseCache, recorded: Recorded) -> None:
    other.get("a")
    other.get_many(["a", "b"])
    other.set("a", 1)
    other.incr("a")
    other.delete("a")
    other.get_or_set("a", 1)
    operations = {
        name: recorded.count("cache.time", "other", name) for name in ("get", "set", "delete", "other")
    }
    # get_or_set reads, adds and reads again.
    assert operations["get"] in (3, 4)
    assert (operations["set"], operations["delete"], operations["other"]) == (2, 1, 1)
    assert recorded.sum("cache.time") > 0


@pytest.mark.skipif(not HAS_ASYNC, reason="asynchronous methods came with Django 4.0")
def test_asynchronous_calls_are_counted_once(other: BaseCache, recorded: Recorded) -> None:
    if "database" in str(type(other)).lower() or "db" in type(other).__module__:
        pytest.skip("the tables of a test's transaction are seen by its own thread only")

    async def calls() -> None:
        assert await other.aget("a") is None
        await other.aset("a", None)
        assert await other.aget("a", "absent") is None
        await other.aset_many({"b": 1, "c": 2})
        assert await other.aget_many(["b", "c", "x"]) == {"b": 1, "c": 2}
        assert await other.aget_or_set("made", lambda: 7) == 7
        assert await other.aget_or_set("made", lambda: 8) == 7
        assert await other.ahas_key("made")
        assert await other.aincr("b") == 2
        await other.adelete("a")
        await other.adelete_many(["b", "c"])

    asyncio.run(calls())
    assert reads(recorded) == (4, 3)
    assert recorded.sum("cache.sets", "other") == 4
    assert recorded.sum("cache.deletes", "other") == 3


@pytest.mark.skipif(not HAS_ASYNC, reason="asynchronous methods came with Django 4.0")
def test_many_tasks_are_counted_exactly(locmem: BaseCache, recorded: Recorded) -> None:
    async def read(number: int) -> None:
        await locmem.aset(f"k{number}", number)
        assert await locmem.aget(f"k{number}") == number
        assert await locmem.aget("nothing") is None

    async def all_of_them() -> None:
        await asyncio.gather(*(read(number) for number in range(40)))

    asyncio.run(all_of_them())
    assert reads(recorded) == (40, 40)


def test_eight_threads_are_counted_exactly(locmem: BaseCache, recorded: Recorded) -> None:
    locmem.set("there", 1, None)
    begin = threading.Barrier(8)

    def read() -> None:
        begin.wait(20)
        mine = caches["other"]
        for _ in range(1_000):
            mine.get("there")
            mine.get("nothing")

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reads(recorded) == (8_000, 8_000)
    assert recorded.count("cache.time", "other", "get") == 16_000


def test_a_cache_that_keeps_nothing_has_only_misses(recorded: Recorded) -> None:
    with of_backend("django.core.cache.backends.dummy.DummyCache") as dummy:
        dummy.set("a", 1)
        assert dummy.get("a") is None
    assert reads(recorded) == (0, 1)


def test_one_read_in_so_many_shows_its_prefix(locmem: BaseCache, recorded: Recorded) -> None:
    locmem.set("page:1", 1)
    for _ in range(SAMPLE_EVERY * 2):
        locmem.get("page:1")
    assert recorded.sum("cache.prefixes", "other", "page", "hit") == 2


def test_the_cache_looks_as_it_did(locmem: BaseCache) -> None:
    cls = type(locmem)
    assert isinstance(locmem, LocMemCache)
    assert (cls.__name__, cls.__module__, cls.__doc__) == (
        "LocMemCache",
        LocMemCache.__module__,
        LocMemCache.__doc__,
    )
    assert repr(cls) == repr(LocMemCache)
    assert inspect.signature(locmem.get) == inspect.signature(LocMemCache("x", {}).get)
    assert vars(locmem).keys() == vars(LocMemCache("x", {})).keys()


class Picky(LocMemCache):
    """A host's cache that can do nothing with a default that it does not know."""

    seen: list[Any] = []

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        Picky.seen.append(default)
        return pickle.loads(pickle.dumps(super().get(key, default, version)))


class Odd(LocMemCache):
    """A host's cache whose methods ask for other arguments."""

    def get(self, key: Any) -> Any:  # type: ignore[override]
        return super().get(key)


def test_a_hosts_own_get_sees_the_default_that_the_host_gave(recorded: Recorded) -> None:
    Picky.seen.clear()
    with of_backend(f"{__name__}.Picky") as picky:
        assert picky.get("a") is None
        picky.set("a", 1)
        assert picky.get("a", 5) == 1
    assert Picky.seen == [None, 5]
    assert reads(recorded) == (1, 1)
    with of_backend(f"{__name__}.Odd") as odd:
        assert odd.get("a") is None
        with pytest.raises(TypeError):
            odd.get("a", 5)
        with pytest.raises(TypeError):
            odd.get()
    assert reads(recorded) == (1, 2)
    assert recorded.sum("cache.events", "other", "failed") == 2


class Locked(LocMemCache):
    """A host's cache whose class allows no other in its place."""

    def __init_subclass__(cls) -> None:
        raise TypeError("no subclasses")


def test_a_class_that_allows_no_subclass_is_left_as_it_is(recorded: Recorded) -> None:
    with of_backend(f"{__name__}.Locked") as locked:
        locked.set("a", 1)
        assert locked.get("a") == 1
        assert type(locked) is Locked
    assert recorded.sum("self.failures", "caches") >= 1  # once for each thread that asks for it


class Failing(LocMemCache):
    """A cache whose server is away."""

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        raise ConnectionError("away")


def test_what_a_cache_raises_is_the_hosts_and_counted(recorded: Recorded) -> None:
    with of_backend(f"{__name__}.Failing") as failing, pytest.raises(ConnectionError, match="away"):
        failing.get("a")
    assert reads(recorded) == (0, 0)
    assert recorded.sum("cache.events", "other", "failed") == 1
    assert recorded.count("cache.time", "other", "get") == 1


def broken(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("broken")


@pytest.mark.parametrize(
    "hook",
    [
        (counts.AliasCounts, "read"),
        (counts.AliasCounts, "took"),
        (counting.PLANS["get"], "before"),
        (counting.PLANS["get"], "after"),
        (counting.PLANS["get_many"], "before"),
        (counting.PLANS["get_many"], "after"),
        (counting.PLANS["set"], "after"),
        (counting.PLANS["delete"], "after"),
        (counting, "advance"),
    ],
)
def test_a_hook_that_fails_leaves_the_call_alone(
    hook: tuple[Any, str], locmem: BaseCache, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(*hook, broken)
        everything(locmem)
    assert recorded.sum("self.failures", "caches") >= 1


def everything(cache: BaseCache) -> None:
    """Do what can be done with a cache."""
    cache.set("a", None)
    assert cache.get("a", "absent") is None
    assert cache.get("b", "absent") == "absent"
    assert cache.get_many(iter(["a", "b"])) in ({"a": None}, {})  # Django 3.1 leaves out a stored None
    cache.set_many({"c": 1})
    cache.delete_many(["c"])
    cache.delete("a")
    assert cache.get_or_set("d", lambda: 4) == 4


def test_a_hook_that_fails_when_a_cache_is_made_leaves_the_cache_alone(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(counting, "_counted_class", broken)
        with of_backend(LOCMEM) as cache:
            assert type(cache) is LocMemCache
            everything(cache)
    assert recorded.sum("self.failures", "caches") >= 1


def test_counting_that_fails_too_often_stops_and_the_cache_goes_on(
    locmem: BaseCache, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(counts.AliasCounts, "read", broken)
        for _ in range(20):
            locmem.get("a")
    assert not guard.on
    locmem.set("a", 1)
    assert locmem.get("a") == 1
    assert recorded.sum("cache.sets", "other") == 0


def test_what_is_installed_twice_is_taken_back_by_one_call(recorded: Recorded) -> None:
    owner, name = counting.hook.owner, counting.hook.name
    ours = getattr(owner, name)
    counting.install()
    assert getattr(owner, name) is ours
    try:
        with of_backend(LOCMEM) as cache:
            assert type(cache) is not LocMemCache
            counting.uninstall()
            assert getattr(owner, name) is not ours
            assert type(cache) is LocMemCache
            cache.get("a")
            counting.uninstall()
        with of_backend(LOCMEM) as cache:
            assert type(cache) is LocMemCache
            counting.install()
            assert type(cache) is not LocMemCache
            cache.get("a")
    finally:
        counting.install()
    assert reads(recorded) == (0, 1)


def test_a_cache_that_another_thread_holds_counts_no_more_when_taken_back(recorded: Recorded) -> None:
    ready, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        cache = caches["other"]
        cache.get("a")
        ready.set()
        go_on.wait(20)
        cache.get("a")

    with of_backend(LOCMEM):
        thread = threading.Thread(target=hold)
        thread.start()
        ready.wait(20)
        counting.uninstall()
        try:
            go_on.set()
            thread.join()
        finally:
            counting.install()
    assert reads(recorded) == (0, 1)


def test_somebody_elses_patch_over_ours_stays(recorded: Recorded) -> None:
    owner, name = counting.hook.owner, counting.hook.name
    ours = getattr(owner, name)
    made: list[Any] = []

    def theirs(*args: Any) -> Any:
        cache = ours(*args)
        made.append(cache)
        return cache

    setattr(owner, name, theirs)
    try:
        counting.uninstall()
        assert getattr(owner, name) is theirs
        with of_backend(LOCMEM) as cache:
            assert made == [cache]
            assert type(cache) is LocMemCache
        counting.install()
        with of_backend(LOCMEM) as cache:
            cache.get("a")
    finally:
        counting.uninstall()
        setattr(owner, name, ours)
        counting.hook.ours = counting.hook.original = None
        restored: Callable[..., Any] = ours.__wrapped__  # type: ignore[attr-defined]
        setattr(owner, name, restored)
        counting.install()
    assert reads(recorded) == (0, 1)


def test_the_setting_takes_it_off_and_puts_it_on_again(recorded: Recorded) -> None:
    with override_settings(PERFSUITE={"CACHING": {"COUNT_ALIASES": False}}), of_backend(LOCMEM) as cache:
        assert type(cache) is LocMemCache
        cache.get("a")
    with of_backend(LOCMEM) as cache:
        cache.get("a")
    assert reads(recorded) == (0, 1)


def test_our_own_cache_counts_by_itself() -> None:
    with of_backend("perfsuite.caching.TieredCache", OPTIONS={"CHANNEL": "none"}) as cache:
        assert not hasattr(type(cache), "_perfsuite_counted")


def test_the_default_cache_is_counted_under_its_alias(recorded: Recorded) -> None:
    with of_backend(LOCMEM):
        default_cache.get("a")
    assert recorded.sum("cache.reads", "default", "absent") == 1


@pytest.mark.parametrize(
    ("value", "printed"), [("true", "LocMemCache perfsuite 2"), ("false", "BaseCache django 0")]
)
def test_the_environment_says_whether_anything_is_installed_at_all(value: str, printed: str) -> None:
    code = """
import django
django.setup()
from django.core.cache import caches
from perfsuite.caching import counting
from perfsuite.metrics.recorder import recorder
made = getattr(counting.hook.owner, counting.hook.name)
print(
    type(caches["default"]).__mro__[1].__name__,
    "perfsuite" if made.__code__.co_filename.endswith("counting.py") else "django",
    len([source for source in recorder._sources if "caching" in source.__module__]),
)
"""
    env = {**os.environ, "ENABLE_PERFORMANCE_MONITORING": value, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == printed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_leaves_its_parents_calls_to_the_parent(locmem: BaseCache, recorded: Recorded) -> None:
    locmem.get("a")
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        locmem.get("a")
        taken = recorder.take()
        os.write(
            sending,
            repr({key: value.sum for key, value in taken.items() if key[0] == "cache.reads"}).encode(),
        )
        os._exit(0)
    os.close(sending)
    with os.fdopen(receiving) as told:
        assert told.read() == repr({("cache.reads", ("other", "absent")): 1.0})
    os.waitpid(child, 0)
    assert reads(recorded) == (0, 1)


def test_the_debug_toolbars_patch_goes_with_ours(recorded: Recorded) -> None:
    from debug_toolbar.panels import cache as toolbar

    if not hasattr(toolbar, "_monkey_patch_cache"):
        pytest.skip("this version of the toolbar patches another way")

    class Panel:
        calls: list[str] = []

        def _record_call(
            self, cache: Any, alias: str, name: str, original: Any, args: Any, kwargs: Any
        ) -> Any:
            self.calls.append(name)
            return original(*args, **kwargs)

    with of_backend(LOCMEM) as cache:
        toolbar._monkey_patch_cache(cache, "other", Panel())
        cache.set("a", 1)
        assert cache.get("a") == 1
        assert cache.get("b") is None
    assert Panel.calls == ["set", "get", "get"]
    assert reads(recorded) == (1, 1)
    assert django_cache is not None
