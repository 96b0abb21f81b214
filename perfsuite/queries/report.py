"""The report of the most expensive statements, for people and for machines: figures, places, and what is found about each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from perfsuite.metrics.exemplars import exemplars_of
from perfsuite.metrics.findings import FindingRow, findings
from perfsuite.metrics.histogram import Histogram
from perfsuite.metrics.query import Window, totals_by
from perfsuite.metrics.reading import one_reading
from perfsuite.queries import kinds
from perfsuite.queries.listing import sentence_of
from perfsuite.queries.ranking import FINGERPRINT, Chosen, Key, Line, Ranking, rank

# Of so many routes of a statement its exemplars are read, the most expensive ones.
ROUTES_READ = 3
MAX_CHARS, HEAD_CHARS = 320, 110
# A terminal's.
COLUMNS, INDENT = 100, " " * 4
HEADINGS = (
    "calls", "avg ms", "p95 ms", "p99 ms", "total ms", "share", "rows/call", "errors", "slow",
)  # fmt: skip
WIDTHS = (9, 9, 9, 9, 11, 6, 10, 7, 7)


@dataclass(frozen=True)
class Reported:
    """A statement with the line of its slowest exemplar, "" where none is known, and the open findings about it."""

    line: Line
    site: str
    findings: tuple[FindingRow, ...]


@dataclass(frozen=True)
class Database:
    """How long connections to an alias took to open and its transactions were held, in microseconds."""

    alias: str
    connections: Histogram
    transactions: Histogram


@dataclass(frozen=True)
class Report:
    """The first statements of a ranking, and what is found about whole requests: that they are chatty, say.

    Connections and transactions are those of whole databases, so there are none of one route.
    """

    ranking: Ranking
    statements: list[Reported]
    requests: list[FindingRow]
    databases: list[Database]


def report(window: Window, chosen: Chosen, limit: int) -> Report:
    """Return the report of a window; a handful of reads. Raises ``StoreUnavailable``."""
    with one_reading():
        ranking = rank(window, chosen, limit)
        sites = _sites(ranking.lines)
        found: dict[Key, list[FindingRow]] = {}
        requests: list[FindingRow] = []
        for row in findings(state="open"):
            if chosen.route and row.route not in ("", chosen.route):
                continue
            if row.subject == row.route:
                if chosen.alias in ("", row.alias) and row.last_seen >= window.start:
                    requests.append(row)
            else:
                found.setdefault((row.subject, row.alias), []).append(row)
        databases = [] if chosen.route else _databases(window, chosen.alias)
    lines = [(line, (line.fingerprint, line.alias)) for line in ranking.lines]
    return Report(
        ranking,
        [Reported(line, sites.get(key, ""), tuple(found.get(key, ()))) for line, key in lines],
        requests,
        databases,
    )


def _databases(window: Window, alias: str) -> list[Database]:
    connections, transactions = (
        totals_by(kind, window, "alias") for kind in (kinds.CONNECT, kinds.TRANSACTION)
    )
    return [
        Database(each, connections.get(each, Histogram()), transactions.get(each, Histogram()))
        for each in sorted({*connections, *transactions})
        if alias in ("", each)
    ]


def _sites(lines: Sequence[Line]) -> Mapping[Key, str]:
    labels = [(line.fingerprint, line.alias, route) for line in lines for route in line.routes[:ROUTES_READ]]
    sites: dict[Key, str] = {}
    for (fingerprint, alias, _), row in exemplars_of(FINGERPRINT, labels):  # the slowest first
        if site := str(row.data.get("site") or ""):
            sites.setdefault((fingerprint, alias), site)
    return sites


def as_json(each: Reported) -> dict[str, Any]:
    """Return a statement as plain data; times in microseconds."""
    line = each.line
    value, counts = line.value, line.counts
    return {
        "short_id": line.short_id,
        "fingerprint": line.fingerprint,
        "alias": line.alias,
        "operation": line.operation,
        "count": value.count,
        "total_us": value.sum,
        "avg_us": value.mean,
        "p95_us": value.quantile(0.95),
        "p99_us": value.quantile(0.99),
        "max_us": value.max,
        "rows_per_call": counts.rows_each,
        "errors": counts.failed,
        "slow": counts.slow,
        "routes": list(line.routes),
        "site": each.site,
        "findings": [_finding_as_json(row) for row in each.findings],
    }


def request_as_json(row: FindingRow) -> dict[str, Any]:
    """Return what is found about a whole request as plain data: as a statement's, and without a statement."""
    return {"alias": row.alias, "routes": [row.route], "site": row.site, "findings": [_finding_as_json(row)]}


