"""What a process remembers for its next flush is forgotten between two tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perfsuite.metrics import exemplars, query, sightings
from perfsuite.metrics.flusher import flusher
from perfsuite.metrics.recorder import recorder
from perfsuite.queries.explain import daily


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    _forget()
    yield
    _forget()


def _forget() -> None:
    recorder.take()
    exemplars._exemplars._reset()
    sightings._sightings._reset()
    daily._tried.clear()
    # The descriptions of series, written once by a process, go with a test's database.
    flusher._reset()
    query._described.clear()
