"""Where the site's time goes, by route."""

from __future__ import annotations

from perfsuite.panel.cards.base import CardContext, CardData, Column, Line, ms, percent, table

ROWS = 12
# More groups than a store can hold: "all of them".
ALL = 100_000

COLUMNS = (
    Column("route", "Route", "text"),
    Column("requests", "Requests"),
    Column("avg", "Average", "ms"),
    Column("p95", "p95", "ms"),
    Column("p99", "p99", "ms"),
    Column("errors", "Errors", "percent"),
    Column("queries", "Queries / req."),
    Column("database", "In database", "percent"),
    Column("total", "Total time", "duration"),
    Column("share", "Share", "share"),
)


class Routes:
    """The routes that took the most time in all: count times duration, which is what there is to win."""

    id = "routes"
    title = "Routes by total time"

    def data(self, view: CardContext) -> CardData:
        """Return the table."""
        rows = view.read.top("requests.route", view.window, ("route",), "sum", ROWS)
        errors = _errors_by_route(view) if rows else {}
        shown = [(row.labels["route"],) for row in rows]
        queries = view.read.totals_of("requests.queries", view.window, shown)
        database = view.read.totals_of("requests.db", view.window, shown)
        whole = sum(point.sum for series in view.requests_by_status.values() for point in series)
        lines: list[Line] = []
        for row in rows:
            route, value = row.labels["route"], row.value
            lines.append(
                [
                    route,
                    value.count,
                    ms(value.mean),
                    ms(value.quantile(0.95)),
                    ms(value.quantile(0.99)),
                    percent(errors.get(route, 0), value.count),
                    round(queries[route,].mean, 2),
                    percent(database[route,].sum, value.sum),
                    ms(value.sum),
                    percent(value.sum, whole),
                ]
            )
        return table(
            self,
            COLUMNS,
            lines,
            hint="what takes most of the time the site spends answering",
            sorted_by="total",
            empty="No requests in this range yet.",
        )


def _errors_by_route(view: CardContext) -> dict[str, int]:
    rows = view.read.top("requests.route", view.window, ("route", "status"), "sum", ALL, percentiles=False)
    return {row.labels["route"]: row.value.count for row in rows if row.labels["status"] == "5xx"}
