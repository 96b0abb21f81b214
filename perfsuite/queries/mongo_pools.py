"""The listener that sees what pymongo's connection pools do; imported only where pymongo is installed.

Pools are told apart by their server: djongo has a client, and so a pool, in each thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from time import perf_counter
from typing import Any

import pymongo
from pymongo import monitoring

from perfsuite.metrics.guard import Guard
from perfsuite.queries import pools
from perfsuite.queries.pools import MAX_WAITS, Pool

DEFAULT_LIMIT = 100  # pymongo tells only what differs from its defaults
# Before 4, a client that is closed says that its pool was cleared; the limit is then taken to be that of one pool.
TELLS_CLOSING = int(pymongo.version_tuple[0]) >= 4
# Before 3.12, a check-out that fails is told as one that starts.
FAILS_AS_STARTED = pymongo.version_tuple[:2] < (3, 12)
TELLS_WAITS = hasattr(monitoring.ConnectionCheckedOutEvent, "duration")

_guard = Guard("queries.mongo_pools")


def _guarded(method: Callable[[PoolTimes, Pool, Any], None]) -> Callable[[PoolTimes, Any], None]:
    """Give the method the pool of its event, one thread at a time, and keep what it raises from the host."""

    @wraps(method)
    def listen(self: PoolTimes, event: Any) -> None:
        if _guard.on:
            try:
                with pools.lock:
                    method(self, pools.pool_at(event.address), event)
            except Exception as exc:  # noqa: BLE001 - the guard's
                _guard.failed(exc)

    return listen


class PoolTimes(monitoring.ConnectionPoolListener):
    """Keeps count of the connections of each server, and of the time that checking one out takes."""

    def __init__(self) -> None:
        self._here = threading.local()

    @_guarded
    def pool_created(self, pool: Pool, event: monitoring.PoolCreatedEvent) -> None:
        """Add what the pool may hold; without a limit that is nothing."""
        pool.size = event.options.get("maxPoolSize", DEFAULT_LIMIT) or 0
        pool.limit = pool.limit + pool.size if TELLS_CLOSING else pool.size

    @_guarded
    def pool_closed(self, pool: Pool, event: monitoring.PoolClosedEvent) -> None:
        """Take it off again; the pools of one server are taken to be of one size."""
        pool.limit = max(0, pool.limit - pool.size)

    @_guarded
    def connection_created(self, pool: Pool, event: monitoring.ConnectionCreatedEvent) -> None:
        """Count a connection."""
        pool.open += 1
        pool.opened += 1

    @_guarded
    def connection_closed(self, pool: Pool, event: monitoring.ConnectionClosedEvent) -> None:
        """Count it no more."""
        pool.open = max(0, pool.open - 1)
        pool.closed += 1

    # Hot path: benchmarks/mongodb.py
    @_guarded
    def connection_check_out_started(
        self, pool: Pool, event: monitoring.ConnectionCheckOutStartedEvent
    ) -> None:
        """Count one who wants a connection, and as waiting if all are in use."""
        if FAILS_AS_STARTED and hasattr(event, "reason"):
            self.connection_check_out_failed(event)
            return
        if not TELLS_WAITS:
            self._here.began = perf_counter()
        pool.asking += 1
        if pool.in_use >= pool.limit > 0:
            pool.most_waiting = max(pool.most_waiting, pool.asking)

    # Hot path: benchmarks/mongodb.py
    @_guarded
    def connection_checked_out(self, pool: Pool, event: monitoring.ConnectionCheckedOutEvent) -> None:
        """Count a connection in use, and how long it took to get it."""
        if pool.asking:
            pool.asking -= 1
        pool.in_use += 1
        if pool.in_use > pool.most_in_use:
            pool.most_in_use = pool.in_use
        if len(pool.waits_us) < MAX_WAITS:
            waited_s: Any = event.duration if TELLS_WAITS else self._waited_s()
            pool.waits_us.append(waited_s * 1e6)

    @_guarded
    def connection_check_out_failed(
        self, pool: Pool, event: monitoring.ConnectionCheckOutFailedEvent
    ) -> None:
        """Count a connection that could not be had, by pymongo's reason."""
        pool.asking = max(0, pool.asking - 1)
        pool.failures[event.reason] = pool.failures.get(event.reason, 0) + 1

    # Hot path: benchmarks/mongodb.py
    @_guarded
    def connection_checked_in(self, pool: Pool, event: monitoring.ConnectionCheckedInEvent) -> None:
        """Count a connection in use no more."""
        if pool.in_use:
            pool.in_use -= 1

    def pool_ready(self, event: monitoring.PoolReadyEvent) -> None:
        """Be of no account."""

    def pool_cleared(self, event: monitoring.PoolClearedEvent) -> None:
        """Be of no account: its connections are told one by one."""

    def connection_ready(self, event: monitoring.ConnectionReadyEvent) -> None:
        """Be of no account."""

    def _waited_s(self) -> float:
        """Return the time since this thread asked; pymongo's clients before 4.7 work in one from asking to having."""
        return perf_counter() - getattr(self._here, "began", perf_counter())
