"""Counting what is done with the caches in ``CACHES`` that are not ours: LocMem, Redis, Memcached, whatever it is.

A cache that Django makes gets, in place of its class, a subclass with the same name whose methods count and then do what they
did. That is the one patch: of the function in which Django makes a cache. ``uninstall`` takes it back, and the caches that
other threads hold stop counting.

What a method does by calling others of the same cache is one call. A read is a hit if something came back that is not the
default; only where the method is Django's or django-redis's own can another default be put in its place, so that a stored None
is a hit. Others may do with their default what they like, and there a stored None is taken for a miss.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextvars import ContextVar
from functools import wraps
from time import perf_counter
from typing import Any

import django.core.cache as django_cache
from django.conf import settings
from django.core.cache import caches
from django.core.signals import setting_changed

from perfsuite.caching.conf import CachingSettings
from perfsuite.caching.counts import AliasCounts, advance, guard, observations, of_alias
from perfsuite.caching.tiered import TieredCache
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.recorder import recorder
from perfsuite.metrics.request import in_hand

READS, SETS, DELETES = ("get", "get_many"), ("set", "add", "set_many"), ("delete", "delete_many")
OTHERS = ("touch", "has_key", "incr", "decr", "incr_version", "decr_version", "clear")
OPERATION = {
    **dict.fromkeys(READS, "get"),
    **dict.fromkeys(SETS, "set"),
    **dict.fromkeys(DELETES, "delete"),
    **dict.fromkeys(OTHERS, "other"),
}
_MISSING = object()
_UNPLANNED = object()
_KNOWN = ("django.core.cache.backends.", "django_redis.")

# The caches in one of whose methods this context is.
_inside: ContextVar[tuple[int, ...]] = ContextVar("perfsuite_cache_calls", default=())
# The key that get_or_set is about: the cache, the key, and whether its first read was counted.
_once: ContextVar[list[Any] | None] = ContextVar("perfsuite_cache_once", default=None)


class _Hook:
    """Whether other caches are counted now, and the function of Django's that was there before."""

    def __init__(self) -> None:
        self.on = False
        self.owner, self.name = _maker()
        self.original: Any = None
        self.ours: Any = None


def _maker() -> tuple[Any, str]:
    """Return where Django makes a cache: a method since 3.2, a function of the module before."""
    if hasattr(django_cache.CacheHandler, "create_connection"):
        return django_cache.CacheHandler, "create_connection"
    return django_cache, "_create_cache"


hook = _Hook()


def follow_settings() -> None:
    """Count where monitoring and ``COUNT_ALIASES`` are on, and when they change. Idempotent."""
    setting_changed.connect(_on_setting_changed, dispatch_uid="perfsuite.caching.counting")
    _on_setting_changed(setting="PERFSUITE")


def _on_setting_changed(*, setting: str, **kwargs: object) -> None:
    if setting == "PERFSUITE":
        if MetricsSettings.get().enabled and CachingSettings.get().count_aliases:
            install()
        else:
            uninstall()


def install() -> None:
    """Count the caches that Django makes from now on, and those that this thread has. Idempotent."""
    if hook.on:
        return
    hook.on = True
    recorder.before_take(observations)
    original = getattr(hook.owner, hook.name)
    if original is not hook.ours:  # else another's patch has kept ours where it was
        hook.original, hook.ours = original, _making(original)
        setattr(hook.owner, hook.name, hook.ours)
    for alias, cache in _made():
        count_calls(cache, alias)


def uninstall() -> None:
    """Count no more. A patch that somebody has made over ours keeps it, without effect."""
    if not hook.on:
        return
    hook.on = False
    if getattr(hook.owner, hook.name) is hook.ours:
        setattr(hook.owner, hook.name, hook.original)
        hook.original = hook.ours = None
    for _, cache in _made():
        if counted_from := getattr(type(cache), "_perfsuite_counted", None):
            cache.__class__ = counted_from


def _making(original: Any) -> Any:
    @wraps(original)
    def made(*args: Any, **kwargs: Any) -> Any:
        cache = original(*args, **kwargs)
        alias = args[-1] if args else None
        if isinstance(alias, str) and alias in settings.CACHES:
            count_calls(cache, alias)
        return cache

    return made


