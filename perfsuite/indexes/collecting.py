"""The leader's job: now and then it reads what the tables of each database hold and how their indexes are used, and keeps it.

Reads the catalog alone, with few seconds for a statement; see ``Engine.is_cheap``. What only grows on the server, scans and uses,
is recorded as what has been added since the collection before, so that a window of the history adds up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.apps import apps
from django.db import connections

from perfsuite.exceptions import PerfsuiteError
from perfsuite.indexes import analysis, kept, kinds, watching
from perfsuite.indexes.conf import IndexSettings
from perfsuite.indexes.databases import aliases
from perfsuite.indexes.engines import opened
from perfsuite.indexes.engines.base import Engine
from perfsuite.indexes.reports import Analysis, TableReport
from perfsuite.metrics.conf import MetricsSettings
from perfsuite.metrics.leader import still_leads
from perfsuite.metrics.query import Window, series_by
from perfsuite.metrics.recorder import Observation, recorder
from perfsuite.metrics.storages import get_storage
from perfsuite.metrics.storages.alias import store_alias, store_is_automatic

logger = logging.getLogger("perfsuite.indexes")

MARK = "indexes.collected"
DAY_S = 86_400
# Where a database is one of these, closing its connection would close the pool of all threads.
_SHARED = ("djongo", "mongodb")


def collect_if_due() -> int:
    """Collect every database if ``COLLECT_EVERY_S`` is over since the last time; return how many were read."""
    every_s = IndexSettings.get().collect_every_s
    if not every_s or not _take_turn(every_s):
        return 0
    done = 0
    for alias in collected_aliases():
        still_leads()
        try:
            collect(alias)
            done += 1
            suggest(alias)
        except PerfsuiteError as exc:
            logger.debug("%s was not collected: %s", alias, exc)
            kept.keep_error(alias, str(exc).split("\n")[0], int(time.time()))
    return done


def collect(alias: str) -> Analysis:
    """Read a database, record its figures and keep what was read. Raises ``PerfsuiteError`` if it cannot be read."""
    with _cheaply(alias) as engine:
        read = analysis.analyze(engine)
    before = kept.latest([alias])[alias].analysis
    now = with_growth(read, before)
    recorder.observe_many(tuple(_observations(now, before)))
    kept.keep(now)
    return now


def suggest(alias: str) -> None:
    """Keep which indexes the recorded statements of a database lack. Raises ``PerfsuiteError`` if it cannot be read."""
    if not apps.is_installed("perfsuite.queries"):
        return
    from perfsuite.indexes.suggesting import suggestions

    with _closing(alias):
        found = suggestions(alias)
    kept.keep_suggestions(alias, (each.as_json() for each in found), int(time.time()))


def collect_soon() -> None:
    """Have the leader collect when it looks next: what is kept is outdated, since indexes were made or dropped. Never raises."""
    try:
        storage = get_storage()
        due = storage.marks([MARK]).get(MARK)
        if due:
            storage.move_mark(MARK, due, 0)
    except Exception as exc:  # noqa: BLE001 - the indexes are there all the same
        logger.debug("What is kept of indexes stays until the next collection: %s", exc)


def collected_aliases() -> list[str]:
    """Return the databases that are collected: not perfsuite's own file, and no replica that mirrors another."""
    own = store_alias() if store_is_automatic() else ""
    return [alias for alias in aliases() if alias != own and not _is_mirror(alias)]


def with_growth(read: Analysis, before: Analysis | None) -> Analysis:
    """Return what was read with the oldest kept sample of each table: of the collection before, else of the history."""
    first = {each.table: each for each in before.tables} if before else _oldest(read.alias)
    oldest = int(time.time()) - MetricsSettings.get().keep_1d_s

    def told(table: TableReport) -> TableReport:
        old = first.get(table.table)
        if old is None or old.first_at is None or old.first_at < oldest:
            return replace(table, first_at=read.at, first_rows=table.rows, first_size=table.total)
        return replace(table, first_at=old.first_at, first_rows=old.first_rows, first_size=old.first_size)

    return replace(read, tables=tuple(map(told, read.tables)))


def _oldest(alias: str) -> dict[str, TableReport]:
    """Return the first sample of each table that the history has, by the day."""
    window = Window.last(MetricsSettings.get().keep_1d_s).aligned(DAY_S)
    found: dict[str, TableReport] = {}
    by_kind = {
        kind: series_by(kind, window, DAY_S, "table", {"alias": alias})
        for kind in (kinds.ROWS, kinds.DATA, kinds.INDEX)
    }
    for table, points in by_kind[kinds.ROWS].items():
        number = next((n for n, point in enumerate(points) if point.count), None)
        if number is not None:
            sizes = [by_kind[kind].get(table, points)[number] for kind in (kinds.DATA, kinds.INDEX)]
            size = sum(int(each.mean) for each in sizes) if all(each.count for each in sizes) else None
            at = window.start + number * DAY_S
            found[table] = TableReport(
                alias, table, first_at=at, first_rows=int(points[number].mean), first_size=size
            )
    return found


def _observations(now: Analysis, before: Analysis | None) -> Iterator[Observation]:
    share = max(1, len(collected_aliases()))
    earlier: Mapping[str, Any] = {each.table: each for each in before.tables} if before else {}
    largest = sorted(now.tables, key=lambda each: -(each.total or each.rows or 0))[
        : kinds.MAX_TABLES // share
    ]
    for table in largest:
        label = (now.alias, table.table)
        for kind, held in (
            (kinds.ROWS, table.rows),
            (kinds.DATA, table.size),
            (kinds.INDEX, table.index_size),
        ):
            if held is not None:
                yield kind, label, held
        for kind, name in ((kinds.SCANS, "scans"), (kinds.READS, "reads"), (kinds.WRITES, "writes")):
            added = watching.added(getattr(table, name), getattr(earlier.get(table.table), name, None))
            if added is not None:
                yield kind, label, added
    used = {(each.table, each.name): each.uses for each in before.indexes} if before else {}
    counted = [each for each in now.indexes if each.uses is not None]
    counted.sort(key=lambda each: -(each.size or 0))
    for index in counted[: kinds.MAX_INDEXES // share]:
        added = watching.added(index.uses, used.get((index.table, index.name)))
        if added is not None:
            yield kinds.USES, (now.alias, index.table, index.name), added


def _take_turn(every_s: int) -> bool:
    """Return whether it is time, and say when it is next, so that a new leader does not collect at once again."""
    storage, now = get_storage(), int(time.time())
    due = storage.marks([MARK]).get(MARK)
    # One further ahead than the interval was set by a longer one, or by a clock that ran ahead.
    if due is not None and now < due <= now + every_s:
        return False
    return storage.move_mark(MARK, due, now + every_s)


@contextmanager
def _cheaply(alias: str) -> Iterator[Engine]:
    """Yield the engine, which is to cost little."""
    with _closing(alias), opened(alias) as engine:
        engine.is_cheap = True
        yield engine


@contextmanager
def _closing(alias: str) -> Iterator[None]:
    """Close the connection of this thread afterwards if it was opened meanwhile."""
    connection: Any = connections[alias] if alias in connections else None  # noqa: SIM401 - it is no dict
    was_open = connection is None or connection.connection is not None
    try:
        yield
    finally:
        if not was_open and connection.vendor not in _SHARED:
            connection.close()


def _is_mirror(alias: str) -> bool:
    entry = connections.databases.get(alias, {})
    return bool(entry.get("TEST", {}).get("MIRROR"))
