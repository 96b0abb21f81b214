"""Work that nobody waits for: a few daemon threads that refresh what was served stale. Bounded; what is too much is not done.

The threads start with the first piece of work and end when there is none for a while. Each piece runs in a copy of the context of
the request that asked for it, and leaves no database connection open.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable
from contextvars import copy_context

from django.db import connections

logger = logging.getLogger("perfsuite.caching")

MAX_THREADS = 2
MAX_WAITING = 100
IDLE_S = 10.0


class Background:
    """The process's threads for it, and what waits for them."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[Callable[[], object]] = queue.Queue(MAX_WAITING)
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def do(self, work: Callable[[], object]) -> bool:
        """Have ``work()`` done soon, in the present context; False if too much waits already."""
        context = copy_context()
        try:
            self._waiting.put_nowait(lambda: context.run(work))
        except queue.Full:
            return False
        with self._lock:
            if self._idle or self._threads >= MAX_THREADS:
                return True
            self._threads += 1
        threading.Thread(target=self._run, name="perfsuite-cache-refresh", daemon=True).start()
        return True

    def _run(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                work = self._waiting.get(timeout=IDLE_S)
            except queue.Empty:
                work = None
            with self._lock:
                self._idle -= 1
                if work is None and self._waiting.empty():
                    self._threads -= 1
                    return
            if work is not None:
                self._do(work)

    def _do(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:
            logger.exception("A value could not be computed anew; the stale one is served on.")
        finally:
            connections.close_all()


background = Background()


def _after_fork() -> None:
    global background
    background = Background()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
