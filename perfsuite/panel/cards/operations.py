"""What the host measures itself with ``@monitor_performance``."""

from __future__ import annotations

from perfsuite.metrics.histogram import Histogram
from perfsuite.panel.cards.base import CardContext, CardData, Column, Line, ms, percent, table

ROWS = 12
MOST = 1_000

COLUMNS = (
    Column("name", "Operation", "text"),
    Column("calls", "Calls"),
    Column("avg", "Average", "ms"),
    Column("p95", "p95", "ms"),
    Column("max", "Slowest", "ms"),
    Column("errors", "Errors", "percent"),
    Column("total", "Total time", "duration"),
)


class Operations:
    """The monitored operations by total time; left out while there are none."""

    id = "operations"
    title = "Operations"

    def data(self, view: CardContext) -> CardData | None:
        """Return the table, or None."""
        merged: dict[str, Histogram] = {}
        failed: dict[str, int] = {}
        for row in view.read.top("operations", view.window, ("name", "outcome"), "sum", MOST):
            name = row.labels["name"]
            merged.setdefault(name, Histogram()).merge(row.value)
            if row.labels["outcome"] == "error":
                failed[name] = failed.get(name, 0) + row.value.count
        if not merged:
            return None
        ranked = sorted(merged.items(), key=lambda item: item[1].sum, reverse=True)[:ROWS]
        lines: list[Line] = [
            [
                name,
                value.count,
                ms(value.mean),
                ms(value.quantile(0.95)),
                ms(value.max),
                percent(failed.get(name, 0), value.count),
                ms(value.sum),
            ]
            for name, value in ranked
        ]
        return table(
            self,
            COLUMNS,
            lines,
            hint="measured with @monitor_performance",
            sorted_by="total",
            empty="None yet.",
        )
