"""What is suggested for the statements that were recorded.

A statement of SQL is read from its fingerprint, with its values where they are kept (``CAPTURE_PARAMS``); one of MongoDB from its
shape; one of djongo from its SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db import connections

from perfsuite.indexes import registry
from perfsuite.indexes.databases import aliases
from perfsuite.indexes.engines import get_engine, opened
from perfsuite.indexes.engines.base import Engine
from perfsuite.indexes.resolve import resolve
from perfsuite.indexes.suggesting import lines, refusing
from perfsuite.indexes.suggesting.candidates import WORTH, serves
from perfsuite.indexes.suggesting.choosing import Asked, Chosen, choose
from perfsuite.indexes.suggesting.costing import Planner
from perfsuite.indexes.suggesting.figures import Figures, Key, Keys
from perfsuite.indexes.suggesting.needs import Statement
from perfsuite.indexes.suggesting.prices import PRICES
from perfsuite.indexes.suggesting.reading_command import read_command
from perfsuite.indexes.suggesting.reading_sql import read_sql
from perfsuite.indexes.suggesting.statistics import figures_of, trigrams_of
from perfsuite.indexes.suggesting.suggestion import Evidence, Suggestion
from perfsuite.metrics.exemplars import exemplars
from perfsuite.metrics.query import Window, top
from perfsuite.queries import kinds
from perfsuite.queries.conf import QuerySettings
from perfsuite.queries.explain.daily import latest
from perfsuite.queries.explain.errors import NotExplainable
from perfsuite.queries.explain.recorded import ARROW, is_one
from perfsuite.queries.short_id import short_id
from perfsuite.queries.tenant_guard.state import declaration

DAY_S = 86_400
# The statements that are looked at are those that cost most; what takes less than a millisecond needs no index.
MAX_STATEMENTS = 300
MIN_MEAN_US = 1_000.0
# Reading a table with fewer rows whole costs nothing to speak of.
MIN_ROWS = 1_000.0
TENANT = "tenant_id"
MONGODB = ("mongodb", "djongo")


@dataclass
class Recorded:
    """A statement as it was recorded: what it costs a day, its routes, the costliest first, and what it asks for."""

    fingerprint: str
    alias: str
    calls: float
    us: float
    routes: list[str] = field(default_factory=list)
    statement: Statement | None = None


def suggestions(alias: str | None = None, since: int = DAY_S) -> list[Suggestion]:
    """Return the indexes that recorded statements lack, the costliest first, on one database or on all.

    ``since`` is how many seconds back is looked. Reads the store, and of each database its indexes and what it knows of its
    columns; writes nothing. Raises ``StoreUnavailable``, ``DatabaseRefused`` and ``DeclarationError``.
    """
    found = []
    for name, statements in _by_alias(recorded(since)).items():
        if alias in (None, name) and name in aliases():
            with opened(name) as engine:
                found += _of_database(engine, statements)
    return sorted(found, key=lambda each: (-each.us_per_day, each.alias, each.table, each.keys))


def awaited(alias: str, since: int = DAY_S) -> list[Suggestion]:
    """Return the indexes that are declared and not there, of those that would help statements which were recorded.

    Raises as ``suggestions`` does.
    """
    with opened(alias) as engine:
        statements = _by_alias(recorded(since)).get(alias, [])
        figures = _figures(engine, vendor_of(alias), statements)
        declared = with_declared(engine, figures)
        missing = [
            (table, keys)
            for table, of in declared.items()
            for keys in of.indexes[len(figures[table].indexes) :]
            if not any(serves(there, keys) for there in figures[table].indexes)
        ]
        if not missing:
            return []
        asked = [each for each in statements if each.statement is not None]
        prices = PRICES[vendor_of(alias)]
        planners = [Planner(each.statement, figures, prices) for each in asked if each.statement is not None]
        found = []
        for table, keys in missing:
            ratios = {
                at: each.cost((table, keys)) / max(each.cost(), 1e-9) for at, each in enumerate(planners)
            }
            chosen = Chosen(table, keys, {at: ratio for at, ratio in ratios.items() if ratio <= WORTH})
            if chosen.serves:
                found.append(_suggestion(alias, vendor_of(alias), chosen, asked, figures[table]))
        return sorted(found, key=lambda each: (-each.us_per_day, each.table, each.keys))


class Unmade(NamedTuple):
    """An index that is declared and not there yet; ``left`` is the share of a statement's work that is left with it."""

    keys: tuple[str, ...]
    left: float


