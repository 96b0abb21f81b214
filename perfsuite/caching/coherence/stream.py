"""The channel between processes of many hosts: a Redis Stream, read by one thread of each process.

A stream keeps what was said, so a reader that was cut off reads on where it was; pub/sub would have lost it. What cannot be made
up for (messages trimmed away, a server that came back empty, a replica that knew less) is noticed, and everything is forgotten.
A server that knows less than it did knows of fewer invalidations too: then all tokens are lost, for everyone.

The same thread finds out when a server that was away is back, makes good what could not be said meanwhile, and only then
closes the breaker. It also opens it, where requests would not notice: a server that answers reads and takes no writes leaves
everybody with what he has. It starts with the first use of the tier in a process, and a fork starts its own.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from perfsuite.caching.breaker import is_failure_of_server, is_own_limit, said

if TYPE_CHECKING:
    from perfsuite.caching.tiers.shared import SharedTier

logger = logging.getLogger("perfsuite.caching")

BLOCK_MS = 500
# After messages, so that many are read at once: each time this thread wakes up it takes the interpreter from those that serve.
REST_S = 0.001
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
        self.stop()

    def stop(self) -> None:
        """Have no thread: in a fork there is none. The next use of the tier starts one."""
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    # Hot path: every use of the tier
    def ensure(self) -> None:
        """See that the thread runs; the first call takes the position from which on nothing may be missed."""
        if self._thread is not None and self._thread.is_alive():
            return
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return
            try:
                with self.tier.breaker.guarding():
                    self._catch_up()
            finally:
                self._thread = threading.Thread(target=self._run, name="perfsuite-cache-stream", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        tier, failed = self.tier, 0
        while self._thread is threading.current_thread():
            try:
                if failed or tier.breaker.is_open or not self._last:
                    self._catch_up()
                    tier.make_good()
                self._read()
                if tier.pending:
                    tier.make_good()
                failed = 0
            except Exception as exc:  # noqa: BLE001 - whatever it is, the thread must come back to it
                failed += 1
                if failed == 1:
                    logger.info("The stream of the cache %r is cut off: %s", tier.engine.name, said(exc))
                if failed >= tier.breaker.failures and is_failure_of_server(exc) and not is_own_limit(exc):
                    tier.breaker.open(exc)
                tier.redis.let_go()
                time.sleep(tier.options.retry_after)

    def _read(self) -> None:
        redis, engine = self.tier.redis, self.tier.engine
        block_ms = max(10, min(BLOCK_MS, int(redis.read_timeout_s * 500)))
        began = time.time()
        last, messages = redis.read(self._last, block_ms, MOST)
        if messages:
            engine.apply_locked(messages)
        is_whole = len(messages) < MOST
        # Before the position moves: only from where it was can be seen that something behind it was trimmed away.
        if (not is_whole or began - self._checked_at >= CHECK_EVERY_S) and not self._catch_up():
            return
        self._last = last
        if is_whole:
            self._is_in_step(began)
            if messages:
                time.sleep(REST_S)

    def _catch_up(self) -> bool:
        """Tell whether nothing can have been missed since the last message read; else forget everything and begin at the end."""
        began = time.time()
        redis, engine = self.tier.redis, self.tier.engine
        was_at = self._last
        epoch, first, last, is_there = redis.position(was_at)
        is_known = was_at != b"" and epoch == self._epoch
        if is_known and not is_there and _order(first) <= _order(was_at):
            redis.begin_anew(epoch, engine.tags.seq)  # it knew of that message once
            epoch, first, last, _ = redis.position(b"")
            is_known = False
        stands = is_known and is_there
        if not stands:
            self._epoch, self._last = epoch, last
            engine.forget()
            engine.tags.begin_at(redis.sequence(engine.tags.seq))
        self._checked_at = began
        if self._last == last:
            self._is_in_step(began)
        return stands

    def _is_in_step(self, at: float) -> None:
        self.synced_at = at
        self.tier.engine.trusted_until = at + self.tier.options.max_staleness


def _order(message_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = message_id.partition(b"-")
    return int(milliseconds), int(number or 0)