def _made() -> list[tuple[str, Any]]:
    """Return the caches that this thread has, by their aliases, and make none."""
    if hook.name == "_create_cache":
        held = caches._caches  # type: ignore[attr-defined]  # noqa: SLF001 - Django 3.1
        return list(getattr(held, "caches", {}).items())
    held = caches._connections  # type: ignore[attr-defined]  # noqa: SLF001 - as all() asks it
    return [(alias, getattr(held, alias)) for alias in caches if hasattr(held, alias)]


def count_calls(cache: Any, alias: str) -> None:
    """Have the calls of a cache counted under an alias; one of ours counts by itself. Never raises."""
    try:
        cls = type(cache)
        if hook.on and not isinstance(cache, TieredCache) and not hasattr(cls, "_perfsuite_counted"):
            cache.__class__ = _counted_class(cls, alias, _takes_any_default(cache))
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)


_classes: dict[tuple[type, str, bool], type] = {}


def _counted_class(cls: type, alias: str, any_default: bool) -> type:
    found = _classes.get((cls, alias, any_default))
    if found is None:
        counts = of_alias(alias)
        body: dict[str, Any] = {
            "__module__": cls.__module__,
            "__qualname__": cls.__qualname__,
            "__slots__": (),
        }
        body.update(__doc__=cls.__doc__, _perfsuite_counted=cls)
        for name in ("get_or_set", *OPERATION):
            for each in (name, f"a{name}"):
                if original := getattr(cls, each, None):
                    body[each] = _counting(original, name, counts, any_default)
        found = _classes[cls, alias, any_default] = type(cls)(cls.__name__, (cls,), body)
    return found


def _takes_any_default(cache: Any) -> bool:
    """Tell whether ``get`` hands its default back untouched, whatever it is."""
    client = getattr(cache, "_client_cls", None)
    asked = [type(cache).get, type(cache).get_many, *([] if client is None else [client])]
    return all(str(getattr(each, "__module__", "")).startswith(_KNOWN) for each in asked)


def _counting(original: Any, name: str, counts: AliasCounts, any_default: bool) -> Any:
    """Return a method that counts and does what ``original`` does."""
    if name == "get_or_set":
        return _counting_once(original)
    plan, operation = PLANS[name](any_default), OPERATION[name]

    if inspect.iscoroutinefunction(original):

        @wraps(original)
        async def acall(self: Any, *args: Any, **kwargs: Any) -> Any:
            within = _inside.get()
            if not hook.on or not guard.on or id(self) in within:
                return await original(self, *args, **kwargs)
            args, kwargs, note = _planned(plan, args, kwargs)
            token, started = _inside.set((*within, id(self))), perf_counter()
            try:
                result = await original(self, *args, **kwargs)
            except Exception:
                _failed(counts, operation, perf_counter() - started)
                raise
            finally:
                _inside.reset(token)
            return _told(plan, counts, operation, perf_counter() - started, self, note, result)

        return acall

    @wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        within = _inside.get()
        if not hook.on or not guard.on or id(self) in within:
            return original(self, *args, **kwargs)
        args, kwargs, note = _planned(plan, args, kwargs)
        token, started = _inside.set((*within, id(self))), perf_counter()
        try:
            result = original(self, *args, **kwargs)
        except Exception:
            _failed(counts, operation, perf_counter() - started)
            raise
        finally:
            _inside.reset(token)
        return _told(plan, counts, operation, perf_counter() - started, self, note, result)

    return call


def _counting_once(original: Any) -> Any:
    """Return ``get_or_set`` so that the reads of its key are one read; what the computation reads counts as ever."""
    if inspect.iscoroutinefunction(original):

        @wraps(original)
        async def acall(self: Any, *args: Any, **kwargs: Any) -> Any:
            token = _once.set([id(self), args[0] if args else kwargs.get("key"), False])
            try:
                return await original(self, *args, **kwargs)
            finally:
                _once.reset(token)

        return acall

    @wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        token = _once.set([id(self), args[0] if args else kwargs.get("key"), False])
        try:
            return original(self, *args, **kwargs)
        finally:
            _once.reset(token)

    return call


