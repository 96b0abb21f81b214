"""PostgreSQL's catalogs: which tables and indexes are there, and what each index does. One query, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from perfsuite.indexes.canonical import canonical
from perfsuite.indexes.compare import CONSTRAINT, Column, Definition, Present
from perfsuite.indexes.engines.base import Figures

KINDS = {"r": "table", "m": "table", "p": "partitioned table", "v": "view", "f": "foreign table"}

TABLES = """
    SELECT t.relname, t.relkind::text,
           (SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum), '{}') FROM pg_attribute a
            WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped)
    FROM pg_class t
    WHERE t.relname = ANY(%s) AND t.relkind IN ('r', 'm', 'p', 'v', 'f') AND pg_table_is_visible(t.oid)
"""
NOT_MINE = """
    SELECT t.relname, pg_get_userbyid(t.relowner), current_user
    FROM pg_class t
    WHERE t.relname = ANY(%s) AND t.relkind IN ('r', 'm', 'p') AND pg_table_is_visible(t.oid)
      AND NOT pg_has_role(current_user, t.relowner, 'USAGE')
    ORDER BY t.relname
"""
IS_INVALID = """
    SELECT 1 FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
    WHERE t.relname = %s AND i.relname = %s AND NOT x.indisvalid AND pg_table_is_visible(t.oid)
"""
LOCK_HOLDER = """
    SELECT pid FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND objid = %s
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# After a crash all counters begin anew while the postmaster runs on: the time is left with those of the whole server.
BEGUN = "greatest(pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time())"
# Counters by function: the view of them would aggregate the indexes of all tables first.
FIGURES = """
    SELECT t.relname,
           CASE WHEN pg_stat_get_live_tuples(t.oid) > 0 THEN pg_stat_get_live_tuples(t.oid)
                ELSE greatest(t.reltuples, 0)::bigint END,
           pg_table_size(t.oid), pg_indexes_size(t.oid), pg_stat_get_numscans(t.oid),
           pg_stat_get_tuples_inserted(t.oid) + pg_stat_get_tuples_updated(t.oid)
               - pg_stat_get_tuples_hot_updated(t.oid) + pg_stat_get_tuples_deleted(t.oid),
           (SELECT coalesce(d.stats_reset, {begun}) FROM pg_stat_database d
            WHERE d.datname = current_database())
    FROM pg_class t
    WHERE t.relkind IN ('r', 'm') AND pg_table_is_visible(t.oid) AND t.relnamespace <> 'pg_catalog'::regnamespace {where}
    ORDER BY t.relname
"""
_SPECIAL_CLASSES = "SELECT oid::bigint, opcname::text FROM pg_opclass WHERE NOT opcdefault"
_INDEXES = """
    SELECT t.relname AS tablename, i.relname, m.amname, x.indisunique, x.indisvalid,
           x.indisprimary OR EXISTS (
               SELECT 1 FROM pg_constraint c WHERE c.conindid = i.oid AND c.contype IN ('p', 'u', 'x')
           ) AS constrained,
           x.indnkeyatts, k.keys, k.expressions, k.descending, k.collations, x.indclass::oid[]::bigint[],
           pg_get_expr(x.indpred, x.indrelid), pg_relation_size(i.oid), pg_stat_get_numscans(i.oid),
           (SELECT coalesce(d.stats_reset, {begun}) FROM pg_stat_database d
            WHERE d.datname = current_database())
    FROM pg_index x
    JOIN pg_class i ON i.oid = x.indexrelid
    JOIN pg_class t ON t.oid = x.indrelid
    JOIN pg_am m ON m.oid = i.relam
    CROSS JOIN LATERAL (
        SELECT array_agg(
                   CASE WHEN x.indkey[n - 1] = 0 THEN pg_get_indexdef(i.oid, n, true) ELSE a.attname::text END ORDER BY n
               ) AS keys,
               array_agg(CASE WHEN n <= x.indnkeyatts THEN (x.indoption[n - 1] & 1) = 1 ELSE false END ORDER BY n) AS descending,
               array_agg(
                   CASE WHEN n <= x.indnkeyatts AND x.indcollation[n - 1] <> 0
                             AND x.indcollation[n - 1] <> coalesce(a.attcollation, 100)
                        THEN (SELECT collname::text FROM pg_collation WHERE oid = x.indcollation[n - 1]) ELSE '' END
                   ORDER BY n
               ) AS collations,
               array_agg(x.indkey[n - 1] = 0 ORDER BY n) AS expressions
        FROM generate_series(1, x.indnatts) n
        LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[n - 1] AND x.indkey[n - 1] <> 0
    ) k
    WHERE t.relkind IN ('r', 'm', 'p') AND pg_table_is_visible(t.oid)
      AND t.relnamespace <> 'pg_catalog'::regnamespace {where}
    ORDER BY t.relname, i.relname
"""


def read(rows: Callable[..., list[tuple[Any, ...]]], names: Collection[str] | None) -> list[Present]:
    """Return the indexes of the tables, or of all that the search path finds; ``rows`` runs a query."""
    special: dict[int, str] = dict(rows(_SPECIAL_CLASSES))
    if names is None:
        found = rows(_INDEXES.format(where="", begun=BEGUN))
    else:
        found = rows(_INDEXES.format(where="AND t.relname = ANY(%s)", begun=BEGUN), [list(names)])
    return [_present(row, special) for row in found]


def figures(rows: Callable[..., list[tuple[Any, ...]]], names: Collection[str] | None) -> list[Figures]:
    """Return what the tables hold, as the server's own estimates and counters have it."""
    if names is None:
        found = rows(FIGURES.format(where="", begun=BEGUN))
    else:
        found = rows(FIGURES.format(where="AND t.relname = ANY(%s)", begun=BEGUN), [list(names)])
    return [
        Figures(table, held, size, index_size, size / held if held else None, scans, writes, since)
        for table, held, size, index_size, scans, writes, since in found
    ]


def _present(row: tuple[Any, ...], special: dict[int, str]) -> Present:
    table, name, method, unique, valid, constrained, key_count = row[:7]
    keys, expressions, descending, collations, classes, where, size, uses, since = row[7:]
    columns = tuple(
        Column(canonical(key) if expression else key, "desc" if down else "asc")
        for key, expression, down in zip(keys[:key_count], expressions, descending, strict=False)
    )
    options = tuple(("opclass", special[each]) for each in dict.fromkeys(classes) if each in special)
    return Present(
        table=table,
        name=name,
        definition=Definition(
            columns,
            unique,
            method,
            canonical(where or ""),
            tuple(keys[key_count:]),
            ",".join(dict.fromkeys(filter(None, collations))),
            options,
        ),
        owner=CONSTRAINT if constrained else "",
        valid=valid,
        size=size,
        uses=uses,
        since=since,
    )
