"""One record a line, for people or as JSON for machines."""

from __future__ import annotations

import dataclasses
import json
import time
from datetime import UTC, datetime

from perfsuite.indexes.compare import Change
from perfsuite.indexes.listing import Entry
from perfsuite.indexes.reports import IndexReport, TableReport

# Of what was sampled a moment ago, growth says nothing.
GROWTH_AFTER_S = 600


def change_line(alias: str, change: Change, form: str) -> str:
    """Return a line of a plan."""
    if form == "json":
        return json.dumps(
            {
                "database": alias,
                "action": change.action,
                "table": change.table,
                "name": change.name,
                "definition": str(change.definition),
                "reason": change.reason,
                "declared_in": change.wanted.source if change.wanted else "",
            }
        )
    reason = f": {change.reason}" if change.reason else ""
    return f"{alias} {change.action} {change.table} {change.name} {change.definition}{reason}"


def entry_line(entry: Entry, form: str) -> str:
    """Return a line of the list."""
    if form == "json":
        return json.dumps(entry.as_dict())
    parts = [entry.alias, entry.state, entry.table, entry.name, entry.definition]
    if entry.present:
        parts += [in_bytes(entry.present.size), in_uses(entry)]
    line = " ".join(filter(None, parts))
    return f"{line}: {entry.note}" if entry.note else line


def entry_lines(entry: Entry) -> list[str]:
    """Return all there is to say of one index, a line each."""
    lines = [f"{entry.name}: {entry.state} on {entry.table} in {entry.alias}", f"does: {entry.definition}"]
    if entry.source:
        lines.append(f"declared in: {entry.source}")
    if entry.present:
        size, uses = in_bytes(entry.present.size), in_uses(entry)
        lines.append(f"takes: {size or 'not told by this database'}")
        lines.append(f"used: {uses or 'not counted by this database'}")
    if entry.statement:
        lines.append(f"made by: {entry.statement}")
    if entry.note:
        lines.append(f"note: {entry.note}")
    return lines


def table_line(table: TableReport, waste: list[IndexReport], form: str) -> str:
    """Return a line of what a table holds; for people, with a line below it for each index that is waste."""
    if form == "json":
        values = {**dataclasses.asdict(table), "database": table.alias, "ratio": table.ratio}
        del values["alias"]
        values["waste"] = [
            {
                "name": each.name,
                "reason": each.waste,
                "bytes": each.size,
                "state": each.state,
                "writes": table.writes,
            }
            for each in waste
        ]
        return json.dumps(values)
    parts = [f"{table.alias} {table.table}", _number(table.rows, "rows"), in_bytes(table.size)]
    parts.append(f"{in_bytes(round(table.average))} each" if table.average else "")
    indexes = "1 index" if table.indexes == 1 else f"{table.indexes} indexes"
    parts.append(f"{indexes} {in_bytes(table.index_size)}".strip())
    parts.append(f"index ratio {table.ratio:.2f}" if table.ratio is not None else "")
    parts.append(growth(table))
    parts += [
        _number(table.scans, "scans"),
        _number(table.reads, "index reads"),
        _number(table.writes, "writes"),
    ]
    lines = [", ".join(filter(None, parts)), *(f"  {waste_words(table, each)}" for each in waste)]
    return "\n".join(lines)


def growth(table: TableReport) -> str:
    """Return by how much a table has grown since the oldest kept sample, or the empty string where that is this one."""
    if table.first_at is None or table.rows is None or table.first_rows is None:
        return ""
    if time.time() - table.first_at < GROWTH_AFTER_S:
        return ""
    parts = [f"{table.rows - table.first_rows:+,} rows"]
    if table.total is not None and table.first_size is not None:
        grown = table.total - table.first_size
        parts.append(f"{'-' if grown < 0 else '+'}{in_bytes(abs(grown))}")
    return f"{' '.join(parts)} since {_day(table.first_at)}"


def waste_words(table: TableReport | None, index: IndexReport) -> str:
    """Return what speaks against an index, and what it costs."""
    costs = [in_bytes(index.size)]
    if table is not None and table.writes:
        since = f" since {_day(table.since)}" if table.since else ""
        costs.append(f"kept up with up to {table.writes:,} writes{since}")
    return f"waste {index.name}: {index.waste}" + (
        f" ({', '.join(filter(None, costs))})" if any(costs) else ""
    )


def _number(value: int | None, what: str) -> str:
    return "" if value is None else f"{value:,} {what}"


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def in_bytes(size: int | None) -> str:
    """Return a size in words, or the empty string for one that is not known."""
    if size is None:
        return ""
    value = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"


def in_uses(entry: Entry) -> str:
    """Return how often an index was used since when, or the empty string."""
    there = entry.present
    if there is None or there.uses is None:
        return ""
    return f"{there.uses:,} uses" + (f" since {there.since:%Y-%m-%d %H:%M}" if there.since else "")
