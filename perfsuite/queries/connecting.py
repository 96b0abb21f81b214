"""Connections and transactions of each alias: how long one takes to open, how many come and go, and how long one is held.

Django tells of a connection that is there and of nothing else, so three methods of its connections are patched, each once
for all of them: ``connect``, ``close`` and ``set_autocommit``, with which every outermost ``atomic`` begins and ends. A
statement pays nothing for it, and a transaction a microsecond.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator
from functools import wraps
from itertools import islice
from time import perf_counter
from typing import Any
from weakref import WeakSet

from django.db.backends.base.base import BaseDatabaseWrapper

from perfsuite.metrics.guard import Guard
from perfsuite.metrics.recorder import Observation, recorder
from perfsuite.metrics.request import Tally, in_hand
from perfsuite.queries import kinds
from perfsuite.queries.callsite import call_site
from perfsuite.queries.limits import limits
from perfsuite.queries.notes import MAX_TRANSACTIONS, Transaction, notes_of
from perfsuite.queries.patching import Patch

# Durations are kept until the next flush, so many of them for each alias; of more, the last.
MAX_KEPT = 2_000
MAX_ALIASES = 100

guard = Guard("queries.connections")


class AliasConnections:
    """What the connections of one alias have done in this process since the last flush, and those that are open."""

    def __init__(self, alias: str, vendor: str, has_pool: bool) -> None:
        self.alias, self.vendor, self.has_pool = alias, vendor, has_pool
        self.opened = self.closed = self.failed = 0
        self.connect_us: deque[float] = deque(maxlen=MAX_KEPT)
        self.transaction_us: deque[float] = deque(maxlen=MAX_KEPT)
        # Threads end without closing theirs.
        self.known: WeakSet[Any] = WeakSet()

    def take(self) -> tuple[tuple[int, int, int], list[float], int]:
        """Return what were opened, closed and failed since the last call, how long opening took, and how many are open.

        Called with ``lock`` held.
        """
        taken, self.opened, self.closed, self.failed = (self.opened, self.closed, self.failed), 0, 0, 0
        connects_us, self.connect_us = list(self.connect_us), deque(maxlen=MAX_KEPT)
        return taken, connects_us, sum(1 for each in list(self.known) if each.connection is not None)


lock = threading.RLock()
_by_alias: dict[str, AliasConnections] = {}


def of_alias(connection: Any) -> AliasConnections | None:
    """Return the figures of a connection's alias; None for one too many."""
    found = _by_alias.get(connection.alias)
    if found is None and len(_by_alias) < MAX_ALIASES:
        found = _by_alias.setdefault(
            connection.alias,
            AliasConnections(connection.alias, str(connection.vendor), _has_pool(connection)),
        )
    return found


def _has_pool(connection: Any) -> bool:
    """Tell whether another keeps the connections: psycopg's pool, or pymongo's client."""
    options = connection.settings_dict.get("OPTIONS") or {}
    return bool(options.get("pool")) or connection.vendor in ("mongodb", "djongo")


def aliases() -> list[AliasConnections]:
    """Return the figures of all aliases that were connected to."""
    return list(_by_alias.values())


def observations() -> Iterator[Observation]:
    """Yield what is recorded of the transactions of all aliases with a flush; of their connections, pools.py does."""
    for each in aliases():
        taken: list[float] = []
        try:
            while True:  # one by one, since other threads add meanwhile
                taken.append(each.transaction_us.popleft())
        except IndexError:
            pass
        if taken:
            yield kinds.TRANSACTION, (each.alias,), taken


def _connecting(original: Any) -> Any:
    @wraps(original)
    def connect(self: Any) -> Any:
        self.__dict__.pop("_perfsuite_began", None)  # a transaction that its connection took with it
        if not connect_patch.on or not guard.on:
            return original(self)
        failed, started = True, perf_counter()
        try:
            result = original(self)
            failed = False
            return result
        finally:
            _connected(self, perf_counter() - started, failed)

    return connect


