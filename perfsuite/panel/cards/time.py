"""Where the time of requests goes: into SQL, MongoDB, caches, or Python."""

from __future__ import annotations

from perfsuite.metrics.histogram import Histogram
from perfsuite.panel.cards.base import CardContext, CardData, Column, Line, ms, percent, table

ROWS = 12
PARTS = {"sql": "SQL", "mongodb": "MongoDB", "cache": "Cache", "python": "Python and the rest"}


class TimeSplit:
    """The routes with the most time in all, and the share of it that each part has; a part that no route has is left out."""

    id = "time-split"
    title = "Where requests spend their time"

    def data(self, view: CardContext) -> CardData:
        """Return the table."""
        rows = view.read.top("requests.route", view.window, ("route",), "sum", ROWS, percentiles=False)
        routes = [row.labels["route"] for row in rows]
        found = view.read.totals_of(
            "requests.time", view.window, [(route, part) for route in routes for part in PARTS]
        )
        parts = [part for part in PARTS if any(found[route, part].sum for route in routes)]
        columns = [
            Column("route", "Route", "text"),
            Column("avg", "Average", "ms"),
            *(Column(part, PARTS[part], "share") for part in parts),
            Column("total", "Total time", "duration"),
        ]
        lines = [_line(row.labels["route"], row.value, found, parts) for row in rows]
        return table(
            self,
            columns,
            lines,
            hint="shares of the time of each route",
            sorted_by="total",
            empty="No requests in this range yet.",
        )


def _line(route: str, value: Histogram, found: dict[tuple[str, ...], Histogram], parts: list[str]) -> Line:
    whole = sum(found[route, part].sum for part in PARTS)
    shares = (percent(found[route, part].sum, whole) for part in parts)
    return [route, ms(value.mean), *shares, ms(value.sum)]
