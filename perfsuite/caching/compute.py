"""``get_or_set``: the value that is there, or one that is computed once for all who want it.

The tokens of the tags are taken before the computation begins, so what was invalidated meanwhile is stored for nobody. What has
expired and may be served as stale is served at once, and one refresh runs behind it; if that fails, the next waits a while.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from perfsuite.caching import refresh
from perfsuite.caching.entry import Entry
from perfsuite.caching.flight import await_, wait

if TYPE_CHECKING:
    from perfsuite.caching.asynchronous import AsyncMethods
    from perfsuite.caching.engine import Engine
    from perfsuite.caching.storing import Storing

logger = logging.getLogger("perfsuite.caching")

# After a refresh that failed, the stale value is served for so long before the next attempt.
THROTTLE_S = 5.0
MAX_THROTTLED = 10_000
_now = time.time


@dataclass(frozen=True)
class Wanted:
    """What is asked for: the full key, and how to store what is computed."""

    full: str
    timeout: Any
    tags: tuple[str, ...]
    place: int | None
    stale_for: float | None


def get_or_compute(cache: Storing, wanted: Wanted, factory: Callable[[], Any]) -> Any:
    """Return the value of the key, computed by ``factory()`` if there is none. Raises what that raises."""
    engine, full = cache.engine, wanted.full
    entry = cache.lookup(full)
    if entry is not None:
        _refresh_early(cache, wanted, entry, factory)
        return entry.value()
    if engine.flights.leads_already(full):
        return factory()
    patience = time.monotonic() + engine.options.wait
    while True:
        flight, leads = engine.flights.join(full)
        stale = engine.stale(full, _now())
        if leads:
            return _lead(cache, wanted, flight, factory, stale)
        if stale is not None:
            next(engine.counts.stale)
            return stale.value()
        next(engine.counts.coalesced)
        entry = wait(flight, max(0.0, patience - time.monotonic()))
        if entry is not None:
            return entry.value()
        if time.monotonic() >= patience:
            return _computed(cache, wanted, factory).value()


async def aget_or_compute(cache: AsyncMethods, wanted: Wanted, factory: Callable[[], Any]) -> Any:
    """Do the same in a task; ``factory`` may be a coroutine function."""
    engine, full = cache.engine, wanted.full
    entry = await cache.alookup(full)
    if entry is not None:
        return entry.value()
    if engine.flights.leads_already(full):
        return await awaited(factory())
    patience = time.monotonic() + engine.options.wait
    while True:
        flight, leads = engine.flights.join(full)
        stale = engine.stale(full, _now())
        if leads and stale is None:
            return (await _afly(cache, wanted, flight, factory)).value()
        if stale is not None:
            next(engine.counts.stale)
            if leads:
                _arefresh(cache, wanted, flight, factory, stale)
            return stale.value()
        next(engine.counts.coalesced)
        entry = await await_(flight, max(0.0, patience - time.monotonic()))
        if entry is not None:
            return entry.value()
        if time.monotonic() >= patience:
            return (await _acomputed(cache, wanted, factory)).value()


async def _afly(
    cache: AsyncMethods, wanted: Wanted, flight: Future[Entry], factory: Callable[[], Any]
) -> Entry:
    engine, full = cache.engine, wanted.full
    with engine.flights.leading(full, flight):
        entry = engine.fresh(full, _now())  # another flight may have landed since the miss
        if entry is None and engine.shared is None:
            entry = await _acomputed(cache, wanted, factory)
        elif entry is None:
            turn = engine.shared.turn(full)
            entry = await in_thread(turn.__enter__)
            try:
                entry = entry or await _acomputed(cache, wanted, factory)
            finally:
                await in_thread(turn.__exit__, None, None, None)
        flight.set_result(entry)
    return entry


# Tasks that nobody waits for; the event loop holds only weak references to its tasks.
_tasks: set[asyncio.Task[None]] = set()


def _arefresh(
    cache: AsyncMethods, wanted: Wanted, flight: Future[Entry], factory: Callable[[], Any], stale: Entry
) -> None:
    """Compute anew in a task of its own, unless that failed a moment ago."""
    engine, full = cache.engine, wanted.full
    if _is_throttled(engine, full) or len(_tasks) >= refresh.MAX_WAITING:
        with engine.flights.leading(full, flight):
            flight.set_result(stale)
        return

    async def refreshed() -> None:
        try:
            await _afly(cache, wanted, flight, factory)
        except Exception:
            _throttle(engine, full)
            logger.exception("A value could not be computed anew; the stale one is served on.")
        else:
            engine.throttled.pop(full, None)

    task = asyncio.get_running_loop().create_task(refreshed())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    # A task that is cancelled before it begins never leads.
    task.add_done_callback(lambda _: engine.flights.abandon(full, flight))


async def in_thread(work: Callable[..., Any], *args: Any) -> Any:
    """Run what waits for the network in a thread, not the one that Django's own blocking code shares."""
    return await sync_to_async(work, thread_sensitive=False)(*args)


