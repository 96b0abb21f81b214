"""What this process has recorded since a test began, read from memory, so that no store is needed.

A folder whose tests use it imports the fixture ``recorded`` in its ``conftest.py``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from perfsuite.metrics import guard
from perfsuite.metrics.histogram import Counter
from perfsuite.metrics.recorder import SeriesKey, recorder
from perfsuite.queries import statements

# What a plain SELECT of the ORM's is called in the figures.
SELECT = "aggregate" if os.environ.get("TEST_DATABASE") == "mongodb" else "SELECT"


class Recorded:
    """Adds up everything that was taken out of the recorder during one test."""

    def __init__(self) -> None:
        self._taken: list[dict[SeriesKey, Counter]] = []

    def labels(self, kind: str) -> set[tuple[str, ...]]:
        """Return the label values of all series of a kind."""
        return {labels for (name, labels), _ in self._series() if name == kind}

    def count(self, kind: str, *labels: str) -> int:
        """Return how many values a series has; without labels, how many all series of the kind have."""
        return sum(value.count for value in self._values(kind, labels))

    def sum(self, kind: str, *labels: str) -> float:
        """Return the sum of a series; without labels, of all series of the kind."""
        return sum(value.sum for value in self._values(kind, labels))

    def requests(self) -> dict[tuple[str, ...], int]:
        """Return how many requests there were by route, method and status."""
        return {labels: self.count("requests.route", *labels) for labels in self.labels("requests.route")}

    def operations(self) -> dict[str, int]:
        """Return how many statements there were by operation, over all aliases."""
        counts: dict[str, int] = {}
        for alias, operation in self.labels("queries"):
            counts[operation] = counts.get(operation, 0) + self.count("queries", alias, operation)
        return counts

    def _values(self, kind: str, labels: tuple[str, ...]) -> list[Counter]:
        return [value for key, value in self._series() if key[0] == kind and labels in ((), key[1])]

    def _series(self) -> list[tuple[SeriesKey, Counter]]:
        self._taken.append(recorder.take())
        return [pair for taken in self._taken for pair in taken.items()]


def _start_afresh() -> None:
    for each in guard._guards:
        each.reset()
    statements._logged_at.clear()
    recorder.take()
    recorder._known.clear()  # a kind's cap is for one process, and all tests together have more statements


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    """Return what is recorded from now on; hooks that a test has made fail are on again afterwards."""
    _start_afresh()
    yield Recorded()
    _start_afresh()
