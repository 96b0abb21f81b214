"""Takes away indexes that nobody needs: only those that are named, never one that is declared or that Django made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perfsuite.indexes import planning, registry
from perfsuite.indexes.compare import Present, compare, duplicates, redundant
from perfsuite.indexes.engines.base import Engine
from perfsuite.indexes.errors import DatabaseRefused, did_you_mean
from perfsuite.indexes.resolve import resolve

UNUSED = "not used"


@dataclass(frozen=True)
class Candidate:
    """An index that may go, and what speaks for it."""

    present: Present
    reason: str


def candidates(engine: Engine) -> list[Candidate]:
    """Return the indexes that are nobody's and not declared, and that are unused, duplicate, redundant, hidden or invalid."""
    with engine.session():
        present = engine.present(usage=True)
        return _candidates(engine, present)


def _candidates(engine: Engine, present: list[Present]) -> list[Candidate]:
    needed = _declared(engine, present)
    twice, longer = duplicates(present), redundant(present)
    found = []
    for each in present:
        place = (each.table, each.name)
        reason = why(each, twice.get(place), longer.get(place))
        if reason and each.is_free and place not in needed:
            found.append(Candidate(each, reason + _since(each) if reason == UNUSED else reason))
    return found


def why(present: Present, twin: str | None, longer: str | None) -> str:
    """Return what speaks for dropping an index, or the empty string."""
    if not present.valid:
        return "invalid: its build was cut off"
    if twin:
        return f"the same as {twin}"
    if longer:
        return f"{longer} begins with the same columns"
    if present.hidden:
        return "hidden"
    # One that refuses duplicates or deletes what is old does its work without being read.
    if present.uses == 0 and not present.definition.unique and not present.definition.options:
        return UNUSED
    return ""


def chosen(engine: Engine, names: Sequence[str]) -> list[Candidate]:
    """Return the indexes of these names, ``name`` or ``table.name``. Raises ``DatabaseRefused`` for one that must stay."""
    with engine.session():
        present = engine.present(usage=True)
        needed = _declared(engine, present)
        reasons = {(c.present.table, c.present.name): c.reason for c in _candidates(engine, present)}
    found = []
    for name in names:
        each = _named(engine, present, name)
        place = (each.table, each.name)
        if not each.is_free:
            raise DatabaseRefused(
                f"{name} is {'Django' if each.owner == 'django' else 'a constraint'}'s; change the model and migrate."
            )
        if place in needed:
            raise DatabaseRefused(f"{name} is declared; remove its declaration first.")
        if place not in reasons and each.uses:
            raise DatabaseRefused(f"{name} is in use: {each.uses:,} times{_since(each)}; it stays.")
        found.append(Candidate(each, reasons.get(place, "uses are not counted here")))
    return found


def _since(present: Present) -> str:
    return f" since {present.since:%Y-%m-%d %H:%M}" if present.since else ""


def _declared(engine: Engine, present: list[Present]) -> set[tuple[str, str]]:
    """Return table and name of the indexes that serve a declaration."""
    resolved = resolve(registry.declarations(), engine.alias, engine.terms)
    wanted = planning.translated(engine, resolved)
    changes = compare(wanted, present, engine.rules)
    return {(c.present.table, c.present.name) for c in changes if c.present and c.wanted and c.present.valid}


def _named(engine: Engine, present: list[Present], name: str) -> Present:
    found = [each for each in present if name in (each.name, f"{each.table}.{each.name}")]
    if len(found) > 1:
        places = ", ".join(f"{each.table}.{each.name}" for each in found)
        raise DatabaseRefused(f"{name} is the name of several indexes; type one of {places}")
    if not found:
        hint = did_you_mean(name, {each.name for each in present if each.is_free})
        raise DatabaseRefused(f"The database {engine.alias!r} has no index {name!r}; {hint}")
    return found[0]
