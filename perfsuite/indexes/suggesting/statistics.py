"""What a database says of its tables and columns: from its own statistics where it has them, else from a bounded sample.

PostgreSQL is asked for ``pg_stats``. Of SQLite and MongoDB a thousand rows are read, of the columns in question alone; SQLite's
are looked up all over the table by their rowids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import django.db

from perfsuite.indexes.compare import Present
from perfsuite.indexes.engines.base import Engine
from perfsuite.indexes.suggesting.figures import Column, Figures, Key, Keys, in_order, label

SAMPLE = 1_000
MAX_COUNTED = 1_000_000
BOUNDS = 100
# A value that so large a part of the sample has is known by itself.
COMMON = 0.05
MIN_COMMON = 10

_SIZES = """
    SELECT c.relname, c.reltuples::float8, c.relpages::float8 FROM pg_class c
    WHERE c.relname = ANY(%s) AND c.relkind IN ('r', 'm', 'p') AND pg_table_is_visible(c.oid)
"""
_COLUMNS = """
    SELECT s.tablename, s.attname, s.n_distinct::float8, s.null_frac::float8, coalesce(s.correlation, 0)::float8,
           s.avg_width::float8, s.histogram_bounds::text::text[], s.most_common_vals::text::text[],
           s.most_common_freqs::float8[]
    FROM pg_stats s JOIN pg_class c ON c.relname = s.tablename JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE s.tablename = ANY(%s) AND n.nspname = s.schemaname AND pg_table_is_visible(c.oid)
