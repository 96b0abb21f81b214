"""Every index of a database, declared and present: its size, its uses, and whether it is worth them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from perfsuite.indexes import dropping, planning, registry, watching
from perfsuite.indexes.compare import (
    CONFLICT,
    CONSTRAINT,
    CREATE,
    UNSUPPORTED,
    Present,
    Wanted,
    compare,
    duplicates,
    redundant,
)
from perfsuite.indexes.engines import opened
from perfsuite.indexes.engines.base import Engine
from perfsuite.indexes.errors import DatabaseRefused, did_you_mean
from perfsuite.indexes.resolve import resolve

DECLARED = "declared"
_STATES = {CREATE: "missing", CONFLICT: "conflict", UNSUPPORTED: "unsupported"}


@dataclass(frozen=True)
class Entry:
    """An index in the list: ``state`` is declared, missing, conflict, unsupported, django, constraint or foreign."""

    alias: str
    table: str
    name: str
    state: str
    definition: str
    note: str = ""
    statement: str = ""
    source: str = ""
    present: Present | None = None
    waste: str = ""  # what speaks for dropping it

    def as_dict(self) -> dict[str, object]:
        """Return the entry for machines."""
        there = self.present
        since = there.since if there else None
        return {
            "database": self.alias,
            "table": self.table,
            "name": self.name,
            "state": self.state,
            "definition": self.definition,
            "bytes": there.size if there else None,
            "uses": there.uses if there else None,
            "since": since.isoformat() if since else None,
            "note": self.note,
            "declared_in": self.source,
        }


def entries(engine: Engine, tables: Iterable[str] = ()) -> list[Entry]:
    """Return what is declared and what is there, of some tables or of all, by table and name."""
    only = set(tables)
    with engine.session():
        present = watching.watched(engine, engine.present(only or None, usage=True))
        return entries_of(engine, present, only)


def entries_of(engine: Engine, present: list[Present], only: Collection[str] = ()) -> list[Entry]:
    """Return the same of indexes that were read with their usage and have passed ``watching``."""
    resolved = resolve(registry.declarations(), engine.alias, engine.terms)
    wanted = planning.translated(engine, [each for each in resolved if not only or each.table in only])
    changes = compare(wanted, present, engine.rules)
    serving = {(c.present.table, c.present.name): c.wanted for c in changes if c.present and c.wanted}
    twice, longer = duplicates(present), redundant(present)
    found = [
        _entry(engine, each, serving.get((each.table, each.name)), _waste(each, twice, longer))
        for each in present
    ]
    found += [
        _absent(engine, change.wanted, _STATES[change.action], change.reason)
        for change in changes
        if change.wanted and change.present is None and change.action in _STATES
    ]
    return sorted(found, key=lambda each: (each.table, each.name))


def present_tables(engine: Engine, names: Iterable[str]) -> set[str]:
    """Return those of the tables that a database has."""
    with engine.session():
        return {name for name, table in engine.tables(set(names)).items() if table.is_there}


def find(name: str, asked: list[str]) -> list[Entry]:
    """Return the indexes of this name, or ``table.name``, on these databases. Raises ``DatabaseRefused`` if there is none."""
    every: list[Entry] = []
    for alias in asked:
        with opened(alias) as engine:
            every += entries(engine)
    found = [each for each in every if name in (each.name, f"{each.table}.{each.name}")]
    if not found:
        raise DatabaseRefused(
            f"No index is called {name!r}; {did_you_mean(name, {each.name for each in every})}"
        )
    return found


def _entry(engine: Engine, present: Present, wanted: Wanted | None, waste: str) -> Entry:
    state = DECLARED if wanted else present.owner or "foreign"
    unseen = "" if waste or present.owner == CONSTRAINT else dropping.not_yet(present)
    note = "; ".join(filter(None, (waste or unseen, present.note)))
    if wanted and wanted.name != present.name:
        note = "; ".join(filter(None, (f"declared as {wanted.name}", note)))
    return Entry(
        engine.alias,
        present.table,
        present.name,
        state,
        str(present.definition),
        note,
        wanted.statement if wanted else "",
        wanted.source if wanted else "",
        present,
        waste,
    )


def _absent(engine: Engine, wanted: Wanted, state: str, reason: str) -> Entry:
    definition = str(wanted.definition)
    return Entry(
        engine.alias, wanted.table, wanted.name, state, definition, reason, wanted.statement, wanted.source
    )


def _waste(present: Present, twice: dict[tuple[str, str], str], longer: dict[tuple[str, str], str]) -> str:
    if present.owner == CONSTRAINT:
        return ""
    place = (present.table, present.name)
    return dropping.why(present, twice.get(place), longer.get(place))
