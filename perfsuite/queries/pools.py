"""Connection pools: how full they are, who waits and for how long, and what could not be had.

What a pool does is added up where it happens and recorded with each flush, so that a request pays next to nothing for it. pymongo
tells through its listeners (mongo_pools.py); psycopg's pool, which Django has from 5.1 on, keeps statistics, which are read.
Without a pool, Django keeps one connection for each thread: those of an alias are shown like a pool, which has no limit and
nobody who waits, and where each connection that must be opened is a check-out that waited for it (connecting.py).
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from perfsuite.metrics.kinds import OTHER
from perfsuite.metrics.recorder import Observation, recorder
from perfsuite.queries import connecting, kinds

# Waits are kept until the next flush, so many of them; of more, the first.
MAX_WAITS = 2_000
MAX_POOLS = 50
_POSTGRESQL = "django.db.backends.postgresql.base"


class Pool:
    """What the pools of this process to one server have done since the last flush, and how they stand."""

    def __init__(self, name: str, is_pool: bool = True) -> None:
        self.name, self.is_pool = name, is_pool
        self.size = 0  # of one of them
        self.limit = 0  # of all
        self.open = 0
        self.in_use = 0
        self.asking = 0
        self.most_in_use = 0
        self.most_waiting = 0
        self.opened = 0
        self.closed = 0
        self.waits_us: list[float] = []
        self.failures: dict[str, int] = {}

    def take(self) -> Iterator[Observation]:
        """Yield what is recorded of the pool with a flush, and start anew."""
        label = (self.name,)
        waits, self.waits_us = self.waits_us, []
        failures, self.failures = self.failures, {}
        busy, self.most_in_use = max(self.most_in_use, self.in_use), self.in_use
        is_full = self.in_use >= self.limit > 0
        queue = max(self.most_waiting, self.asking if is_full else 0)
        self.most_waiting = 0
        changes = ((kinds.POOL_OPENED, self.opened), (kinds.POOL_CLOSED, self.closed))
        self.opened = self.closed = 0
        if not (self.open or busy or queue or waits or failures or any(count for _, count in changes)):
            return
        if self.is_pool:
            yield kinds.POOL_LIMIT, label, self.limit
        yield kinds.POOL_OPEN, label, self.open
        if self.is_pool:
            yield kinds.POOL_IN_USE, label, busy
            yield kinds.POOL_WAITING, label, queue
        for kind, count in changes:
            if count:
                yield kind, label, count
        if waits:
            yield kinds.POOL_WAIT, label, waits
        for reason, count in failures.items():
            yield kinds.POOL_FAILED, (self.name, reason), count


_by_address: dict[Any, Pool] = {}
# Reentrant: the garbage collector may close a client, and so tell of its pool, while this thread holds it.
lock = threading.RLock()
# Of psycopg's pools: the alias, and its statistics at the last flush.
_seen: dict[str, dict[str, int]] = {}


def pool_at(address: Any) -> Pool:
    """Return the pool of a MongoDB server, made if it is new. Called with ``lock`` held."""
    found = _by_address.get(address)
    if found is None:
        name = f"mongodb {address[0]}:{address[1]}" if len(_by_address) < MAX_POOLS else OTHER
        found = _by_address.setdefault(address if name != OTHER else OTHER, Pool(name))
    return found


def observations() -> list[Observation]:
    """Return what is recorded of all pools with a flush."""
    with lock:
        found = [observation for pool in list(_by_address.values()) for observation in pool.take()]
    for pool in (*_psycopg_pools(), *_persistent()):
        found += pool.take()
    return found


def install() -> None:
    """Have the pools recorded with each flush. Idempotent."""
    recorder.before_take(observations)


def _persistent() -> Iterator[Pool]:
    """Yield what the connections of each alias without a pool have done; one with a pool opens none by itself."""
    for each in connecting.aliases():
        with connecting.lock:
            (opened, closed, failed), connects_us, still_open = each.take()
        if each.has_pool:
            continue
        pool = Pool(f"{each.vendor} {each.alias}", is_pool=False)
        pool.open, pool.opened, pool.closed, pool.waits_us = still_open, opened, closed, connects_us
        if failed:
            pool.failures["connectionError"] = failed
        yield pool


def _psycopg_pools() -> Iterator[Pool]:
    """Yield what Django's pools of psycopg connections have done since the last flush; makes none and imports nothing."""
    wrapper = getattr(sys.modules.get(_POSTGRESQL), "DatabaseWrapper", None)
    for alias, pool in list(getattr(wrapper, "_connection_pools", {}).items()):
        yield _of_psycopg(alias, pool.get_stats())


def _of_psycopg(alias: str, stats: dict[str, Any]) -> Pool:
    """Return the figures of a pool, whose counters grow since it was made; psycopg leaves out those that are zero."""
    before = _seen.get(alias, {})
    _seen[alias] = stats

    def grown(name: str) -> int:
        now = int(stats.get(name, 0))
        return now - before.get(name, 0) if now >= before.get(name, 0) else now  # a new pool began at zero

    pool = Pool(f"postgresql {alias}")
    pool.limit, pool.open = stats.get("pool_max", 0), stats.get("pool_size", 0)
    pool.in_use = pool.open - stats.get("pool_available", 0)
    pool.most_waiting = stats.get("requests_waiting", 0)
    requests, queued = grown("requests_num"), grown("requests_queued")
    # psycopg tells how long those that queued have waited in all; each counts as having waited equally long.
    if queued:
        pool.waits_us = [grown("requests_wait_ms") * 1e3 / queued] * min(queued, MAX_WAITS)
    pool.waits_us += [0.0] * min(max(0, requests - queued), MAX_WAITS)
    pool.opened = max(0, grown("connections_num") - grown("connections_errors"))
    pool.closed = max(0, pool.opened - (pool.open - before.get("pool_size", 0)))
    if errors := grown("requests_errors"):
        pool.failures["timeout"] = errors
    if errors := grown("connections_errors"):
        pool.failures["connectionError"] = errors
    return pool


def _after_fork() -> None:
    """Forget the parent's pools: a child must not use their connections."""
    global lock
    lock = threading.RLock()
    _by_address.clear()
    _seen.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