def _planned(
    plan: Plan, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
    try:
        return plan.before(args, kwargs)
    except Exception as exc:  # noqa: BLE001 - the guard's; the call goes on as it was made
        guard.failed(exc)
        return args, kwargs, _UNPLANNED


def _told(
    plan: Plan, counts: AliasCounts, operation: str, seconds: float, cache: object, note: Any, result: Any
) -> Any:
    """Count a call that came to its end; return its result, with the host's own default in it."""
    try:
        _took(counts, operation, seconds)
        if note is not _UNPLANNED:
            plan.after(counts, cache, note, result)
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)
    return note[1] if result is _MISSING else result


def _failed(counts: AliasCounts, operation: str, seconds: float) -> None:
    try:
        _took(counts, operation, seconds)
        next(counts.failed)
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)


def _took(counts: AliasCounts, operation: str, seconds: float) -> None:
    counts.took(operation, seconds)
    if (tally := in_hand()) is not None:
        tally.cache_s += seconds


class Plan:
    """What is noted of a call before it, and what is counted after it; this one notes all and counts nothing."""

    def __init__(self, any_default: bool) -> None:
        self.any_default = any_default

    def before(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
        """Return the arguments to call with, and a note."""
        return args, kwargs, args[0] if args else next(iter(kwargs.values()), None)

    def after(self, counts: AliasCounts, cache: object, note: Any, result: Any) -> None:
        """Count."""


class _Get(Plan):
    def before(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
        key = args[0] if args else kwargs["key"]
        default = args[1] if len(args) > 1 else kwargs.get("default")
        if self.any_default and len(args) > 1:
            args = (key, _MISSING, *args[2:])
        elif self.any_default:
            kwargs = {**kwargs, "default": _MISSING}
        return args, kwargs, (key, default)

    def after(self, counts: AliasCounts, cache: object, note: Any, result: Any) -> None:
        key, default = note
        once = _once.get()
        if once is not None and once[0] == id(cache) and once[1] == key:
            if once[2]:
                return
            once[2] = True
        counts.read(key, result is not (_MISSING if self.any_default else default))


class _Many(Plan):
    """Of several keys. An iterator can be read once only: its keys are kept while the cache reads them."""

    def before(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
        keys = args[0] if args else kwargs["keys"]
        if not isinstance(keys, Iterator):
            return args, kwargs, keys
        kept: list[Any] = []
        keys = _keeping(keys, kept)
        return ((keys, *args[1:]), kwargs, kept) if args else (args, {**kwargs, "keys": keys}, kept)


def _keeping(keys: Iterator[Any], kept: list[Any]) -> Iterator[Any]:
    for key in keys:
        kept.append(key)
        yield key


class _GetMany(_Many):
    def after(self, counts: AliasCounts, cache: object, note: Any, result: Any) -> None:
        for key in note:
            counts.read(key, key in result)


class _DeleteMany(_Many):
    def after(self, counts: AliasCounts, cache: object, note: Any, result: Any) -> None:
        advance(counts.deletes, len(note))


class _Set(Plan):
    def after(self, counts: AliasCounts, cache: object, note: Any, result: Any) -> None:
        next(counts.sets)


class _Add(Plan):
    def after(self, counts: AliasCounts, cache: object, note: Any, result: Any) -> None:
        if result:
            next(counts.sets)


class _SetMany(Plan):
    def after(self, counts: AliasCounts, cache: object, note: Any, result: Any) -> None:
        advance(counts.sets, len(note) - len(result or ()))


class _Delete(Plan):
    def after(self, counts: AliasCounts, cache: object, note: Any, result: Any) -> None:
        next(counts.deletes)


PLANS: dict[str, type[Plan]] = {
    **dict.fromkeys(OTHERS, Plan),
    "get": _Get,
    "get_many": _GetMany,
    "set": _Set,
    "add": _Add,
    "set_many": _SetMany,
    "delete": _Delete,
    "delete_many": _DeleteMany,
}
