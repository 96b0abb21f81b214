"""``get_or_set``: the value that is there, or one that is computed once for all who want it.

The tokens of the tags are taken before the computation begins, so what was invalidated meanwhile is stored for nobody, and given
to nobody who waited for it: who came after the invalidation must not see what was before. What has expired and may be served as
stale is served at once, and one refresh runs behind it; if that fails, the next waits a while.
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

from perfsuite.caching import refresh
from perfsuite.caching.entry import Entry
from perfsuite.caching.flight import await_, in_thread, wait

if TYPE_CHECKING:
    from perfsuite.caching.asynchronous import AsyncMethods
    from perfsuite.caching.engine import Engine
    from perfsuite.caching.storing import Storing
    from perfsuite.caching.tiers.turns import Turn

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
        _refresh_early(cache, wanted, entry, factory, _refresh)
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
        if entry is not None and engine.tags.is_valid(
            entry
        ):  # else its tag was invalidated, maybe before this caller came
            return entry.value()
        if time.monotonic() >= patience:
            return _computed(cache, wanted, factory).value()


async def aget_or_compute(cache: AsyncMethods, wanted: Wanted, factory: Callable[[], Any]) -> Any:
    """Do the same in a task; ``factory`` may be a coroutine function."""
    engine, full = cache.engine, wanted.full
    entry = await cache.alookup(full)
    if entry is not None:
        _refresh_early(cache, wanted, entry, factory, _arefresh)
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
        if entry is not None and engine.tags.is_valid(entry):
            return entry.value()
        if time.monotonic() >= patience:
            return (await _acomputed(cache, wanted, factory)).value()


async def _afly(
    cache: AsyncMethods,
    wanted: Wanted,
    flight: Future[Entry],
    factory: Callable[[], Any],
    early: Entry | None = None,
) -> Entry:
    engine, full = cache.engine, wanted.full
    with engine.flights.leading(full, flight):
        entry = None if early else engine.fresh(full, _now())  # another flight may have landed since the miss
        if entry is None and engine.shared is None:
            entry = await _acomputed(cache, wanted, factory, early is not None)
        elif entry is None:
            async with engine.shared.turn(full, 0.0 if early else None) as turn:
                entry = _brought(turn, early)
                if entry is None:
                    entry = await _acomputed(cache, wanted, factory, early is not None)
        flight.set_result(entry)
    return entry


# Tasks that nobody waits for; the event loop holds only weak references to its tasks.
_tasks: set[asyncio.Task[None]] = set()


def _arefresh(
    cache: AsyncMethods,
    wanted: Wanted,
    flight: Future[Entry],
    factory: Callable[[], Any],
    old: Entry,
    early: Entry | None = None,
) -> None:
    """Compute anew in a task of its own, unless that failed a moment ago."""
    engine, full = cache.engine, wanted.full
    if _is_throttled(engine, full) or len(_tasks) >= refresh.MAX_WAITING:
        with engine.flights.leading(full, flight):
            flight.set_result(old)
        return

    async def refreshed() -> None:
        try:
            await _afly(cache, wanted, flight, factory, early)
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


def _lead(
    cache: Storing, wanted: Wanted, flight: Future[Entry], factory: Callable[[], Any], stale: Entry | None
) -> Any:
    if stale is None:
        return _fly(cache, wanted, flight, factory).value()
    next(cache.engine.counts.stale)
    _refresh(cache, wanted, flight, factory, stale)
    return stale.value()


def _refresh(
    cache: Storing,
    wanted: Wanted,
    flight: Future[Entry],
    factory: Callable[[], Any],
    old: Entry,
    early: Entry | None = None,
) -> None:
    """Compute anew in a thread of its own, unless that failed a moment ago or too much else waits."""
    engine, full = cache.engine, wanted.full

    def refreshed() -> None:
        try:
            _fly(cache, wanted, flight, factory, early)
        except Exception:
            _throttle(engine, full)
            raise
        engine.throttled.pop(full, None)

    if _is_throttled(engine, full) or not refresh.background.do(refreshed):
        with engine.flights.leading(full, flight):
            flight.set_result(old)


def _fly(
    cache: Storing,
    wanted: Wanted,
    flight: Future[Entry],
    factory: Callable[[], Any],
    early: Entry | None = None,
) -> Entry:
    """Compute for all who wait, unless another process is at it and brings the value in time.

    ``early`` is the value that is still fresh; somebody else's turn to replace that is not waited for.
    """
    engine, full = cache.engine, wanted.full
    with engine.flights.leading(full, flight):
        entry = None if early else engine.fresh(full, _now())  # another flight may have landed since the miss
        if entry is None and engine.shared is None:
            entry = _computed(cache, wanted, factory, early is not None)
        elif entry is None:
            with engine.shared.turn(full, 0.0 if early else None) as turn:
                entry = _brought(turn, early) or _computed(cache, wanted, factory, early is not None)
        flight.set_result(entry)
    return entry


def _brought(turn: Turn, early: Entry | None) -> Entry | None:
    """Return what makes a computation needless: the value of another process, or that it is computing one."""
    if early is None:
        return turn.entry
    if turn.entry is not None and turn.entry.created > early.created:
        return turn.entry
    return None if turn.is_ours else early


def _refresh_early(
    cache: Any, wanted: Wanted, entry: Entry, factory: Callable[[], Any], do: Callable[..., None]
) -> None:
    """Have a value computed anew before it expires, where the caller would rather see an old one than wait."""
    if _is_due(cache.engine, wanted.full, entry):
        flight, leads = cache.engine.flights.join(wanted.full)
        if leads:
            do(cache, wanted, flight, factory, entry, entry)


def _is_due(engine: Engine, full: str, entry: Entry) -> bool:
    refresh_at = engine.options.refresh_at
    if not entry.stale_for or not refresh_at:
        return False
    due = entry.created + refresh_at * (entry.expires - entry.created)
    return _now() >= due and not _is_throttled(engine, full)


def _throttle(engine: Engine, full: str) -> None:
    if len(engine.throttled) >= MAX_THROTTLED:
        engine.throttled.clear()
    engine.throttled[full] = time.monotonic() + THROTTLE_S


def _is_throttled(engine: Engine, full: str) -> bool:
    until = engine.throttled.get(full)
    return until is not None and time.monotonic() < until


def _computed(cache: Storing, wanted: Wanted, factory: Callable[[], Any], replace: bool = False) -> Entry:
    """Run the computation and store what it returns, unless a tag was invalidated meanwhile or a value was set."""
    tags = cache.tokens(wanted.tags) if wanted.tags else ()
    started = time.perf_counter()
    value = factory()
    return cache.store_computed(wanted, value, tags, time.perf_counter() - started, replace)


async def _acomputed(
    cache: Storing, wanted: Wanted, factory: Callable[[], Any], replace: bool = False
) -> Entry:
    is_shared = cache.engine.shared is not None
    tags: Any = ()
    if wanted.tags:
        tags = await in_thread(cache.tokens, wanted.tags) if is_shared else cache.tokens(wanted.tags)
    started = time.perf_counter()
    value = await awaited(factory())
    made = (wanted, value, tags, time.perf_counter() - started, replace)
    entry: Entry = await in_thread(cache.store_computed, *made) if is_shared else cache.store_computed(*made)
    return entry


async def awaited(value: Any) -> Any:
    """Return a value, or what it returns when it is awaited."""
    return await value if inspect.isawaitable(value) else value
