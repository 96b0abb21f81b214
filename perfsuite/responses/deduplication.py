"""Identical requests at once: one runs its view, the others wait and look again whether there is a page.

Nobody is handed another's response; a page goes through the store and its rules. A flight ends with True (look again), with
False (the answer was of no use to anybody else: run at once, all of you), or abandoned (it failed: one of those who waited
tries again).
"""

from __future__ import annotations

import os
import time
from contextvars import ContextVar
from itertools import islice
from typing import Any

from perfsuite.caching.flight import Flights

MAX_KNOWN = 10_000
# What this thread or task is making further up.
leading: ContextVar[tuple[str, ...]] = ContextVar("perfsuite_pages_led", default=())

flights = Flights()


class Known:
    """What is known of keys for a while. Bounded: the oldest go."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, key: str, seconds: float) -> None:
        """Know a key for so long."""
        until = self._until
        if len(until) >= MAX_KNOWN:
            for old in list(islice(until, MAX_KNOWN // 4)):
                until.pop(old, None)
        until.pop(key, None)
        until[key] = time.monotonic() + seconds

    def __contains__(self, key: str) -> bool:
        until = self._until.get(key)
        if until is None:
            return False
        if time.monotonic() < until:
            return True
        self._until.pop(key, None)
        return False

    def discard(self, key: str) -> None:
        """Know a key no more."""
        self._until.pop(key, None)

    def clear(self) -> None:
        """Know nothing."""
        self._until.clear()


useless = Known()  # whose answers are nobody else's: hit-for-miss
stored = Known()  # whose answers were stored for everyone
failed = Known()  # whose refresh failed a moment ago
elsewhere = Known()  # whose refresh another process was at a moment ago


def refresh_key(key: str) -> str:
    """Return the key of the flight, and of the lock, in which a page is made anew."""
    return f"{key}.refresh"


# Hot path: benchmarks/responses.py
def needs_no_refresh(key: str) -> bool:
    """Tell whether a stale page is being made anew, here or elsewhere, or could not be a moment ago."""
    return refresh_key(key) in flights or key in failed or key in elsewhere


def _after_fork() -> None:
    global flights
    flights = Flights()


def landed(flight: Any, result: bool) -> None:
    """End a flight with what those who wait should do."""
    if not flight.done():
        flight.set_result(result)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
