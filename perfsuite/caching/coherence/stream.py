"""The channel between processes of many hosts: a Redis Stream, read by one thread of each process.

A stream keeps what was said, so a reader that was cut off reads on where it was; pub/sub would have lost it. What cannot be made
up for (messages trimmed away, a server that came back empty, a replica that knew less) is noticed, and everything is forgotten.

The same thread finds out when a server that was away is back, makes good what could not be said meanwhile, and only then
closes the breaker. It starts with the first use of the tier in a process, and a fork starts its own.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perfsuite.caching.tiers.shared import SharedTier

logger = logging.getLogger("perfsuite.caching")

BLOCK_MS = 500
# After messages, so that many are read at once: each time this thread wakes up it takes the interpreter from those that serve.
REST_S = 0.002
MOST = 500
CHECK_EVERY_S = 1.0


class StreamReader:
    """Keeps this process in step with the stream of one shared tier."""

    def __init__(self, tier: SharedTier) -> None:
        self.tier = tier
        self.synced_at = 0.0
        self._last = b""
        self._epoch = b""
        self._checked_at = 0.0
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._starting = threading.Lock()

    # Hot path: every use of the tier
    def ensure(self) -> None:
        """See that the thread runs; the first call takes the position from which on nothing may be missed."""
        if self._thread is not None and self._pid == os.getpid() and self._thread.is_alive():
            return
        with self._starting:
            if self._thread is not None and self._pid == os.getpid() and self._thread.is_alive():
                return
            self._pid = os.getpid()
            self._last = b""
            try:
                with self.tier.breaker.guarding():
                    self._catch_up()
            finally:
                self._thread = threading.Thread(target=self._run, name="perfsuite-cache-stream", daemon=True)
                self._thread.start()

    def after_fork(self) -> None:
        """Forget the parent's thread."""
        self._thread = None
        self._starting = threading.Lock()

    def _run(self) -> None:
        tier, pid = self.tier, self._pid
        is_cut = False
        while pid == os.getpid():
            try:
                if is_cut or tier.breaker.is_open or not self._last:
                    self._catch_up()
                    tier.make_good()
                    is_cut = False
                self._read()
                if tier.has_to_make_good():
                    tier.make_good()
            except Exception as exc:  # noqa: BLE001 - whatever it is, the thread must come back to it
                if not is_cut:
                    logger.info("The cache's stream is cut off: %s: %s", type(exc).__name__, exc)
                is_cut = True
                time.sleep(tier.options.retry_after)

    def _read(self) -> None:
        timeout_s = self.tier.redis.read_timeout_s
        block_ms = BLOCK_MS if timeout_s is None else max(10, min(BLOCK_MS, int(timeout_s * 500)))
        began = time.time()
        last, messages = self.tier.redis.read(self._last, block_ms, MOST)
        if messages:
            self.tier.engine.apply_locked(messages)
            self._last = last
        if len(messages) >= MOST or began - self._checked_at >= CHECK_EVERY_S:
            self._catch_up()
        else:
            self._is_in_step(began)
            if messages:
                time.sleep(REST_S)

    def _catch_up(self) -> None:
        """Find out whether anything was missed since the last message read; if so, forget everything and begin at the end."""
        began = time.time()
        epoch = self.tier.redis.epoch()
        first, last = self.tier.redis.bounds()
        was_at = self._last
        if (
            epoch != self._epoch
            or not was_at
            or _order(first) > _order(was_at)
            or _order(last) < _order(was_at)
        ):
            self._epoch, self._last = epoch, last
            self.tier.engine.forget()
            self.tier.engine.tags.begin_at(self.tier.redis.sequence())
        self._checked_at = began
        if self._last == last:
            self._is_in_step(began)

    def _is_in_step(self, at: float) -> None:
        self.synced_at = at
        self.tier.engine.trusted_until = at + self.tier.options.max_staleness


def _order(message_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = message_id.partition(b"-")
    return int(milliseconds), int(number or 0)
