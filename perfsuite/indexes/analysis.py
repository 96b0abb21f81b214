"""What the tables of a database hold, how they are read, and which of their indexes are waste. Read from the catalog alone."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from perfsuite.indexes import listing, watching
from perfsuite.indexes.engines.base import Engine, Figures
from perfsuite.indexes.listing import Entry
from perfsuite.indexes.reports import Analysis, IndexReport, TableReport


def analyze(engine: Engine, tables: Iterable[str] = ()) -> Analysis:
    """Return what there is, of some tables or of all. Raises ``DatabaseRefused`` and ``DeclarationError``."""
    only = set(tables)
    with engine.session():
        present = watching.watched(engine, engine.present(only or None, usage=True))
        figures = engine.figures(only or None)
        entries = listing.entries_of(engine, present, only)
    uses: dict[str, list[int]] = defaultdict(list)
    numbers: dict[str, int] = defaultdict(int)
    for each in present:
        numbers[each.table] += 1
        if each.uses is not None:
            uses[each.table].append(each.uses)
    at = int(time.time())
    return Analysis(
        engine.alias,
        engine.label,
        at,
        tuple(_table(engine.alias, each, uses.get(each.table), numbers[each.table]) for each in figures),
        tuple(_index(each, at) for each in entries),
    )


def _table(alias: str, figures: Figures, uses: list[int] | None, indexes: int) -> TableReport:
    return TableReport(
        alias,
        figures.table,
        figures.rows,
        figures.size,
        figures.index_size,
        figures.average,
        figures.scans,
        sum(uses) if uses is not None else None,
        figures.writes,
        _seconds(figures.since),
        indexes,
    )


def _index(entry: Entry, at: int) -> IndexReport:
    there = entry.present
    is_counted = there is not None and there.uses is not None
    return IndexReport(
        entry.alias,
        entry.table,
        entry.name,
        entry.state,
        entry.definition,
        entry.note,
        entry.waste,
        there.size if there else None,
        there.uses if there else None,
        _seconds(there.since) if there else None,
        entry.statement,
        entry.source,
        (_seconds(there.watched_since) or at) if there and is_counted else None,
        there.watched_uses if there else None,
    )


def _seconds(instant: datetime | None) -> int | None:
    return None if instant is None else int(watching.aware(instant).timestamp())
