"""What cards read with: the read side of the metrics, each answer kept for the other cards of the same page.

A store that is away is asked once per page and not once per card, since each attempt may wait for a time-out.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Protocol, TypeVar, cast

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics import query
from perfsuite.metrics.histogram import Histogram
from perfsuite.metrics.query import Order, Row, Window

T = TypeVar("T")


class Reader(Protocol):
    """The functions of ``perfsuite.metrics.query``, as methods."""

    def totals(self, kind: str, window: Window, where: Mapping[str, str] | None = None) -> Histogram:
        """Return all values of a kind in the window, merged."""

    def totals_by(self, kind: str, window: Window, by: str) -> dict[str, Histogram]:
        """Return the values of a kind, merged for each value of one label."""

    def totals_of(
        self, kind: str, window: Window, labels: Sequence[tuple[str, ...]]
    ) -> dict[tuple[str, ...], Histogram]:
        """Return count, sum, min and max of just the series with these label values."""

    def series(
        self, kind: str, window: Window, step: int, where: Mapping[str, str] | None = None
    ) -> list[Histogram]:
        """Return one histogram for each step of the window."""

    def series_by(self, kind: str, window: Window, step: int, by: str) -> dict[str, list[Histogram]]:
        """Return a series for each value of one label."""

    def top(
        self,
        kind: str,
        window: Window,
        by: tuple[str, ...],
        order: Order = "sum",
        limit: int = 10,
        *,
        percentiles: bool = True,
    ) -> list[Row]:
        """Return the largest groups of a kind."""


class StoreReader:
    """Reads the store, each thing once. Every method raises ``StoreUnavailable`` once the store was found to be away."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, object] = {}
        self._away: StoreUnavailable | None = None

    def totals(self, kind: str, window: Window, where: Mapping[str, str] | None = None) -> Histogram:
        """Return all values of a kind in the window, merged."""
        return self._once(("totals", kind, window, _frozen(where)), lambda: query.totals(kind, window, where))

    def totals_by(self, kind: str, window: Window, by: str) -> dict[str, Histogram]:
        """Return the values of a kind, merged for each value of one label."""
        return self._once(("totals_by", kind, window, by), lambda: query.totals_by(kind, window, by))

    def totals_of(
        self, kind: str, window: Window, labels: Sequence[tuple[str, ...]]
    ) -> dict[tuple[str, ...], Histogram]:
        """Return count, sum, min and max of just the series with these label values."""
        key = ("totals_of", kind, window, tuple(labels))
        return self._once(key, lambda: query.totals_of(kind, window, labels))

    def series(
        self, kind: str, window: Window, step: int, where: Mapping[str, str] | None = None
    ) -> list[Histogram]:
        """Return one histogram for each step of the window."""
        key = ("series", kind, window, step, _frozen(where))
        return self._once(key, lambda: query.series(kind, window, step, where))

    def series_by(self, kind: str, window: Window, step: int, by: str) -> dict[str, list[Histogram]]:
        """Return a series for each value of one label."""
        key = ("series_by", kind, window, step, by)
        return self._once(key, lambda: query.series_by(kind, window, step, by))

    def top(
        self,
        kind: str,
        window: Window,
        by: tuple[str, ...],
        order: Order = "sum",
        limit: int = 10,
        *,
        percentiles: bool = True,
    ) -> list[Row]:
        """Return the largest groups of a kind."""
        key = ("top", kind, window, by, order, limit, percentiles)
        return self._once(key, lambda: query.top(kind, window, by, order, limit, percentiles=percentiles))

    def _once(self, key: Hashable, read: Callable[[], T]) -> T:
        if self._away is not None:
            raise self._away
        if key not in self._kept:
            try:
                self._kept[key] = read()
            except StoreUnavailable as exc:
                self._away = exc
                raise
        return cast(T, self._kept[key])


class EmptyReader:
    """Answers as an empty store does, so that the cards keep their shape while the store is away."""

    def totals(self, kind: str, window: Window, where: Mapping[str, str] | None = None) -> Histogram:
        """Return an empty histogram."""
        return Histogram()

    def totals_by(self, kind: str, window: Window, by: str) -> dict[str, Histogram]:
        """Return nothing."""
        return {}

    def totals_of(
        self, kind: str, window: Window, labels: Sequence[tuple[str, ...]]
    ) -> dict[tuple[str, ...], Histogram]:
        """Return an empty histogram for each."""
        return {values: Histogram() for values in labels}

    def series(
        self, kind: str, window: Window, step: int, where: Mapping[str, str] | None = None
    ) -> list[Histogram]:
        """Return one empty histogram for each step."""
        return [Histogram() for _ in range(-(-window.seconds // step))]

    def series_by(self, kind: str, window: Window, step: int, by: str) -> dict[str, list[Histogram]]:
        """Return nothing."""
        return {}

    def top(
        self,
        kind: str,
        window: Window,
        by: tuple[str, ...],
        order: Order = "sum",
        limit: int = 10,
        *,
        percentiles: bool = True,
    ) -> list[Row]:
        """Return nothing."""
        return []


def _frozen(where: Mapping[str, str] | None) -> Hashable:
    return tuple(sorted(where.items())) if where else None
