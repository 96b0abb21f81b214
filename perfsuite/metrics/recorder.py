"""The recorder: what this process has measured since its last flush.

Adding costs well under a microsecond, takes no I/O and cannot raise. The surprising rule: what is added waits until there is
enough of it, and is then added up in one go. Adding up in each request costs several times as much, because the request
has pushed the series out of the processor's cache; measured, this halves what a request without queries pays.

Memory is bounded by the caps of the kinds, whatever the site does: beyond a cap, values fold into ``<other>`` and the panel says
how many did.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from perfsuite.metrics import guard, kinds
from perfsuite.metrics.histogram import Counter, Histogram

SeriesKey = tuple[str, tuple[str, ...]]
# A kind, its label values, and a value, a list of several, or a histogram of many, where series share them.
Observation = tuple[str, tuple[str, ...], "float | list[float] | Histogram"]

# So many calls wait before they are added up, fewer if they bring more than so many observations.
MAX_WAITING = 64
MAX_WAITING_OBSERVATIONS = 1_500
# So many calls may wait while one thread adds up; the next ones wait for it, so that memory stays bounded.
MAX_BEHIND = 1_024
# A kind whose cap is full of values that no longer come gets a fresh start after this long.
FORGET_S = 3_600.0


class Finished(Protocol):
    """Something that is over, whose observations need not be worked out while its request still runs."""

    @staticmethod
    def observations_of(finished: list[Any]) -> Iterable[Observation]:
        """Return what all of them come to. Called once for each, perhaps in another thread; must not raise."""


class Recorder:
    """Keeps one histogram or counter for each series; made once per process as ``recorder``."""

    def __init__(self) -> None:
        self.on_first: Callable[[], None] | None = None
        self._sources: list[Callable[[], Iterable[Observation]]] = []
        self._guard = guard.Guard("recorder", switches_off=False)
        self._reset()

    def _reset(self) -> None:
        # Reentrant: the garbage collector or a signal may run code that records while this thread holds it.
        self._lock = threading.RLock()
        self._adding = False
        self._waiting: deque[tuple[Observation, ...] | Finished] = deque()
        self._weight = 0
        self._spent_s = 0.0
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

    # Hot path: benchmarks/recorder.py, benchmarks/overhead.py
    def observe_many(self, observations: Iterable[Observation]) -> None:
        """Add many values, which need not be of the same series; never raises. One that cannot be added drops those after it."""
        try:
            if type(observations) is not tuple:
                observations = tuple(observations)
            self._put_aside(observations, len(observations))
        except Exception as exc:  # noqa: BLE001 - the guard's
            self._guard.failed(exc)

    # Hot path: benchmarks/overhead.py
    def observe_later(self, finished: Finished, weight: int) -> None:
        """Add what ``finished`` comes to, asking it for that later. ``weight`` is about how many observations; never raises."""
        try:
            self._put_aside(finished, weight)
        except Exception as exc:  # noqa: BLE001 - the guard's
            self._guard.failed(exc)

    def before_take(self, source: Callable[[], Iterable[Observation]]) -> None:
        """Have ``source()`` asked for observations before each ``take``, in the thread of that. Idempotent."""
        if source not in self._sources:
            self._sources.append(source)

    def take_spent_s(self) -> float:
        """Return the seconds that callers have spent on adding up since the last call."""
        spent_s, self._spent_s = self._spent_s, 0.0
        return spent_s

    def _put_aside(self, entry: tuple[Observation, ...] | Finished, weight: int) -> None:
        # Appending to a deque is atomic, so no lock is taken here. A weight that two threads add at once may be lost.
        self._waiting.append(entry)
        self._weight += weight
        if len(self._waiting) >= MAX_WAITING or self._weight > MAX_WAITING_OBSERVATIONS:
            started = time.perf_counter()
            self._add_up(wait=len(self._waiting) > MAX_BEHIND)
            self._spent_s += time.perf_counter() - started
        if not self._started:
            self._start()

    def take(self) -> dict[SeriesKey, Counter]:
        """Take out all that was recorded since the last call, with the failures of hooks as series of their own."""
        observed = [observation for source in self._sources for observation in self._asked(source)]
        with self._lock:
            self.observe_many(observed)
            self._add_up(wait=True)
            for hook, failures in guard.take_failures().items():
                self.observe(kinds.SELF_FAILURES.name, (hook,), failures)
            self._add_up(wait=True)
            taken, self._series = self._series, {}
            if time.monotonic() >= self._forget_at:
                self._known.clear()
                self._forget_at = time.monotonic() + FORGET_S
        return taken

    def _asked(self, source: Callable[[], Iterable[Observation]]) -> Iterable[Observation]:
        try:
            return source()
        except Exception as exc:  # noqa: BLE001 - the guard's
            self._guard.failed(exc)
            return ()

    def _add_up(self, wait: bool) -> None:
        """Add what waits to its series, unless this thread is at it already; without ``wait``, leave it to another that is."""
        if not self._lock.acquire(blocking=wait):
            return
        further_up, self._adding = self._adding, True
        self._weight = 0
        try:
            while self._waiting and not further_up:
                self._add_waiting()
        finally:
            self._adding = further_up
            self._lock.release()

    def _add_waiting(self) -> None:
        """Add what waits now. What is over is worked out together, by class; that may make further entries wait."""
        over: dict[type[Finished], list[Finished]] = {}
        try:
            while True:
                entry = self._waiting.popleft()
                if isinstance(entry, tuple):
                    self._add(entry)
                else:
                    over.setdefault(type(entry), []).append(entry)
        except IndexError:
            pass
        for cls, finished in over.items():
            try:
                observations = cls.observations_of(finished)
            except Exception as exc:  # noqa: BLE001 - the guard's
                self._guard.failed(exc)
            else:
                self._add(observations)

    def _add(self, observations: Iterable[Observation]) -> None:
        """Add observations; one that cannot be added drops those after it."""
        series = self._series
        try:
            for kind, labels, value in observations:
                held = series.get((kind, labels))
                if held is None:
                    held = self._admit(kind, labels, _number_of(value))
                if isinstance(value, list):
                    held.add_many(value)
                elif isinstance(value, Histogram):
                    held.merge(value)  # type: ignore[attr-defined]  # of a kind with percentiles, as its caller knows
                else:
                    held.add(value)
        except Exception as exc:  # noqa: BLE001 - the guard's
            self._guard.failed(exc)

    def _start(self) -> None:
        with self._lock:
            first, self._started = not self._started, True
        if first and self.on_first is not None:
            self.on_first()

    def _admit(self, kind: str, labels: tuple[str, ...], values: int) -> Counter:
        """Make the series, or return the kind's ``<other>`` when its cap is reached. Called with the lock held."""
        declared = kinds.lookup(kind)
        if declared is None or len(declared.labels) != len(labels):
            raise ValueError(
                f"{kind!r} with labels {labels!r} was never declared; call perfsuite.metrics.kinds.declare first."
            )
        known = self._known.setdefault(kind, set())
        if labels not in known and len(known) >= declared.cap:
            self._series.setdefault((kinds.SELF_FOLDED.name, (kind,)), Counter()).add(values)
            labels = (kinds.OTHER,) * len(labels)
        else:
            known.add(labels)
        made: Counter = Histogram() if declared.percentiles else Counter()
        return self._series.setdefault((kind, labels), made)


def _number_of(value: float | list[float] | Histogram) -> int:
    if isinstance(value, list):
        return len(value)
    return value.count if isinstance(value, Histogram) else 1


recorder = Recorder()

if hasattr(os, "register_at_fork"):
    # What the parent has not flushed is the parent's; the child starts empty, with a lock that nobody holds.
    os.register_at_fork(after_in_child=recorder._reset)  # noqa: SLF001 - its own module's
