"""Compression: what it saves of the bodies that are sent, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping

from perfsuite.metrics.histogram import Histogram
from perfsuite.panel.cards.base import (
    US_PER_MS,
    CardContext,
    CardData,
    Column,
    Line,
    Tile,
    percent,
    table,
)
from perfsuite.responses import kinds

ALL = 1_000


class Compression:
    """The bodies that were sent compressed, by coding; left out while there are none."""

    id = "response-compression"
    title = "Compression"

    def data(self, view: CardContext) -> CardData | None:
        """Return the table, or None."""
        before, after = _bodies(view)
        if not before:
            return None
        times = view.read.totals_by(kinds.COMPRESSION, view.window, "coding")
        lines: list[Line] = []
        for coding, bodies in sorted(before.items(), key=lambda item: (-item[1].sum, item[0])):
            sent, time = after.get(coding, Histogram()).sum, times.get(coding)
            lines.append(
                [
                    coding,
                    percent(bodies.sum - sent, bodies.sum),
                    bodies.sum,
                    sent,
                    bodies.count,
                    time.mean / US_PER_MS if time else None,
                    time.quantile(0.95) / US_PER_MS if time else None,
                ]
            )
        columns = (
            Column("coding", "Coding", "text"),
            Column("saved", "Saved", "share"),
            Column("before", "Before", "bytes"),
            Column("after", "Sent", "bytes"),
            Column("bodies", "Bodies"),
            Column("avg", "Time, average", "duration"),
            Column("p95", "Time, p95", "duration"),
        )
        return table(self, columns, lines, hint="stored forms cost no time", sorted_by="before")


def saved_tile(view: CardContext) -> list[Tile]:
    """Return the key figure of compression, if there is any."""
    before, after = _bodies(view)
    whole, sent = _sum(before), _sum(after)
    if not whole:
        return []
    value, unit = _scaled(whole - sent)
    size, size_unit = _scaled(whole)
    hint = f"{percent(whole - sent, whole):.0f} % of {size:g} {size_unit}"
    return [
        Tile("response_saved", "Bytes saved", value, unit=unit, better="up", hint=hint),
    ]


def _scaled(size: float) -> tuple[float, str]:
    """Return bytes in the unit that reads best, as tables show them."""
    units = ("B", "KB", "MB", "GB", "TB")
    index = 0
    while abs(size) >= 1024 and index < len(units) - 1:
        size, index = size / 1024, index + 1
    return float(f"{size:.3g}"), units[index]


def _bodies(view: CardContext) -> tuple[dict[str, Histogram], dict[str, Histogram]]:
    """Return the bodies that were sent compressed, by coding: as they were, and as they were sent."""
    before, after = (
        view.read.top(kind, view.window, ("coding",), "sum", ALL, percentiles=False)
        for kind in (kinds.BYTES_BEFORE, kinds.BYTES_AFTER)
    )
    return {row.labels["coding"]: row.value for row in before}, {
        row.labels["coding"]: row.value for row in after
    }


def _sum(bodies: Mapping[str, Histogram]) -> float:
    return sum(each.sum for each in bodies.values())
