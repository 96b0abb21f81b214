"""Connection pools: how full they are, how long a request waits for a connection, and how many come and go.

Connections that Django itself keeps, one for each thread, stand among them: they have no limit, and nobody waits for one but who
opens it.
"""

from __future__ import annotations

from perfsuite.metrics.histogram import Histogram
from perfsuite.panel.cards.base import CardContext, CardData, Column, Line, ms, percent, table

COLUMNS = (
    Column("pool", "Pool", "text"),
    Column("limit", "Limit"),
    Column("open", "Open"),
    Column("in_use", "In use, most"),
    Column("used", "Utilisation", "percent"),
    Column("waiting", "Waiting, most"),
    Column("checkouts", "Checkouts"),
    Column("wait", "Wait, average", "ms"),
    Column("wait_p95", "Wait, p95", "ms"),
    Column("failed", "Failed"),
    Column("opened", "Opened / min"),
    Column("closed", "Closed / min"),
)


class Pools:
    """The connection pools by how long they made wait; left out while there are none."""

    id = "pools"
    title = "Connection pools"

    def data(self, view: CardContext) -> CardData | None:
        """Return the table, or None."""
        of = {
            kind: view.read.totals_by(f"pools.{kind}", view.window, "pool")
            for kind in ("limit", "open", "in_use", "waiting", "wait", "failed", "opened", "closed")
        }
        pools = list({**of["limit"], **of["open"]})
        if not pools:
            return None
        minutes = view.elapsed_s / 60
        lines = [_line(pool, {kind: by.get(pool) for kind, by in of.items()}, minutes) for pool in pools]
        lines.sort(key=lambda line: (-float(line[8] or 0), str(line[0])))
        return table(self, COLUMNS, lines, hint="connections of one process", sorted_by="wait_p95")


def _line(pool: str, of: dict[str, Histogram | None], minutes: float) -> Line:
    limit = (of["limit"] or Histogram()).max or None  # nothing is a pool without a limit
    in_use = of["in_use"].max if of["in_use"] else None
    wait = of["wait"] or Histogram()
    return [
        pool,
        limit,
        (of["open"] or Histogram()).max,
        in_use,
        percent(in_use, limit) if limit and in_use is not None else None,
        of["waiting"].max if of["waiting"] else None,
        wait.count,
        ms(wait.mean) if wait.count else None,
        ms(wait.quantile(0.95)) if wait.count else None,
        (of["failed"] or Histogram()).sum,
        round((of["opened"] or Histogram()).sum / minutes, 1),
        round((of["closed"] or Histogram()).sum / minutes, 1),
    ]
