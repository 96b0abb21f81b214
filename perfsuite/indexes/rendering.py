"""One record a line, for people or as JSON for machines."""

from __future__ import annotations

import json

from perfsuite.indexes.compare import Change
from perfsuite.indexes.listing import Entry


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
