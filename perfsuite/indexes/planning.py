"""What a database needs: declarations resolved, translated by its engine, and compared with what is there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from perfsuite.indexes import registry
from perfsuite.indexes.compare import CONFLICT, CREATE, Change, Wanted, compare
from perfsuite.indexes.databases import aliases
from perfsuite.indexes.engines import get_engine
from perfsuite.indexes.engines.base import Engine, TableInfo
from perfsuite.indexes.errors import DatabaseRefused, DeclarationError, did_you_mean
from perfsuite.indexes.resolve import Resolved, resolve


@dataclass(frozen=True)
class Plan:
    """What is to be done on one database."""

    alias: str
    changes: tuple[Change, ...]

    def of(self, *actions: str) -> list[Change]:
        """Return the changes with one of the actions."""
        return [change for change in self.changes if change.action in actions]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing and nothing conflicts; what the database cannot have is not missing."""
        return not self.of(CREATE, CONFLICT)

    def counted(self) -> str:
        """Return how many changes there are of each kind, in words."""
        actions = list(dict.fromkeys(change.action for change in self.changes))
        counts = ", ".join(f"{len(self.of(action))} {action}" for action in actions)
        return f"{self.alias}: {counts or 'nothing is declared for it'}"


def databases(asked: str = "") -> list[str]:
    """Return the database that was asked for, else all that something is declared for. Raises ``DeclarationError``."""
    if asked:
        get_engine(asked)
        return [asked]
    declared = registry.declarations()
    return [alias for alias in aliases() if resolve(declared, alias, get_engine(alias).terms)]


def require_app(app: str) -> None:
    """Raise ``DeclarationError`` for a label that no declaration belongs to."""
    known = {registry.app_of(each) for each in registry.declarations()} - {""}
    if app and app not in known:
        raise DeclarationError(f"No index is declared for the app {app!r}; {did_you_mean(app, known)}")


def make(engine: Engine, app: str = "", *, skip_missing: bool = False, skip_empty: bool = False) -> Plan:
    """Return the plan of a database.

    ``skip_missing`` leaves out tables that are not there yet, ``skip_empty`` also collections that come with their first index.

    Raises ``DeclarationError``, and ``DatabaseRefused`` for a table that is not there or that can have no index.
    """
    resolved = resolve(registry.declarations(), engine.alias, engine.terms, app)
    names = {each.table for each in resolved}
    with engine.session():
        there = engine.tables(names)
        if skip_missing:
            resolved = [each for each in resolved if each.table in there]
        if skip_empty:
            resolved = [each for each in resolved if each.table in there and there[each.table].is_there]
        _require_tables(engine, resolved, there)
        wanted = translated(engine, resolved)
        present = engine.present({each.table for each in resolved})
        return Plan(engine.alias, tuple(compare(wanted, present, engine.rules)))


def translated(engine: Engine, resolved: list[Resolved]) -> list[Wanted]:
    """Return the declarations as the database would have them."""
    return [engine.translate(each) for each in resolved]


def _require_tables(engine: Engine, resolved: list[Resolved], there: dict[str, TableInfo]) -> None:
    problems: dict[str, None] = {}
    for each in resolved:
        table = there.get(each.table)
        problem = _no_table(engine, each) if table is None else _no_index_on(engine, each, table)
        if problem:
            problems[problem] = None
    if problems:
        raise DatabaseRefused("\n".join(problems))


def _no_table(engine: Engine, resolved: Resolved) -> str:
    hint = "type: manage.py migrate" if resolved.fields else "correct its name or make it first"
    return (
        f"The database {engine.alias!r} has no table {resolved.table!r}, for which {resolved.source} declares "
        f"an index; {hint}"
    )


def _no_index_on(engine: Engine, resolved: Resolved, table: TableInfo) -> str:
    if table.kind not in ("table", "collection", "timeseries"):
        advice = (
            "make it on each partition"
            if table.kind == "partitioned table"
            else "declare it for the tables behind it"
        )
        return (
            f"{resolved.table!r} in the database {engine.alias!r} is a {table.kind}, on which {resolved.source} "
            f"declares an index that cannot be built; {advice}."
        )
    missing = [c for c in _columns(resolved) if table.columns is not None and c not in table.columns]
    if not missing:
        return ""
    hint = "type: manage.py migrate" if resolved.fields else did_you_mean(missing[0], table.columns or ())
    return (
        f"The table {resolved.table!r} in the database {engine.alias!r} has no column {missing[0]!r}, which "
        f"{resolved.source} declares an index on; {hint}"
    )


def _columns(resolved: Resolved) -> Collection[str]:
    return [resolved.columns[name] for name in resolved.index.fields]


def missing_words(plan: Plan) -> list[str]:
    """Return what is missing in one sentence, and one for each conflict."""
    words = [
        f"{plan.alias}: {change.name} on {change.table} conflicts: {change.reason}"
        for change in plan.of(CONFLICT)
    ]
    if missing := plan.of(CREATE):
        names = ", ".join(change.name for change in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        words.append(f"{plan.alias} lacks declared indexes: {names}{more}.")
    return words
