"""The recorder: what this process has measured since its last flush.

Adding costs well under a microsecond, takes no I/O and cannot raise. Its memory is bounded by the caps of the kinds, whatever
the site does: beyond a cap, values fold into ``<other>`` and the panel says how many did.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable

from perfsuite.metrics import guard, kinds
from perfsuite.metrics.histogram import Counter, Histogram

SeriesKey = tuple[str, tuple[str, ...]]
Observation = tuple[str, tuple[str, ...], float]

# A kind whose cap is full of values that no longer come gets a fresh start after this long.
FORGET_S = 3_600.0


class Recorder:
    """Keeps one histogram or counter for each series; made once per process as ``recorder``."""

    def __init__(self) -> None:
        self.on_first: Callable[[], None] | None = None
        self._guard = guard.Guard("recorder")
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[SeriesKey, Counter] = {}
        self._known: dict[str, set[tuple[str, ...]]] = {}
        self._forget_at = time.monotonic() + FORGET_S
        self._started = False

    @property
    def disabled_hooks(self) -> dict[str, str]:
        """Name and sentence of each hook that failed too often and is off in this process."""
        return guard.disabled_hooks

    def observe(self, kind: str, labels: tuple[str, ...], value: float) -> None:
        """Add one value to the series of ``kind`` with these label values."""
        self.observe_many(((kind, labels, value),))

    # Hot path: benchmarks/recorder.py
    def observe_many(self, observations: Iterable[Observation]) -> None:
        """Add many values under one hold of the lock; never raises."""
        try:
            with self._lock:
                series = self._series
                for kind, labels, value in observations:
                    held = series.get((kind, labels))
                    if held is None:
                        held = self._admit(kind, labels)
                    held.add(value)
            if not self._started:
                self._start()
        except Exception as exc:
            self._guard.failed(exc)

    def take(self) -> dict[SeriesKey, Counter]:
        """Take out all that was recorded since the last call, with the failures of hooks as series of their own."""
        for hook, failures in guard.take_failures().items():
            self.observe(kinds.SELF_FAILURES.name, (hook,), failures)
        with self._lock:
            taken, self._series = self._series, {}
            if time.monotonic() >= self._forget_at:
                self._known.clear()
                self._forget_at = time.monotonic() + FORGET_S
        return taken

    def _start(self) -> None:
        self._started = True
        if self.on_first is not None:
            self.on_first()

    def _admit(self, kind: str, labels: tuple[str, ...]) -> Counter:
        """Make the series, or return the kind's ``<other>`` when its cap is reached. Called with the lock held."""
        declared = kinds.lookup(kind)
        if declared is None or len(declared.labels) != len(labels):
            raise ValueError(f"{kind!r} with labels {labels!r} was never declared; call perfsuite.metrics.kinds.declare first.")
        known = self._known.setdefault(kind, set())
        if labels not in known and len(known) >= declared.cap:
            self._series.setdefault((kinds.SELF_FOLDED.name, (kind,)), Counter()).add(1)
            labels = (kinds.OTHER,) * len(labels)
        else:
            known.add(labels)
        made: Counter = Histogram() if declared.percentiles else Counter()
        return self._series.setdefault((kind, labels), made)


recorder = Recorder()

if hasattr(os, "register_at_fork"):
    # What the parent has not flushed is the parent's; the child starts empty, with a lock that nobody holds.
    os.register_at_fork(after_in_child=recorder._reset)