def database_as_json(of: Database) -> dict[str, Any]:
    """Return what the connections and transactions of a database took as plain data; times in microseconds."""
    return {
        "alias": of.alias,
        "connections": _taken_as_json(of.connections),
        "transactions": _taken_as_json(of.transactions),
    }


def _taken_as_json(value: Histogram) -> dict[str, Any]:
    return {
        "count": value.count,
        "avg_us": value.mean,
        "p95_us": value.quantile(0.95) if value.count else 0.0,
    }


def _finding_as_json(row: FindingRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "route": row.route,
        "site": row.site,
        "sentence": sentence_of(row),
    }


def as_lines(of: Report) -> Iterator[str]:
    """Yield the report for people: a line of figures for each statement, and what it is and where below."""
    whole = of.ranking.whole
    yield _columns(HEADINGS)
    for each in of.statements:
        line = each.line
        value, counts = line.value, line.counts
        yield _columns(
            (
                f"{value.count:,}",
                _ms(value.mean),
                _ms(value.quantile(0.95)),
                _ms(value.quantile(0.99)),
                _ms(value.sum),
                f"{value.sum / whole.sum:.0%}" if whole.sum else "-",
                "-" if counts.rows_each is None else f"{counts.rows_each:,.1f}",
                f"{counts.failed:,}",
                f"{counts.slow:,}",
            )
        )
        yield from _wrapped(_shortened(line.fingerprint))
        yield from _wrapped(_places(each))
        for row in each.findings:
            yield from _wrapped(_told(row))
    if of.requests:
        yield "Whole requests"
    for row in of.requests:
        yield from _wrapped(_told(row))
    if of.databases:
        yield "Connections and transactions"
    for database in of.databases:
        parts = (("connections opened", database.connections), ("transactions held", database.transactions))
        for what, taken in parts:
            if taken.count:
                took = f"{_ms(taken.mean)} ms on average, p95 {_ms(taken.quantile(0.95))} ms"
                yield from _wrapped(f"{database.alias}, {what}: {taken.count:,}, {took}")


def _told(row: FindingRow) -> str:
    told = sentence_of(row)
    return f"{row.kind} on {row.route}{': ' if told else ''}{told}"


def _places(each: Reported) -> str:
    line = each.line
    others = len(line.routes) - 1
    route = line.routes[0] if line.routes else ""
    more = "" if others < 1 else " and 1 other route" if others == 1 else f" and {others} other routes"
    parts = [line.short_id if line.is_one else "", f"on {line.alias}", f"{route}{more}", f"at {each.site}"]
    return ", ".join(part for part in parts if part not in ("", "at "))


def _wrapped(text: str) -> list[str]:
    """Return the lines of a text; no word is broken, so that what is searched for or copied is found."""
    return wrap(
        text,
        COLUMNS,
        initial_indent=INDENT,
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _columns(cells: Sequence[str]) -> str:
    return "".join(cell.rjust(width) for cell, width in zip(cells, WIDTHS, strict=True))


def _ms(us: float) -> str:
    ms = us / 1e3
    return f"{ms:,.2f}" if ms < 10 else f"{ms:,.1f}" if ms < 1_000 else f"{ms:,.0f}"


def _shortened(text: str) -> str:
    """Return a statement on one line, without its middle if it is long: the end has the conditions."""
    text = " ".join(text.split())
    return text if len(text) <= MAX_CHARS else f"{text[:HEAD_CHARS]} … {text[HEAD_CHARS + 3 - MAX_CHARS :]}"