def _connected(connection: Any, seconds: float, failed: bool) -> None:
    try:
        tally = in_hand()
        figures = of_alias(connection)
        if figures is None or tally is None or tally.closed:
            return
        with lock:
            if failed:
                figures.failed += 1
            else:
                figures.opened += 1
                figures.known.add(connection)
                figures.connect_us.append(seconds * 1e6)
        if not failed:
            recorder.observe(kinds.CONNECT, (connection.alias,), seconds * 1e6)
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)


def _closing(original: Any) -> Any:
    @wraps(original)
    def close(self: Any) -> Any:
        was_open = close_patch.on and self.connection is not None and not self.closed_in_transaction
        try:
            return original(self)
        finally:
            if was_open and (self.connection is None or self.closed_in_transaction):
                _closed(self)

    return close


def _closed(connection: Any) -> None:
    try:
        figures = _by_alias.get(connection.alias)
        if figures is not None:
            with lock:
                if connection in figures.known:
                    figures.known.discard(connection)
                    figures.closed += 1
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)


def _autocommitting(original: Any) -> Any:
    @wraps(original)
    def set_autocommit(self: Any, autocommit: bool, *args: Any, **kwargs: Any) -> Any:
        if autocommit:
            # Before what it does, since that runs the functions of on_commit.
            began = self.__dict__.pop("_perfsuite_began", None)
            if began is not None and autocommit_patch.on:
                _ended(self, *began)
            return original(self, autocommit, *args, **kwargs)
        result = original(self, autocommit, *args, **kwargs)
        if autocommit_patch.on and guard.on and self.vendor != "djongo":  # whose atomic() does nothing
            _begun(self)
        return result

    return set_autocommit


def _begun(connection: Any) -> None:
    try:
        tally = in_hand()
        if tally is not None and not tally.closed:
            at = tally.folded_count + len(tally.held)
            connection.__dict__["_perfsuite_began"] = perf_counter(), tally, at
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)


def _ended(connection: Any, began: float, tally: Tally, at: int) -> None:
    try:
        seconds = perf_counter() - began
        figures = of_alias(connection)
        if figures is not None:
            figures.transaction_us.append(seconds * 1e6)
        if seconds < limits.long_s or tally.closed or tally is not in_hand():
            return
        notes = notes_of(tally)
        if len(notes.transactions) < MAX_TRANSACTIONS:
            statements, sql_s = _statements_since(tally, at, connection.alias)
            # The line of a ``with`` is on the stack again when it ends, so nothing is looked up when it begins.
            site = call_site()
            held = Transaction(connection.alias, seconds, sql_s, statements, site)
            notes.transactions.append(held)
            tally.remark(held)
    except Exception as exc:  # noqa: BLE001 - the guard's
        guard.failed(exc)


def _statements_since(tally: Tally, at: int, alias: str) -> tuple[int, float]:
    """Return how many statements an alias had since then, and their seconds; those that are folded already are left out."""
    held = tally.held.copy()
    since = [each for each in islice(held, max(0, at - tally.folded_count), None) if each[1] == alias]
    return len(since), sum(each[2] for each in since)


connect_patch = Patch(BaseDatabaseWrapper, "connect", _connecting)
close_patch = Patch(BaseDatabaseWrapper, "close", _closing)
autocommit_patch = Patch(BaseDatabaseWrapper, "set_autocommit", _autocommitting)
PATCHES = (connect_patch, close_patch, autocommit_patch)


def install() -> None:
    """Measure connections and transactions from now on. Idempotent."""
    for patch in PATCHES:
        patch.apply()
    recorder.before_take(observations)


def uninstall() -> None:
    """Measure them no more."""
    for patch in PATCHES:
        patch.remove()


def _after_fork() -> None:
    """Forget the parent's connections, which a child must not use."""
    global lock
    lock = threading.RLock()
    _by_alias.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
