"""Asks SQLite and PostgreSQL for plans."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from perfsuite.queries.explain import postgresql, sqlite
from perfsuite.queries.explain.connections import own_cursor, wrapper_of
from perfsuite.queries.explain.errors import NotExplainable
from perfsuite.queries.explain.plans import Plan, Table
from perfsuite.queries.explain.sql_text import Token, count_values, joined, one_select

VENDORS = ("sqlite", "postgresql")
# Rows are counted up to this: enough to tell that a table is large.
MAX_COUNTED = 100_000
GENERIC_PLAN_FROM = 160_000
UNKNOWN = (
    "The plan is for unknown values: those of the statement are not kept (PERFSUITE['QUERIES']['CAPTURE_PARAMS']), "
    "or not as they were (MASK_PARAMS)."
)
RAN = "The statement was run for this plan (PERFSUITE['QUERIES']['EXPLAIN_ANALYZE'])."


def explain_sql(
    alias: str, sql: str, params: Sequence[Any] | None = None, *, timeout_ms: int, analyze: bool = False
) -> Plan:
    """Return the plan of one SELECT; raise ``NotExplainable`` for anything else, and where the database gives none.

    ``params`` None: its values are not known. ``analyze`` runs the statement on PostgreSQL, if its values are known.
    """
    wrapper = wrapper_of(alias)
    if wrapper.vendor not in VENDORS:
        raise NotExplainable(
            f"Plans of {wrapper.display_name} are not supported; SQLite, PostgreSQL and MongoDB give some."
        )
    statement = one_select(sql)
    expected = count_values(statement)
    if params is not None and len(params) != expected:
        params = None  # it was folded, as long lists are
    with own_cursor(alias, timeout_ms) as cursor:
        tables = _Tables(wrapper, cursor)
        if wrapper.vendor == "sqlite":
            plan = _of_sqlite(cursor, statement, params, tables)
        else:
            plan = _of_postgresql(cursor, statement, params, analyze, tables)
    return plan if params is not None or not expected else replace(plan, notes=(*plan.notes, UNKNOWN))


def _of_sqlite(cursor: Any, statement: list[Token], params: Sequence[Any] | None, tables: _Tables) -> Plan:
    values = [None] * count_values(statement) if params is None else list(params)
    # Django's cursor turns %s into SQLite's ?, and takes one without values as it is.
    cursor.execute("EXPLAIN QUERY PLAN " + joined(statement, "%s" if values else "?"), values or None)
    return sqlite.plan_of(cursor.fetchall(), statement, tables)


def _of_postgresql(
    cursor: Any, statement: list[Token], params: Sequence[Any] | None, analyze: bool, tables: _Tables
) -> Plan:
    expected = count_values(statement)
    if params is None and expected:
        cursor.execute("SHOW server_version_num")
        if int(cursor.fetchone()[0]) < GENERIC_PLAN_FROM:
            raise NotExplainable(
                "PostgreSQL before 16 gives no plan for unknown values; set PERFSUITE['QUERIES']['CAPTURE_PARAMS'] = True, "
                "without MASK_PARAMS, and wait until the statement runs again, or upgrade."
            )
        cursor.execute("EXPLAIN (FORMAT JSON, GENERIC_PLAN) " + joined(statement, "$"))
        is_run = False
    else:
        is_run = analyze
        options = "FORMAT JSON, ANALYZE" if is_run else "FORMAT JSON"
        text = joined(statement, "%s" if expected else "?")
        cursor.execute(f"EXPLAIN ({options}) {text}", list(params or ()) if expected else None)
    answer = cursor.fetchone()[0]
    plan = postgresql.plan_of(json.loads(answer) if isinstance(answer, str) else answer, statement, tables)
    return replace(plan, notes=(*plan.notes, RAN)) if is_run else plan


class _Tables:
    """What the database says of each table that a plan reads whole."""

    def __init__(self, wrapper: Any, cursor: Any) -> None:
        self._wrapper, self._cursor = wrapper, cursor
        self._known: dict[str, Table | None] = {}
        self._names: frozenset[str] | None = None

    def __call__(self, name: str) -> Table | None:
        """Return what is known of a table; None for a view, a common table expression, or another schema's."""
        if self._names is None:
            introspection = self._wrapper.introspection
            self._names = frozenset(
                each.name for each in introspection.get_table_list(self._cursor) if each.type != "v"
            )
        if name not in self._names:
            return None
        if name not in self._known:
            self._known[name] = Table(self._rows(name), self._leading(name))
        return self._known[name]

    def _rows(self, name: str) -> int | None:
        quoted = self._wrapper.ops.quote_name(name)
        if self._wrapper.vendor == "postgresql":
            self._cursor.execute(
                "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s)", [quoted]
            )
            found = self._cursor.fetchone()
            if found and found[0] >= 0:  # before 14, a table that was never analysed has none
                return int(found[0])
        self._cursor.execute(f"SELECT COUNT(*) FROM (SELECT 1 FROM {quoted} LIMIT {MAX_COUNTED}) counted")  # noqa: S608 - quoted
        return int(self._cursor.fetchone()[0])

    def _leading(self, name: str) -> frozenset[str]:
        constraints = self._wrapper.introspection.get_constraints(self._cursor, name)
        return frozenset(
            each["columns"][0]
            for each in constraints.values()
            if each["columns"] and (each["index"] or each["unique"] or each["primary_key"])
        )