def _lead(
    cache: Storing, wanted: Wanted, flight: Future[Entry], factory: Callable[[], Any], stale: Entry | None
) -> Any:
    engine, full = cache.engine, wanted.full

    def fly() -> Entry:
        with engine.flights.leading(full, flight):
            # Another flight may have landed since the miss.
            entry = engine.fresh(full, _now()) or _computed_for_all(cache, wanted, factory)
            flight.set_result(entry)
        return entry

    if stale is None:
        return fly().value()
    next(engine.counts.stale)
    if _is_throttled(engine, full) or not refresh.background.do(lambda: _refreshed(engine, full, fly)):
        with engine.flights.leading(full, flight):
            flight.set_result(stale)
    return stale.value()


def _refresh_early(cache: Storing, wanted: Wanted, entry: Entry, factory: Callable[[], Any]) -> None:
    """Have a value computed anew before it expires, where the caller would rather see an old one than wait."""
    engine, options = cache.engine, cache.engine.options
    if not entry.stale_for or not options.refresh_at:
        return
    due = entry.created + options.refresh_at * (entry.expires - entry.created)
    if _now() < due or _is_throttled(engine, wanted.full):
        return
    flight, leads = engine.flights.join(wanted.full)
    if not leads:
        return

    def fly() -> None:
        with engine.flights.leading(wanted.full, flight):
            flight.set_result(_computed(cache, wanted, factory, replace=True))

    if not refresh.background.do(lambda: _refreshed(engine, wanted.full, fly)):
        with engine.flights.leading(wanted.full, flight):
            flight.set_result(entry)


def _refreshed(engine: Engine, full: str, fly: Callable[[], object]) -> None:
    try:
        fly()
    except Exception:
        _throttle(engine, full)
        raise
    engine.throttled.pop(full, None)


def _throttle(engine: Engine, full: str) -> None:
    if len(engine.throttled) >= MAX_THROTTLED:
        engine.throttled.clear()
    engine.throttled[full] = time.monotonic() + THROTTLE_S


def _is_throttled(engine: Engine, full: str) -> bool:
    until = engine.throttled.get(full)
    return until is not None and time.monotonic() < until


def _computed_for_all(cache: Storing, wanted: Wanted, factory: Callable[[], Any]) -> Entry:
    """Compute, unless another process is at it and brings the value in time."""
    shared = cache.engine.shared
    if shared is None:
        return _computed(cache, wanted, factory)
    with shared.turn(wanted.full) as entry:
        return entry if entry is not None else _computed(cache, wanted, factory)


def _computed(cache: Storing, wanted: Wanted, factory: Callable[[], Any], *, replace: bool = False) -> Entry:
    """Run the computation and store what it returns, unless a tag was invalidated meanwhile or a value was set."""
    tags = cache.tokens(wanted.tags) if wanted.tags else ()
    started = time.perf_counter()
    value = factory()
    return cache.store_computed(wanted, value, tags, time.perf_counter() - started, replace=replace)


async def _acomputed(cache: Storing, wanted: Wanted, factory: Callable[[], Any]) -> Entry:
    is_shared = cache.engine.shared is not None
    tags: Any = ()
    if wanted.tags:
        tags = await in_thread(cache.tokens, wanted.tags) if is_shared else cache.tokens(wanted.tags)
    started = time.perf_counter()
    value = await awaited(factory())
    made = (wanted, value, tags, time.perf_counter() - started)
    entry: Entry = await in_thread(cache.store_computed, *made) if is_shared else cache.store_computed(*made)
    return entry


async def awaited(value: Any) -> Any:
    """Return a value, or what it returns when it is awaited."""
    return await value if inspect.isawaitable(value) else value
