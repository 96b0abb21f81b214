"""Reading the store for one answer: what several figures need is read once.

    with one_reading():
        totals(...), series(...), top(...)

Inside the block the functions of ``perfsuite.metrics.query`` see the store as it was when each thing was first read, and of a
kind that has no series at all nothing is asked. Keep it short: what was read is held until the block ends.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from perfsuite.metrics import kinds
from perfsuite.metrics.storages import Cell, SeriesRow, Span, get_storage

Sums = list[tuple[str, int, float, float, float]]


class Reading:
    """The reading half of a storage; with ``keeps``, asked for the same again it answers from memory."""

    def __init__(self, keeps: bool) -> None:
        self._keeps = keeps
        self._kinds: set[str] | None = None
        self._tiles: dict[Hashable, list[Span]] = {}
        self._marks: dict[tuple[str, ...], dict[str, int]] = {}
        self._sums: dict[tuple[tuple[Span, ...], str], Sums] = {}
        self._own: dict[tuple[Span, ...], list[Cell]] = {}

    def marks(self, names: Sequence[str]) -> dict[str, int]:
        """Return the marks that are set."""
        key = tuple(names)
        found = self._marks.get(key)
        if found is None:
            found = get_storage().marks(names)
            if self._keeps:
                self._marks[key] = found
        return found

    def sums(self, spans: Sequence[Span], kind: str, series: Sequence[str] | None = None) -> Sums:
        """Return ``(series, count, sum, min, max)`` over the spans for each series of a kind, of some series if given."""
        if not self._has(kind):
            return []
        if series is not None:
            return get_storage().sums(spans, kind, series)
        key = (tuple(spans), kind)
        found = self._sums.get(key)
        if found is None:
            found = get_storage().sums(spans, kind)
            if self._keeps:
                self._sums[key] = found
        return found

    def cells(self, spans: Sequence[Span], kind: str, series: Sequence[str] | None = None) -> Iterable[Cell]:
        """Return the rows of the spans; not kept, since they are the bulk of what is read, but for perfsuite's own."""
        if not self._keeps or kind not in kinds.OWN or series is not None:
            return get_storage().cells(spans, (kind,), series) if self._has(kind) else ()
        key = tuple(spans)
        if key not in self._own:
            self._own[key] = list(get_storage().cells(spans, kinds.OWN))
        return [cell for cell in self._own[key] if cell.kind == kind]

    def describe(self, ids: Sequence[str]) -> dict[str, SeriesRow]:
        """Return the description of each series that is known."""
        return get_storage().describe(ids)

    def tiled(self, window: Hashable, tile: Callable[[], list[Span]]) -> list[Span]:
        """Return the spans that cover a window, which take as long to find as to read a small kind."""
        found = self._tiles.get(window)
        if found is None:
            found = tile()
            if self._keeps:
                self._tiles[window] = found
        return found

    def _has(self, kind: str) -> bool:
        """Tell whether a kind may have rows. A page asks for dozens of kinds, and most sites have a few of them."""
        if not self._keeps:
            return True
        if self._kinds is None:
            self._kinds = get_storage().kinds()
        return kind in self._kinds


_in_hand: ContextVar[Reading | None] = ContextVar("perfsuite_reading", default=None)


def reading() -> Reading:
    """Return the reading in hand, or one that keeps nothing."""
    return _in_hand.get() or Reading(keeps=False)


@contextmanager
def one_reading() -> Iterator[None]:
    """Share what is read inside the block."""
    token = _in_hand.set(Reading(keeps=True))
    try:
        yield
    finally:
        _in_hand.reset(token)
