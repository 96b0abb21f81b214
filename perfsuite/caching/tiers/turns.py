"""Turns: of all processes that want one value computed, one does it and the others look whether it is there."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import TYPE_CHECKING

from perfsuite.caching.breaker import SharedAway
from perfsuite.caching.entry import Entry
from perfsuite.caching.flight import in_thread

if TYPE_CHECKING:
    from perfsuite.caching.tiers.shared import SharedTier

POLL_S = (0.005, 0.05)


class Turn:
    """The turn to compute a key, as a context, also an asynchronous one, that waits for it for ``patience_s`` at most.

    ``entry`` is the fresh value that is there by then, perhaps another process's. ``is_ours`` says that the turn was got, or that
    there is nobody to take turns with. A turn whose taker dies ends by itself.
    """

    def __init__(self, tier: SharedTier, full: str, patience_s: float) -> None:
        self.entry: Entry | None = None
        self.is_ours = False
        self._tier = tier
        self._full = full
        self._token: bytes | None = None
        self._is_over = False
        self._until = time.monotonic() + patience_s
        self._pause_s = POLL_S[0]

    def _ask(self) -> bool:
        """Ask once; tell whether there is nothing more to wait for."""
        tier = self._tier
        try:
            tier.reader.ensure()
            with tier.breaker.guarding():
                self._token = tier.redis.lock(self._full, tier.options.lock_ttl)
            self.is_ours = self._token is not None
            if self._is_over:  # the task was cancelled while this thread was asking for it
                self._give_back()
            self.entry = tier.fetch(self._full, time.time())
        except SharedAway:
            self.is_ours = True
        return self.is_ours or self.entry is not None or time.monotonic() >= self._until

    def _give_back(self) -> None:
        self._is_over = True
        if self._token is not None:
            try:
                with self._tier.breaker.guarding():
                    self._tier.redis.unlock(self._full, self._token)
            except SharedAway:
                pass  # it ends by itself

    def _pause(self) -> float:
        pause_s = self._pause_s
        self._pause_s = min(POLL_S[1], pause_s * 1.5)
        return pause_s

    def __enter__(self) -> Turn:
        while not self._ask():
            time.sleep(self._pause())
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: object, at: TracebackType | None) -> None:
        self._give_back()

    async def __aenter__(self) -> Turn:
        try:
            while not await in_thread(self._ask):  # noqa: ASYNC110 - a server is asked
                await asyncio.sleep(self._pause())
        except asyncio.CancelledError:
            await in_thread(self._give_back)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: object, at: TracebackType | None
    ) -> None:
        await in_thread(self._give_back)