"""


def figures_of(
    engine: Engine,
    vendor: str,
    columns: Mapping[str, Collection[str]],
    tenants: Mapping[str, str] | None = None,
) -> dict[str, Figures]:
    """Return the figures of those of the tables that are there, of the columns that are named for each.

    ``tenants`` are the columns that say whose a row is, by table. Raises ``DatabaseRefused``.
    """
    with engine.session():
        present = engine.present(set(columns))
        if vendor == "postgresql":
            found = _of_postgresql(engine, columns)
        elif vendor == "sqlite":
            found = _of_sqlite(engine, columns)
        else:
            found = _of_mongodb(engine, columns)
    made = {}
    for table, (rows, pages, known) in found.items():
        indexes = tuple(keys for each in present if each.table == table and (keys := _keys(each)))
        if vendor not in ("sqlite", "postgresql"):
            indexes = (*indexes, (Key("_id"),))
        key = known.pop("", None)  # SQLite's rowid under its own name
        if key is not None:
            indexes = (*indexes, (Key(str(key)),))
        made[table] = Figures(rows, max(1.0, pages), known, indexes, (tenants or {}).get(table.lower(), ""))
    return made


def trigrams_of(engine: Any) -> str:
    """Return whether a PostgreSQL has ``pg_trgm``: installed in this database, available to it, or the empty string."""
    with engine.session():
        found = engine.rows("SELECT installed_version FROM pg_available_extensions WHERE name = 'pg_trgm'")
    return ("installed" if found[0][0] else "available") if found else ""


Found = dict[str, tuple[float, float, dict[str, Any]]]


def _keys(present: Present) -> Keys:
    """Return the keys of an index that serves any statement; of others nothing."""
    definition = present.definition
    if not present.valid or present.hidden or definition.where or definition.method != "btree":
        return ()
    if any(column.order not in ("asc", "desc") or not _is_name(column.name) for column in definition.columns):
        return ()
    return tuple(Key(column.name, column.order == "desc") for column in definition.columns)


def _is_name(name: str) -> bool:
    return not set(name) & set("()' ")


def _of_postgresql(engine: Any, columns: Mapping[str, Collection[str]]) -> Found:
    names = list(columns)
    found: Found = {}
    for table, rows, pages in engine.rows(_SIZES, [names]):
        if rows < 0 or not pages:  # never analysed
            ((counted,),) = engine.rows(
                f"SELECT COUNT(*) FROM (SELECT 1 FROM {engine.quoted(table)} LIMIT {MAX_COUNTED}) counted"  # noqa: S608
            )
            found[table] = (float(counted), max(pages, counted / 50), {})
        else:
            found[table] = (float(rows), float(pages), {})
    for table, name, distinct, nulls, correlation, width, bounds, common, parts in engine.rows(
        _COLUMNS, [names]
    ):
        if table not in found:
            continue
        found[table][2][name] = Column(
            distinct if distinct >= 0 else max(1.0, -distinct * found[table][0]),
            nulls,
            correlation,
            width,
            _spread(bounds or (), common or (), parts or ()),
            dict(zip(map(label, common or ()), parts or (), strict=False)),
        )
    return found


def _spread(bounds: Iterable[str], common: Iterable[str], parts: Iterable[float]) -> Any:
    """Return bounds that count the common values in, each as often as its part is of all."""
    every = list(bounds)
    rest = max(0.01, 1.0 - sum(parts))
    per_bound = rest / max(1, len(every) - 1)
    for value, part in zip(common, parts, strict=False):
        every += (
            [value] * round(part / per_bound) if len(every) > 1 else [value] * max(1, round(part * BOUNDS))
        )
    return in_order(every)


def _of_sqlite(engine: Any, columns: Mapping[str, Collection[str]]) -> Found:
    found: Found = {}
    for table, named in columns.items():
        info = engine.rows("SELECT name, pk FROM pragma_table_info(%s)", [table])
        if not info:
            continue
        quoted = engine.quoted(table)
        ((rows,),) = engine.rows(f"SELECT COUNT(*) FROM (SELECT 1 FROM {quoted} LIMIT {MAX_COUNTED})")  # noqa: S608
        wanted = [name for name, _ in info if name in set(named)]
        sample = _sqlite_sample(engine, quoted, wanted, rows) if wanted and rows else []
        known: dict[str, Any] = {
            name: column_of([row[at] for row in sample], rows) for at, name in enumerate(wanted)
        }
        keys = [name for name, place in info if place]
        if len(keys) == 1:
            known[""] = keys[0]
        found[table] = (float(rows), max(1.0, rows / 30), known)
    return found


def _sqlite_sample(engine: Any, quoted: str, wanted: list[str], rows: int) -> list[tuple[Any, ...]]:
    names = ", ".join(map(engine.quoted, wanted))
    try:
        ((first,),) = engine.rows(f"SELECT MIN(rowid) FROM {quoted}")  # noqa: S608 - quoted
        ((last,),) = engine.rows(f"SELECT MAX(rowid) FROM {quoted}")  # noqa: S608
    except django.db.Error:  # WITHOUT ROWID
        first = last = None
    sample = []
    if first is not None and rows > SAMPLE:
        step = max(1.0, (last - first) / SAMPLE)
        ids = sorted({int(first + step * (n + 0.5)) for n in range(SAMPLE)})
        for start in range(0, len(ids), 500):
            marks = ", ".join(map(str, ids[start : start + 500]))
            sample += engine.rows(f"SELECT {names} FROM {quoted} WHERE rowid IN ({marks})")  # noqa: S608
    if len(sample) < SAMPLE / 5:
        sample = engine.rows(f"SELECT {names} FROM {quoted} LIMIT {SAMPLE}")  # noqa: S608
    return list(sample)


def _of_mongodb(engine: Any, columns: Mapping[str, Collection[str]]) -> Found:
    found: Found = {}
    there = set(engine.database.list_collection_names())
    for table, named in columns.items():
        if table not in there:
            continue
        collection = engine.database[table]
        rows = collection.estimated_document_count()
        stages: list[dict[str, Any]] = [{"$sample": {"size": SAMPLE}}]
        if named:
            stages.append({"$project": dict.fromkeys(named, 1)})
        sample = list(collection.aggregate(stages))
        known = {name: column_of([at_path(each, name) for each in sample], rows) for name in named}
        found[table] = (float(rows), max(1.0, rows / 30), known)
    return found


def at_path(document: Any, path: str) -> Any:
    """Return what a document has at a path; of a list its first."""
    for part in path.split("."):
        if isinstance(document, list):
            document = document[0] if document else None
        document = document.get(part) if isinstance(document, Mapping) else None
    return document


def column_of(values: list[Any], rows: float) -> Column:
    """Return what a sample of a column's values tells of it (the estimate of Haas and Stokes, as PostgreSQL makes it)."""
    there = [_hashable(value) for value in values if value is not None]
    if not there:
        return Column(1.0, 1.0 if values else 0.0)
    counted = Counter(there)
    size, different = len(there), len(counted)
    once = sum(count == 1 for count in counted.values())
    nulls = 1.0 - size / len(values)
    whole = max(float(size), rows * (1.0 - nulls))
    distinct = size * different / max(1.0, size - once + once * size / whole)
    common = {
        label(value): count / len(values)
        for value, count in counted.items()
        if count >= MIN_COMMON and count / size >= COMMON
    }
    ordered = in_order(there)
    step = max(1, len(ordered) // BOUNDS)
    width = sum(len(value) if isinstance(value, (str, bytes)) else 8 for value in there) / size
    return Column(
        min(max(distinct, float(different)), whole), nulls, 0.0, width, bounds=ordered[::step], common=common
    )


def _hashable(value: Any) -> Any:
    return value if value.__hash__ is not None else str(value)
