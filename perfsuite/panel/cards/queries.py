"""The statements that cost the site most: by their time in all, and by the time of one."""

from __future__ import annotations

from perfsuite.metrics.query import Order, Row
from perfsuite.panel.cards.base import CardContext, CardData, Column, ms, percent, table

ROWS = 10
LABELS = ("fingerprint", "route", "alias")

COLUMNS = (
    Column("fingerprint", "Statement", "code"),
    Column("route", "Route", "text"),
    Column("calls", "Calls"),
    Column("avg", "Average", "ms"),
    Column("p95", "p95", "ms"),
    Column("max", "Slowest", "ms"),
    Column("total", "Total time", "duration"),
    Column("share", "Share", "share"),
)
ALIAS = Column("alias", "Database", "text")


class ExpensiveQueries:
    """The fingerprints with the most time in all."""

    id = "expensive-queries"
    title = "Most expensive queries"

    def data(self, view: CardContext) -> CardData:
        """Return the table."""
        return _ranking(self, view, "sum", "total", "by their time in all")


class SlowestQueries:
    """The fingerprints whose single statements take longest."""

    id = "slowest-queries"
    title = "Slowest queries"

    def data(self, view: CardContext) -> CardData:
        """Return the table."""
        return _ranking(self, view, "p95", "p95", "by the time that 95 % of the calls stay within")


def _ranking(
    card: ExpensiveQueries | SlowestQueries, view: CardContext, order: Order, sorted_by: str, hint: str
) -> CardData:
    rows = view.read.top("queries.fingerprint", view.window, LABELS, order, ROWS)
    whole = sum(point.sum for point in view.read.series("queries", view.window, view.step))
    # With one database, its name on every line says nothing.
    several = len({row.labels["alias"] for row in rows}) > 1
    columns = [*COLUMNS[:2], ALIAS, *COLUMNS[2:]] if several else COLUMNS
    lines = [_line(row, whole, several) for row in rows]
    return table(
        card, columns, lines, hint=hint, sorted_by=sorted_by, empty="No statements in this range yet."
    )


def _line(row: Row, whole: float, with_alias: bool) -> list[str | float]:
    value = row.value
    names = [row.labels["fingerprint"], row.labels["route"]]
    if with_alias:
        names.append(row.labels["alias"])
    return [
        *names,
        value.count,
        ms(value.mean),
        ms(value.quantile(0.95)),
        ms(value.max),
        ms(value.sum),
        percent(value.sum, whole),
    ]
