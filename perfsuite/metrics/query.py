"""The read side: totals, series and rankings over any window, with percentiles.

A window is tiled with the coarsest resolutions that are complete, so that a day costs a few rows per series; near its ends and
near now the tiles get finer. No stretch is ever read in two resolutions. All functions raise ``StoreUnavailable`` when the
store cannot be read.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from perfsuite.metrics import kinds
from perfsuite.metrics.compaction import watermarks
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.histogram import Histogram
from perfsuite.metrics.identity import describe
from perfsuite.metrics.reading import Reading, Sums, reading
from perfsuite.metrics.storages import RESOLUTIONS, Cell, Span

Order = Literal["sum", "count", "mean", "max", "p95", "p99"]
_BY_PERCENTILE = {"p95": 0.95, "p99": 0.99}
# A ranking by percentile reads the histograms of this many times the groups that it returns, those whose percentile can be
# largest by their maximum and mean. Reading all of a busy site's statements would take longer than a page may.
CANDIDATES_PER_ROW = 3
# Rows this near to the end of their retention are not counted on: the process that deletes them may have another clock.
SKEW_S = 60
# The values of the labels that a ranking groups by -> what they add up to, and the series that belong there.
Groups = dict[tuple[str, ...], tuple[Histogram, list[str]]]


@dataclass(frozen=True)
class Window:
    """A stretch of time in whole seconds since the epoch, its end exclusive."""

    start: int
    end: int

    @classmethod
    def last(cls, seconds: int, now: float | None = None) -> Window:
        """Return the window of the last ``seconds``; it ends on the next full 10 seconds, so what was just flushed is in it."""
        # Not rounded up: at a full 10 seconds, what is flushed now is stamped with that very instant.
        end = (int(time.time() if now is None else now) // RESOLUTIONS[0] + 1) * RESOLUTIONS[0]
        return cls(end - seconds, end)

    @property
    def seconds(self) -> int:
        """The length of the window."""
        return self.end - self.start

    def aligned(self, step: int) -> Window:
        """Return the window widened to full steps, so that the points of a chart do not move between two polls."""
        return Window(self.start - self.start % step, -(-self.end // step) * step)

    def previous(self) -> Window:
        """Return the window of the same length that ends where this one starts."""
        return Window(self.start - self.seconds, self.start)


@dataclass(frozen=True)
class Row:
    """One line of a ranking: the label values it stands for and their merged values."""

    labels: dict[str, str]
    value: Histogram


def totals(kind: str, window: Window, where: Mapping[str, str] | None = None) -> Histogram:
    """Return all values of a kind in the window, merged; only those of series with the labels in ``where`` if given."""
    storage = reading()
    return _merged(_matching(storage, storage.cells(_tiles(storage, window), kind), where))


def totals_by(kind: str, window: Window, by: str) -> dict[str, Histogram]:
    """Return the values of a kind in the window, merged for each value of the label ``by``."""
    storage = reading()
    cells = storage.cells(_tiles(storage, window), kind)
    return {labels[0]: merged for labels, merged in _grouped(storage, cells, (by,)).items()}


def totals_of(
    kind: str, window: Window, labels: Iterable[tuple[str, ...]]
) -> dict[tuple[str, ...], Histogram]:
    """Return count, sum, min and max of just the series with these label values, all labels of the kind in their order.

    Costs a fraction of reading all series of the kind. One without values in the window is an empty histogram.
    """
    storage = reading()
    wanted = {describe(kind, values).id: values for values in labels}
    found = {values: Histogram() for values in wanted.values()}
    for series_id, count, total, least, most in (
        storage.sums(_tiles(storage, window), kind, list(wanted)) if wanted else ()
    ):
        found[wanted[series_id]].merge_stored(count, total, least, most, b"")
    return found


def series(kind: str, window: Window, step: int, where: Mapping[str, str] | None = None) -> list[Histogram]:
    """Return one merged histogram for each ``step`` seconds from the window's start on, empty where nothing was recorded.

    Where rows that fit into the steps have expired, the values of a longer row stand at its start.
    """
    storage = reading()
    return _points(_matching(storage, _steps(storage, kind, window, step), where), window, step)


def series_of(kind: str, window: Window, step: int, labels: Iterable[tuple[str, ...]]) -> list[Histogram]:
    """Return a series, as ``series`` does, of just the series with these label values, all labels of the kind in their order.

    Costs a fraction of reading all series of the kind.
    """
    storage = reading()
    ids = [describe(kind, values).id for values in labels]
    return _points(_steps(storage, kind, window, step, ids) if ids else (), window, step)


def series_by(
    kind: str, window: Window, step: int, by: str, where: Mapping[str, str] | None = None
) -> dict[str, list[Histogram]]:
    """Return a series, as ``series`` does, for each value of the label ``by``; one read for all of them."""
    storage = reading()
    cells = list(_matching(storage, _steps(storage, kind, window, step), where))
    labels = _labels(storage, kind, [cell.series for cell in cells], (by,))
    lines: dict[str, list[Cell]] = {}
    for cell in cells:
        (value,) = labels[cell.series]
        lines.setdefault(value, []).append(cell)
    return {value: _points(of_value, window, step) for value, of_value in sorted(lines.items())}


def _steps(
    storage: Reading, kind: str, window: Window, step: int, series: Sequence[str] | None = None
) -> Iterable[Cell]:
    """Return the cells of rows that lie within one step each, as far as such rows are kept."""
    coarsest = max(
        (r for r in RESOLUTIONS if step % r == 0 and window.start % r == 0), default=RESOLUTIONS[0]
    )
    return storage.cells(_tiles(storage, window, coarsest), kind, series)


def _points(cells: Iterable[Cell], window: Window, step: int) -> list[Histogram]:
    points: list[list[Cell]] = [[] for _ in range(-(-window.seconds // step))]
    for cell in cells:
        points[min(max(0, (cell.start - window.start) // step), len(points) - 1)].append(cell)
    return [_merged(at_point) for at_point in points]


def top(
    kind: str,
    window: Window,
    by: Sequence[str],
    order: Order = "sum",
    limit: int = 10,
    *,
    percentiles: bool = True,
    where: Callable[[Mapping[str, str]], bool] | None = None,
) -> list[Row]:
    """Return the ``limit`` largest groups of a kind, grouped by the labels ``by``, with their percentiles.

    ``where`` is given all labels of each series, and leaves out those of which it is false.

    Sums are made by the database; histograms are read only for the groups that may be shown. For a counter, and for every kind
    without ``percentiles``, which costs a fraction, only count, sum, min, max and mean mean something.
    """
    storage = reading()
    spans = _tiles(storage, window)
    groups: Groups = {}
    sums = storage.sums(spans, kind)
    if where is not None:
        sums = _those(storage, kind, sums, where)
    labels = _labels(storage, kind, [row[0] for row in sums], by)
    for series_id, count, total, least, most in sums:
        merged, ids = groups.setdefault(labels[series_id], (Histogram(), []))
        merged.merge_stored(count, total, least, most, b"")
        ids.append(series_id)
    if order in _BY_PERCENTILE:
        return _top_by_percentile(storage, spans, kind, by, groups, _BY_PERCENTILE[order], limit)
    ranked = sorted(groups.items(), key=lambda group: getattr(group[1][0], order), reverse=True)
    kept = dict(ranked[:limit])
    if percentiles:
        _read_histograms(storage, spans, kind, kept)
    return [Row(dict(zip(by, values, strict=True)), merged) for values, (merged, _) in kept.items()]


def _those(storage: Reading, kind: str, sums: Sums, where: Callable[[Mapping[str, str]], bool]) -> Sums:
    declared = kinds.lookup(kind)
    names = declared.labels if declared else ()
    labels = _labels(storage, kind, [row[0] for row in sums], names)
    return [row for row in sums if where(dict(zip(names, labels[row[0]], strict=True)))]


def _top_by_percentile(
    storage: Reading,
    spans: Sequence[Span],
    kind: str,
    by: Sequence[str],
    groups: Groups,
    q: float,
    limit: int,
) -> list[Row]:
    """Rank by a percentile, reading the histograms of those groups only for which it can be largest."""
    bounds = {values: _largest_quantile(merged, q) for values, (merged, _) in groups.items()}
    candidates = sorted(groups, key=lambda values: bounds[values], reverse=True)[: CANDIDATES_PER_ROW * limit]
    read = {values: groups[values] for values in candidates}
    _read_histograms(storage, spans, kind, read)
    rows = [(h.quantile(q), Row(dict(zip(by, values, strict=True)), h)) for values, (h, _) in read.items()]
    rows.sort(key=lambda row: row[0], reverse=True)
    return [row for _, row in rows[:limit]]


def _largest_quantile(merged: Histogram, q: float) -> float:
    """Return what a quantile is at most: the values from its rank up are no smaller, and together no more than the sum."""
    return min(merged.max, merged.sum / (merged.count - math.ceil(q * merged.count) + 1))


def _read_histograms(storage: Reading, spans: Sequence[Span], kind: str, groups: Groups) -> None:
    declared = kinds.lookup(kind)
    if declared is not None and not declared.percentiles:
        return
    of = {series_id: values for values, (_, ids) in groups.items() for series_id in ids}
    cells: dict[tuple[str, ...], list[Cell]] = {values: [] for values in groups}
    for cell in storage.cells(spans, kind, list(of)) if of else ():
        cells[of[cell.series]].append(cell)
    for values, of_group in cells.items():
        groups[values] = (_merged(of_group), groups[values][1])


def _tiles(storage: Reading, window: Window, coarsest: int = RESOLUTIONS[-1]) -> list[Span]:
    """Cover the window with the coarsest complete rows of at most ``coarsest`` seconds, without overlap.

    A start that lies where finer rows have expired is moved back to the start of the row that still holds it.
    """
    return storage.tiled((window, coarsest), lambda: _tiled(watermarks(storage), window, coarsest))


def _tiled(marks: Mapping[int, int], window: Window, coarsest: int) -> list[Span]:
    usable = [r for r in RESOLUTIONS if r == RESOLUTIONS[0] or (r <= coarsest and r in marks)]
    kept = _kept(marks)
    at = window.start
    finest = next((r for r in RESOLUTIONS if at >= kept[r]), RESOLUTIONS[-1])
    at -= at % finest
    spans: list[Span] = []
    compacted = max((marks[r] for r in usable if r in marks), default=0)
    while at < window.end:
        if at >= compacted and at >= kept[RESOLUTIONS[0]]:
            spans.append(Span(RESOLUTIONS[0], at, window.end))
            break
        size = _largest_at(at, window.end, usable, marks, kept)
        end = at + size * _alike(at, size, window.end, marks, kept)
        if spans and spans[-1].resolution == size:
            spans[-1] = spans[-1]._replace(end=end)
        else:
            spans.append(Span(size, at, end))
        at = end
    return spans


def _kept(marks: Mapping[int, int]) -> dict[int, int]:
    """Return for each resolution the instant from which on its rows are surely there."""
    now, settings = int(time.time()), MetricsSettings.get()
    kept: dict[int, int] = {}
    for resolution, coarser in zip(RESOLUTIONS, [*RESOLUTIONS[1:], 0], strict=True):
        kept[resolution] = (
            min(now - settings.keep_s(resolution) + SKEW_S, marks.get(coarser, 0)) if coarser else 0
        )
    return kept


def _largest_at(
    at: int, end: int, usable: Sequence[int], marks: Mapping[int, int], kept: Mapping[int, int]
) -> int:
    """Return the resolution to read at ``at``: the largest that is aligned, complete and inside the window.

    Where that one is finer than what is still kept there, the finest that is kept and complete is read instead.
    """
    fitting = [
        r for r in usable if at % r == 0 and (r == RESOLUTIONS[0] or at + r <= marks[r]) and at + r <= end
    ]
    size = max(fitting, default=RESOLUTIONS[0])
    if at < kept[size]:
        older = [
            r for r in RESOLUTIONS if r > size and at % r == 0 and at >= kept[r] and at + r <= marks.get(r, 0)
        ]
        size = min(older, default=size)
    return size


def _alike(at: int, size: int, end: int, marks: Mapping[int, int], kept: Mapping[int, int]) -> int:
    """Return for how many rows of ``size`` in a row ``_largest_at`` says the same at least; it need not be asked before."""
    # What it says changes where coarser rows begin, and where it compares with.
    changes = [at + r - at % r for r in RESOLUTIONS if r > size and marks.get(r, 0) > at]
    changes += [
        instant for r in RESOLUTIONS for instant in (marks.get(r, 0), marks.get(r, 0) - r + 1, end - r + 1)
    ]
    first = min((instant for instant in (*changes, *kept.values()) if instant > at), default=end)
    return max(1, -(-(min(first, end) - at) // size))


def _matching(storage: Reading, cells: Iterable[Cell], where: Mapping[str, str] | None) -> Iterable[Cell]:
    if not where:
        return cells
    cells = list(cells)
    by, wanted = tuple(where), tuple(where.values())
    labels = _labels(storage, cells[0].kind if cells else "", [cell.series for cell in cells], by)
    return [cell for cell in cells if labels[cell.series] == wanted]


def _grouped(storage: Reading, cells: Iterable[Cell], by: Sequence[str]) -> dict[tuple[str, ...], Histogram]:
    groups: dict[tuple[str, ...], list[Cell]] = {}
    cells = list(cells)
    labels = _labels(storage, cells[0].kind if cells else "", [cell.series for cell in cells], by)
    for cell in cells:
        groups.setdefault(labels[cell.series], []).append(cell)
    return {values: _merged(of_group) for values, of_group in groups.items()}


def _merged(cells: Iterable[Cell]) -> Histogram:
    merged = Histogram()
    merged.merge_rows((cell.count, cell.sum, cell.min, cell.max, cell.histogram) for cell in cells)
    return merged


_described: dict[str, tuple[str, ...]] = {}
_MAX_DESCRIBED = 10_000


def _labels(storage: Reading, kind: str, ids: Iterable[str], by: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the values of the labels ``by`` for each series, ``<unknown>`` where its description is gone."""
    described = {series_id: _described.get(series_id) for series_id in ids}
    missing = [series_id for series_id, values in described.items() if values is None]
    if missing:
        read = {row.id: tuple(json.loads(row.labels)) for row in storage.describe(missing).values()}
        described.update(read)
        if len(_described) + len(read) > _MAX_DESCRIBED:
            _described.clear()
        _described.update(read)
    declared = kinds.lookup(kind)
    names = declared.labels if declared else ()
    at = [names.index(label) if label in names else len(names) for label in by]
    return {
        series_id: tuple(values[i] if values and i < len(values) else "<unknown>" for i in at)
        for series_id, values in described.items()
    }