def told_of(fingerprint: str, alias: str, table: str) -> Suggestion | Unmade | str:
    """Return the index that one statement lacks on a table, whatever it costs, or why none is suggested, "" if that is not known.

    Raises as ``suggestions`` does.
    """
    if alias not in aliases():
        return ""
    with opened(alias) as engine:
        one = Recorded(fingerprint, alias, 0.0, 0.0)
        for each in _of_database(engine, [one]):
            if each.table == table:
                return each
        return _why_none(engine, one, table)


def _why_none(engine: Engine, of: Recorded, table: str) -> Unmade | str:
    vendor = vendor_of(engine.alias)
    figures = _figures(engine, vendor, [of])
    if of.statement is None or table not in figures or figures[table].rows < MIN_ROWS:
        return ""
    for each in choose([Asked(of.statement)], figures, PRICES[vendor]):
        if each.table == table:
            return Unmade(tuple(map(str, each.keys)), min(each.serves.values(), default=1.0))

    def declare(column: str, function: str) -> str:
        return refusing.trigram_line(lines.label_of(table) or table, lines.field_of(table, column), function)

    trigrams = trigrams_of(engine) if vendor == "postgresql" else ""
    return refusing.why_none(of.fingerprint, of.statement, table, figures[table], vendor, trigrams, declare)


def recorded(since: int = DAY_S) -> list[Recorded]:
    """Return the statements that cost most within so many seconds, of those that take long enough to look at.

    Raises ``StoreUnavailable``.
    """
    window, by = Window.last(since), ("fingerprint", "alias", "route")
    found: dict[tuple[str, str], Recorded] = {}
    for row in top(kinds.FINGERPRINT, window, by, limit=10 * MAX_STATEMENTS, percentiles=False):
        fingerprint, alias, route = (row.labels[name] for name in by)
        if is_one(fingerprint):
            one = found.setdefault((fingerprint, alias), Recorded(fingerprint, alias, 0.0, 0.0))
            one.calls += row.value.count * DAY_S / since
            one.us += row.value.sum * DAY_S / since
            one.routes.append(route)
    every = [each for each in found.values() if each.us >= MIN_MEAN_US * each.calls]
    return sorted(every, key=lambda each: -each.us)[:MAX_STATEMENTS]


def _by_alias(statements: Iterable[Recorded]) -> dict[str, list[Recorded]]:
    found: dict[str, list[Recorded]] = {}
    for each in statements:
        found.setdefault(each.alias, []).append(each)
    return found


def vendor_of(alias: str) -> str:
    """Return what kind of database an alias is; a name of ``CLIENTS`` is MongoDB's."""
    return str(connections[alias].vendor) if alias in connections else "mongodb"


def _of_database(engine: Engine, statements: list[Recorded]) -> list[Suggestion]:
    vendor = vendor_of(engine.alias)
    figures = with_declared(engine, _figures(engine, vendor, statements))
    asked = [each for each in statements if each.statement is not None]
    weighed = [Asked(each.statement, each.us) for each in asked if each.statement is not None]
    if not figures:
        return []
    # Small tables are known to the planner too, but get no index.
    chosen = [
        each for each in choose(weighed, figures, PRICES[vendor]) if figures[each.table].rows >= MIN_ROWS
    ]
    return [_suggestion(engine.alias, vendor, each, asked, figures[each.table]) for each in chosen]


def _figures(engine: Engine, vendor: str, statements: list[Recorded]) -> dict[str, Figures]:
    """Read the statements, and return what is known of their tables; nothing of a database of another kind."""
    if vendor not in PRICES:
        return {}
    _read_all(engine, vendor, statements)
    named: dict[str, set[str]] = {}
    for each in statements:
        for use in each.statement.uses if each.statement else ():
            if use.table:
                columns = use.columns or {
                    *use.equals,
                    *use.among,
                    *use.ranges,
                    *_ordered(each.statement, use.table),
                }
                named.setdefault(use.table, set()).update(columns)
    return figures_of(engine, vendor, named, tenants(named)) if named else {}


def _ordered(statement: Statement | None, table: str) -> set[str]:
    """Return the columns that a statement is ordered or grouped by, of those that a table has."""
    found: set[str] = set()
    if statement is not None:
        for block in statement.blocks:
            found |= {name for at, name, _ in block.order if statement.uses[at].table == table}
            found |= {name for at, name in block.group if statement.uses[at].table == table}
    for number, use in enumerate(statement.uses if statement else ()):
        if use.table == table and statement is not None:
            found |= {seen[0] for join in statement.joins if (seen := join.seen_from(number))}
    return found


