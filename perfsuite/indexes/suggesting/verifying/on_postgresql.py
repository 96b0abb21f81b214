"""PostgreSQL: a temporary table on a connection of its own, in a transaction that is rolled back.

So nothing stays, whatever ends this: a connection that is cut is rolled back by the server.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from perfsuite.indexes.suggesting.figures import Keys
from perfsuite.indexes.suggesting.probing import Probe, Proof, values_for
from perfsuite.indexes.suggesting.verifying import sql

COPY = "perfsuite_verify"
_VALUES = re.compile(r"'(?:[^']|'')*'|(?<![\w.])-?\d+(?:\.\d+)?\b")
TIMEOUT_S = 300


def prove(engine: Any, probe: Probe, keys: Keys, max_rows: int) -> Proof:
    """Copy, measure, make the index, measure again."""
    own = engine.connection.copy()
    options = own.settings_dict["OPTIONS"] = {**own.settings_dict.get("OPTIONS", {})}
    options.pop("pool", None)  # what is set here is not for others
    try:
        with engine.session(), own.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(f"SET LOCAL statement_timeout = {TIMEOUT_S * 1000}")
            rows = _copy(cursor, engine.quoted(probe.table), max_rows)
            return _measured(cursor, engine.quoted, probe, keys, rows)
    finally:
        with suppress(Exception):
            if own.connection is not None:
                own.connection.rollback()
        with suppress(Exception):
            BaseDatabaseWrapper.close(own)


def _copy(cursor: Any, table: str, max_rows: int) -> int:
    cursor.execute("SELECT reltuples::float8 FROM pg_class WHERE oid = to_regclass(%s)", [table])
    found = cursor.fetchone()
    rows = max(float(found[0]) if found else 0.0, 1.0)
    part = min(100.0, 100.0 * max_rows / rows)
    cursor.execute(f"CREATE TEMPORARY TABLE {COPY} (LIKE {table} INCLUDING INDEXES) ON COMMIT DROP")
    sample = f" TABLESAMPLE BERNOULLI ({part:.4f})" if part < 100 else ""
    cursor.execute(f"INSERT INTO {COPY} SELECT * FROM {table}{sample} LIMIT {int(max_rows)}")  # noqa: S608 - quoted
    cursor.execute(f"ANALYZE {COPY}")
    cursor.execute(f"SELECT COUNT(*) FROM {COPY}")  # noqa: S608
    return int(cursor.fetchone()[0])


def _measured(cursor: Any, quoted: Any, probe: Probe, keys: Keys, rows: int) -> Proof:
    names = list(probe.needed)
    found: list[dict[str, Any]] = []
    if names:
        cursor.execute(f"SELECT {', '.join(map(quoted, names))} FROM {COPY} LIMIT 5000")  # noqa: S608
        found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    text, params = sql.select(probe, COPY, values_for(probe, found), quoted, "%s")

    def plan() -> tuple[str, ...]:
        cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) {text}", params)
        return tuple(_without_values(str(row[0]).replace(COPY, probe.table)) for row in cursor.fetchall())

    def run() -> object:
        cursor.execute(text, params)
        return cursor.fetchall()

    before, ms_before = plan(), sql.timed(run)
    cursor.execute(sql.create(COPY, keys, quoted))
    cursor.execute(f"ANALYZE {COPY}")
    return Proof(rows, sql.shown(probe, quoted), before, plan(), ms_before, sql.timed(run))


def _without_values(line: str) -> str:
    """Return a line of a plan with ``?`` for each value that a condition has in it."""
    name, colon, condition = line.partition(": ")
    if not colon or not name.strip().endswith(("Cond", "Filter")) or "Rows Removed" in name:
        return line
    return f"{name}: {_VALUES.sub('?', condition)}"
