"""A made-up fleet on a made-up clock: processes flush, a leader compacts and trims, and time goes by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from perfsuite.metrics import compaction
from perfsuite.metrics.flusher import MAX_AGE_S, RESOLUTION_S
from perfsuite.metrics.kinds import Kind
from perfsuite.metrics.storages import RESOLUTIONS, get_storage
from tests.metrics.conftest import Clock
from tests.metrics.rows import TIMING, VOLUME, Measured, assert_same, empty_the_store, exactly, stored, write

# A step is one of: ("write", series, values, seconds that the batch has waited), ("move", seconds), ("compact",), ("trim",).
Step = tuple[Any, ...]
SERIES: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    (TIMING, ("/a/", "2xx")),
    (TIMING, ("/a/", "5xx")),
    (TIMING, ("/b/", "2xx")),
    (VOLUME, ("/a/",)),
    (VOLUME, ("/b/",)),
)

values = st.lists(st.sampled_from([0.0, 0.5, 1.0, 7.0, 120.0, 9e3, 4e6]), min_size=1, max_size=4)
writes = st.tuples(st.just("write"), st.sampled_from(SERIES), values, st.sampled_from([0, 0, 0, 15, 300]))
moves = st.tuples(
    st.just("move"), st.sampled_from([3, 10, 10, 25, 60, 60, 130, 600, 1_300, 4_000, 25_000, 90_000, 200_000])
)
works = st.one_of(st.just(("compact",)), st.just(("trim",)))
histories = st.lists(st.one_of(writes, moves, works), min_size=1, max_size=30)


class World:
    """The clock, what was measured (stamped as the flusher stamps), and the processes' work."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.measured: list[Measured] = []

    @property
    def now(self) -> int:
        return int(self.clock.epoch)

    def write(self, series: tuple[Kind, tuple[str, ...]], of: Sequence[float], waited: int = 0) -> None:
        """Write values as one process does that took them from its recorder ``waited`` seconds ago."""
        at = max(self.now - waited, self.now - MAX_AGE_S)
        self._write(series, of, self._stamp(at))

    def write_slowly(self, series: tuple[Kind, tuple[str, ...]], of: Sequence[float]) -> Iterator[None]:
        """Write values one by one under one stamp, as a store does that has no transactions; pause after each."""
        start = self._stamp(self.now)
        for value in of:
            self._write(series, [value], start)
            yield

    def _stamp(self, at: int) -> int:
        return max(at - at % RESOLUTION_S, compaction.earliest_open(get_storage()))

    def _write(self, series: tuple[Kind, tuple[str, ...]], of: Sequence[float], start: int) -> None:
        kind, labels = series
        batch = [Measured(start, kind.name, labels, value) for value in of]
        write(*batch)
        self.measured += batch

    def compact(self) -> int:
        return compaction.compact(checkpoint=lambda: None)

    def trim(self) -> dict[int, int]:
        return compaction.trim(checkpoint=lambda: None)

    def run(self, steps: Sequence[Step]) -> None:
        for what, *arguments in steps:
            if what == "move":
                self.clock.move(*arguments)
            else:
                getattr(self, what)(*arguments)

    def assert_complete_below_the_watermarks(self) -> None:
        """Below each watermark, the rows of its resolution hold exactly what was measured: nothing late, lost or doubled."""
        for resolution in RESOLUTIONS[1:]:
            self.assert_complete_at(resolution)

    def assert_complete_at(self, resolution: int) -> None:
        mark = compaction.watermarks(get_storage()).get(resolution, 0)
        for kind in (TIMING, VOLUME):
            assert_same(stored(resolution, kind.name, mark), exactly(self.measured, kind.name, 0, mark))


@contextmanager
def new_world() -> Iterator[World]:
    """Give an empty store and a clock that stands at some instant, for one example of a property."""
    empty_the_store()
    with pytest.MonkeyPatch.context() as patch:
        yield World(Clock(patch, "perfsuite.metrics.compaction", "perfsuite.metrics.query"))


def fewer(divisor: int) -> hypothesis.settings:
    """Return the settings of a property whose examples use the database: fewer of them, each with a store of its own."""
    return hypothesis.settings(
        max_examples=max(5, hypothesis.settings().max_examples // divisor),
        suppress_health_check=[
            hypothesis.HealthCheck.function_scoped_fixture,
            hypothesis.HealthCheck.too_slow,
        ],
    )
