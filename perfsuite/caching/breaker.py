"""The circuit breaker before a shared tier: after a few failures in a row nobody asks it any more, until a probe succeeds.

While it is open an operation costs a comparison. The probe is made by the reader of the channel (coherence/stream.py), in its
own thread, so no request ever waits to find out. Whatever a server answers but a value is a failure: the host has asked for
nothing that could be wrong.
"""

from __future__ import annotations

import logging
import time
from time import perf_counter

from perfsuite.metrics.request import in_hand

logger = logging.getLogger("perfsuite.caching")


class SharedAway(Exception):
    """The shared tier cannot be used now."""


class Breaker:
    """Closed, it lets calls through and counts failures in a row; ``failures`` of them open it."""

    def __init__(self, name: str, failures: int) -> None:
        self.name = name
        self.failures = max(1, failures)
        self.is_open = False
        self.since = 0.0
        self.opened = 0
        self.failed = 0
        self._in_row = 0

    # Hot path: benchmarks/caching.py; a generator would cost as much again as the rest of a read, around the server's answer.
    def guarding(self) -> Breaker:
        """Guard a block that talks to the server; it raises ``SharedAway`` for its failures, and at once while open."""
        return self

    def __enter__(self) -> None:
        if self.is_open:
            raise SharedAway
        # The request's time in caches: without this instant and with that of the exit it has grown by what lies between.
        if (tally := in_hand()) is not None:
            tally.cache_s -= perf_counter()

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, where: object) -> None:
        if (tally := in_hand()) is not None:
            tally.cache_s += perf_counter()
        if exc is None:
            self._in_row = 0
        elif is_failure_of_server(exc):
            if not is_own_limit(exc):
                self.failure(exc)
            raise SharedAway from exc

    def failure(self, exc: BaseException) -> None:
        """Count a failure; open at the limit."""
        self.failed += 1
        self._in_row += 1
        if self._in_row >= self.failures:
            self.open(exc)

    def open(self, exc: BaseException) -> None:
        """Let nobody through any more."""
        if not self.is_open:
            self.is_open, self.since = True, time.time()
            self.opened += 1
            logger.error(
                "The shared tier of the cache %r is left alone until it answers again: %s",
                self.name,
                said(exc),
            )

    def close(self) -> None:
        """Let calls through again."""
        self._in_row = 0
        if self.is_open:
            self.is_open = False
            logger.warning(
                "The shared tier of the cache %r answers again after %.1f s.",
                self.name,
                time.time() - self.since,
            )


def is_failure_of_server(exc: BaseException) -> bool:
    """Tell whether an exception is the server's, or of the way to it."""
    import redis

    return isinstance(exc, (redis.RedisError, OSError))


def is_own_limit(exc: BaseException) -> bool:
    """Tell whether an exception says that this process has all the connections that it may have."""
    return type(exc).__name__ == "MaxConnectionsError"


def said(exc: BaseException) -> str:
    """Return what an exception says, without the command that redis-py puts before it: that has keys and values in it."""
    return f"{type(exc).__name__}: {str(exc).rpartition('caused error: ')[2]}"
