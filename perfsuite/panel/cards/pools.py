"""Connection pools: how full they are, and how long a request waits for a connection."""

from __future__ import annotations

from perfsuite.metrics.histogram import Histogram
from perfsuite.panel.cards.base import CardContext, CardData, Column, Line, ms, table

COLUMNS = (
    Column("pool", "Pool", "text"),
    Column("limit", "Limit"),
    Column("open", "Open"),
    Column("in_use", "In use, most"),
    Column("waiting", "Waiting, most"),
    Column("checkouts", "Checkouts"),
    Column("wait", "Wait, average", "ms"),
    Column("wait_p95", "Wait, p95", "ms"),
    Column("failed", "Failed"),
)


class Pools:
    """The connection pools by how long they made wait; left out while there are none."""

    id = "pools"
    title = "Connection pools"

    def data(self, view: CardContext) -> CardData | None:
        """Return the table, or None."""
        limits = view.read.totals_by("pools.limit", view.window, "pool")
        if not limits:
            return None
        gauges = [
            view.read.totals_by(f"pools.{kind}", view.window, "pool")
            for kind in ("open", "in_use", "waiting")
        ]
        waits = view.read.totals_by("pools.wait", view.window, "pool")
        failed = view.read.totals_by("pools.failed", view.window, "pool")
        lines: list[Line] = []
        for pool, limit in limits.items():
            wait = waits.get(pool, Histogram())
            lines.append(
                [
                    pool,
                    limit.max or None,  # nothing is a pool without a limit
                    *(gauge.get(pool, Histogram()).max for gauge in gauges),
                    wait.count,
                    ms(wait.mean) if wait.count else None,
                    ms(wait.quantile(0.95)) if wait.count else None,
                    failed.get(pool, Histogram()).sum,
                ]
            )
        lines.sort(key=lambda line: (-float(line[7] or 0), str(line[0])))
        return table(self, COLUMNS, lines, hint="connections of one process", sorted_by="wait_p95")
