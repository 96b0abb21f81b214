"""SQLite: the sample is copied into a file of its own, which is gone afterwards; the host's database is only read."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from perfsuite.indexes.suggesting.figures import Keys
from perfsuite.indexes.suggesting.probing import Probe, Proof, values_for
from perfsuite.indexes.suggesting.verifying import sql

BATCH = 1_000


def prove(engine: Any, probe: Probe, keys: Keys, max_rows: int) -> Proof:
    """Copy, measure, make the index, measure again."""
    with tempfile.TemporaryDirectory(prefix="perfsuite-verify-") as folder:
        copy = sqlite3.connect(str(Path(folder) / "copy.sqlite3"))
        try:
            with engine.session():
                rows = _copy(engine, copy, probe.table, max_rows)
            return _measured(copy, engine.quoted, probe, keys, rows)
        finally:
            copy.close()


def _copy(engine: Any, copy: sqlite3.Connection, table: str, max_rows: int) -> int:
    """Copy rows from all over a table, with its indexes; return how many."""
    quoted = engine.quoted(table)
    columns = engine.rows("SELECT name, type, pk FROM pragma_table_info(%s) ORDER BY cid", [table])
    keys = [engine.quoted(name) for name, _, place in sorted(columns, key=lambda each: each[2]) if place]
    key = f", PRIMARY KEY ({', '.join(keys)})" if keys else ""
    made = ", ".join(f"{engine.quoted(name)} {kind}" for name, kind, _ in columns)
    copy.execute(f"CREATE TABLE {quoted} ({made}{key})")
    ((whole,),) = engine.rows(f"SELECT COUNT(*) FROM {quoted}")  # noqa: S608 - quoted
    step = max(1, -(-whole // max_rows))
    marks = ", ".join("?" * len(columns))
    with engine.connection.cursor() as cursor:
        names = ", ".join(engine.quoted(name) for name, _, _ in columns)
        cursor.execute(f"SELECT {names} FROM {quoted}")  # noqa: S608
        number = 0
        while batch := cursor.fetchmany(BATCH):
            rows = [row for at, row in enumerate(batch, number) if at % step == 0]
            copy.executemany(f"INSERT INTO {quoted} VALUES ({marks})", [_plain(row) for row in rows])  # noqa: S608
            number += len(batch)
    _copy_indexes(engine, copy, table)
    copy.commit()
    ((count,),) = copy.execute(f"SELECT COUNT(*) FROM {quoted}").fetchall()  # noqa: S608
    return int(count)


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return values as SQLite stores them; Django's converters have made dates and decimals of some."""
    return tuple(
        value if value is None or isinstance(value, (int, float, str, bytes)) else str(value) for value in row
    )


def _copy_indexes(engine: Any, copy: sqlite3.Connection, table: str) -> None:
    for present in engine.present([table]):
        names = [column.name for column in present.definition.columns]
        if present.definition.where or not all(name.isidentifier() for name in names):
            continue
        columns = ", ".join(
            f"{engine.quoted(each.name)}{' DESC' if each.order == 'desc' else ''}"
            for each in present.definition.columns
        )
        with contextlib.suppress(sqlite3.Error):
            # Names that begin so are SQLite's own.
            name = present.name.replace("sqlite_", "unique_", 1)
            copy.execute(f"CREATE INDEX {engine.quoted(name)} ON {engine.quoted(table)} ({columns})")


def _measured(copy: sqlite3.Connection, quoted: Any, probe: Probe, keys: Keys, rows: int) -> Proof:
    table = quoted(probe.table)
    names = list(probe.needed)
    found: list[dict[str, Any]] = []
    if names:
        text = f"SELECT {', '.join(map(quoted, names))} FROM {table} LIMIT 5000"  # noqa: S608
        found = [dict(zip(names, row, strict=True)) for row in copy.execute(text)]
    text, params = sql.select(probe, table, values_for(probe, found), quoted, "?")

    def plan() -> tuple[str, ...]:
        return tuple(str(row[3]) for row in copy.execute(f"EXPLAIN QUERY PLAN {text}", params))

    def run() -> object:
        return copy.execute(text, params).fetchall()

    copy.execute("ANALYZE")
    before, ms_before = plan(), sql.timed(run)
    copy.execute(sql.create(table, keys, quoted))
    copy.execute("ANALYZE")
    return Proof(rows, sql.shown(probe, quoted), before, plan(), ms_before, sql.timed(run))