def _read_all(engine: Engine, vendor: str, statements: list[Recorded]) -> None:
    """Read each statement, those that can be; columns without their table's name by asking what the tables have."""
    columns: dict[str, Any] = {}
    for each in statements:
        each.statement = read(each, vendor, columns)
    if vendor not in MONGODB:
        tables = {use.table for each in statements if each.statement for use in each.statement.uses}
        columns.update({name: info.columns for name, info in engine.tables(tables - {""}).items()})
        for each in statements:
            each.statement = each.statement and read(each, vendor, columns)


def read(recorded: Recorded, vendor: str, columns: Mapping[str, Any]) -> Statement | None:
    """Return what a recorded statement asks for, or None where it cannot be read."""
    sql, _, rest = recorded.fingerprint.partition(ARROW)
    try:
        if vendor == "mongodb" or (vendor == "djongo" and not rest and sql.split(".")[0].isidentifier()):
            return read_command(recorded.fingerprint)
        takes_values = recorded.routes and not QuerySettings.get().mask_params  # masked ones are not its own
        kept = [
            each.data
            for each in (exemplars(kinds.FINGERPRINT, _labels(recorded)) if takes_values else ())
            if each.data.get("params") is not None and each.data.get("sql")
        ]
        sql, params = (str(kept[0]["sql"]), kept[0]["params"]) if kept else (sql, None)
        statement = read_sql(sql, params, columns.get)
    except (NotExplainable, RecursionError):
        return None
    if vendor == "djongo":
        for use in statement.uses:
            use.columns = None  # its commands fetch the documents, whatever the SQL selects
    return statement


def _labels(recorded: Recorded) -> tuple[str, str, str]:
    return recorded.fingerprint, recorded.alias, recorded.routes[0]


def tenants(tables: Iterable[str]) -> dict[str, str]:
    """Return the column that says whose a row is, by table: as declared for the tenant guard, else ``tenant_id``."""
    owned = declaration().schema.owned
    return {
        name.lower(): (owned[name.lower()].column or TENANT) if name.lower() in owned else TENANT
        for name in tables
    }


def with_declared(engine: Engine, figures: dict[str, Figures]) -> dict[str, Figures]:
    """Return the figures with the indexes that are declared, whether they are there yet or not."""
    more: dict[str, list[Keys]] = {}
    for each in resolve(registry.declarations(), engine.alias, engine.terms):
        if each.index.kind == "btree" and not each.index.where and not each.index.sparse:
            keys = tuple(
                Key(each.columns[key.field], key.order == "desc")
                for key in each.index.keys
                if not key.function
            )
            if len(keys) == len(each.index.keys):
                more.setdefault(each.table, []).append(keys)
    return {
        table: Figures(of.rows, of.pages, of.columns, (*of.indexes, *more.get(table, ())), of.tenant)
        for table, of in figures.items()
    }


def _suggestion(alias: str, vendor: str, chosen: Chosen, asked: list[Recorded], of: Figures) -> Suggestion:
    evidence = [_evidence(asked[at], chosen, left, of) for at, left in chosen.serves.items()]
    evidence.sort(key=lambda each: -each.us_per_day)
    keys = chosen.keys
    return Suggestion(
        alias,
        chosen.table,
        lines.label_of(chosen.table),
        tuple(map(str, keys)),
        lines.register_line(chosen.table, keys),
        lines.meta_line(chosen.table, keys),
        lines.mongosh_line(chosen.table, keys) if vendor in MONGODB else "",
        sum(each.us_per_day for each in evidence),
        sum(each.calls_per_day for each in evidence),
        tuple(evidence),
    )


def _evidence(of: Recorded, chosen: Chosen, left: float, figures: Figures) -> Evidence:
    facts = [
        f"{chosen.table} has {figures.rows:,.0f} rows; with the index about {max(left, 0.001):.1%} of the work is left."
    ]
    kept = latest(of.fingerprint, of.alias)
    plan = (kept.data.get("plan") or {}) if kept is not None else {}
    facts += [
        str(fact["text"]) for fact in plan.get("findings", ()) if fact.get("table") in (chosen.table, "")
    ]
    return Evidence(
        of.fingerprint, short_id(of.fingerprint), tuple(of.routes), of.calls, of.us, tuple(facts), left
    )


def require_alias(alias: str) -> None:
    """Raise ``DatabaseRefused`` for a name that nothing has."""
    get_engine(alias)
