"""Connection pools: how full they are, how long a request waits for a connection, and how many come and go.

Connections that Django itself keeps, one for each thread, stand among them: they have no limit, and nobody waits for one but who
opens it. Beside them, what each database costs before and around its statements: its connections and its transactions.
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

OF_DATABASES = (
    Column("alias", "Database", "text"),
    Column("connections", "Opened"),
    Column("connect", "Opening, average", "ms"),
    Column("connect_p95", "Opening, p95", "ms"),
    Column("transactions", "Transactions"),
    Column("held", "Held, average", "ms"),
    Column("held_p95", "Held, p95", "ms"),
    Column("held_total", "Held in all", "duration"),
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


class Databases:
    """How long connections took to open and transactions were held, by alias; left out while there are none."""

    id = "databases"
    title = "Connections and transactions"

    def data(self, view: CardContext) -> CardData | None:
        """Return the table, or None."""
        connects = view.read.totals_by("queries.connect", view.window, "alias")
        transactions = view.read.totals_by("queries.transaction", view.window, "alias")
        found = {
            alias: (connects.get(alias, Histogram()), transactions.get(alias, Histogram()))
            for alias in {**connects, **transactions}
        }
        if not found:
            return None
        aliases = sorted(found, key=lambda alias: (-found[alias][1].sum, alias))
        lines = [_of_database(alias, *found[alias]) for alias in aliases]
        return table(
            self, OF_DATABASES, lines, hint="of requests, commands and tasks", sorted_by="held_total"
        )


def _of_database(alias: str, connects: Histogram, transactions: Histogram) -> Line:
    held_total = ms(transactions.sum) if transactions.count else None
    return [alias, *_taken(connects), *_taken(transactions), held_total]


def _taken(value: Histogram) -> list[float | None]:
    """Return how many there were, and how long one took, on average and within which 95 % did."""
    return [value.count, *((ms(value.mean), ms(value.quantile(0.95))) if value.count else (None, None))]
