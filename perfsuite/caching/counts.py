"""What was done with each cache in ``CACHES`` that is not ours. All threads share the counters; ``next`` is one step for them."""

from __future__ import annotations

import os
from collections import Counter, deque
from itertools import count

from perfsuite.caching import kinds
from perfsuite.caching.engine import MAX_SAMPLES, SAMPLE_EVERY, reading
from perfsuite.caching.prefixes import prefix_of
from perfsuite.metrics.guard import Guard
from perfsuite.metrics.recorder import Observation, recorder

guard = Guard("caches")

# So many calls wait with their times before they go to the recorder.
MAX_WAITING = 500


class AliasCounts:
    """The counters of one alias since the process began, and the calls and samples since the last flush."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.hits, self.misses, self.failed = count(), count(), count()
        self.sets, self.deletes = count(), count()
        self._reads = count(1)
        self._samples: deque[tuple[str, bool]] = deque(maxlen=MAX_SAMPLES)
        self._times: deque[tuple[str, float]] = deque()
        self._recorded: dict[tuple[str, tuple[str, ...]], int] = {}

    def read(self, key: object, was_hit: bool) -> None:
        """Count one read, and keep one in ``SAMPLE_EVERY`` as a sample."""
        next(self.hits if was_hit else self.misses)
        if not next(self._reads) % SAMPLE_EVERY:
            self._samples.append((str(key), was_hit))

    def took(self, operation: str, seconds: float) -> None:
        """Note how long a call took."""
        self._times.append((operation, seconds * 1e6))
        if len(self._times) >= MAX_WAITING:
            recorder.observe_many(self._of_times())

    def take(self) -> list[Observation]:
        """Return what is recorded with a flush: what was counted since the last one."""
        found: list[Observation] = []
        for (kind, labels), now in self._counted().items():
            growth = now - self._recorded.get((kind, labels), 0)
            if growth:
                self._recorded[kind, labels] = now
                found.append((kind, (self.alias, *labels), growth))
        return found + self._of_times() + self._of_samples()

    def leave_to_parent(self) -> None:
        """Begin anew in a child process."""
        self._samples.clear()
        self._times.clear()
        self._recorded = self._counted()

    def _counted(self) -> dict[tuple[str, tuple[str, ...]], int]:
        return {
            (kinds.READS, ("found",)): reading(self.hits),
            (kinds.READS, ("absent",)): reading(self.misses),
            (kinds.SETS, ()): reading(self.sets),
            (kinds.DELETES, ()): reading(self.deletes),
            (kinds.EVENTS, ("failed",)): reading(self.failed),
        }

    def _of_times(self) -> list[Observation]:
        by_operation: dict[str, list[float]] = {}
        try:
            while True:  # one by one, since other threads add and take meanwhile
                operation, microseconds = self._times.popleft()
                by_operation.setdefault(operation, []).append(microseconds)
        except IndexError:
            pass
        return [(kinds.TIME, (self.alias, operation), times) for operation, times in by_operation.items()]

    def _of_samples(self) -> list[Observation]:
        answers: Counter[tuple[str, ...]] = Counter()
        while self._samples:
            key, was_hit = self._samples.popleft()
            answers[self.alias, prefix_of(key), "hit" if was_hit else "miss"] += 1
        return [(kinds.PREFIXES, labels, times) for labels, times in answers.items()]


_of_alias: dict[str, AliasCounts] = {}


def of_alias(alias: str) -> AliasCounts:
    """Return the counters of an alias."""
    return _of_alias.setdefault(alias, AliasCounts(alias))


def observations() -> list[Observation]:
    """Return what is recorded of all of them with a flush."""
    return [observation for counts in list(_of_alias.values()) for observation in counts.take()]


def advance(counter: count[int], steps: int) -> None:
    """Count several."""
    for _ in range(steps):
        next(counter)


def _after_fork() -> None:
    for counts in _of_alias.values():
        counts.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
