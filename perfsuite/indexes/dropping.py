"""Takes away indexes that nobody needs: only those that are named, never one that is declared or that Django made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from perfsuite.indexes import planning, registry, watching
from perfsuite.indexes.compare import Present, compare, duplicates, redundant
from perfsuite.indexes.engines.base import Engine
from perfsuite.indexes.errors import DatabaseRefused, did_you_mean
from perfsuite.indexes.resolve import resolve

# An index whose uses are known for less is not called unused: a job that runs once a week had no turn yet.
UNUSED_AFTER_S = 7 * 86_400


@dataclass(frozen=True)
class Candidate:
    """An index that may go, and what speaks for it."""

    present: Present
    reason: str


def candidates(engine: Engine) -> list[Candidate]:
    """Return the indexes that are nobody's and not declared, and that are unused, duplicate, redundant, hidden or invalid."""
    with engine.session():
        return _candidates(engine, watching.watched(engine, engine.present(usage=True)))


def _candidates(engine: Engine, present: list[Present]) -> list[Candidate]:
    needed = _declared(engine, present)
    twice, longer = duplicates(present), redundant(present)
    found = []
    for each in present:
        place = (each.table, each.name)
        reason = why(each, twice.get(place), longer.get(place))
        if reason and each.is_free and place not in needed:
            found.append(Candidate(each, reason))
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
    if _looks_unused(present) and not _may_be_young(present):
        return f"not used{_since(present.watched_since)}"
    return ""


def not_yet(present: Present) -> str:
    """Return that an index has no known use but is not known long enough to be called unused, or the empty string."""
    if not _looks_unused(present) or not _may_be_young(present):
        return ""
    if present.watched_since is None:
        return "no use seen yet, and since when it is there is not known"
    return f"no use seen yet, counted{_since(present.watched_since)}"


def _looks_unused(present: Present) -> bool:
    # One that refuses duplicates or deletes what is old does its work without being read.
    does_more = present.definition.unique or present.definition.options
    return present.uses == 0 and not present.watched_uses and not does_more


def _may_be_young(present: Present) -> bool:
    since = present.watched_since
    return since is None or (datetime.now(UTC) - since).total_seconds() < UNUSED_AFTER_S


def chosen(engine: Engine, names: Sequence[str]) -> list[Candidate]:
    """Return the indexes of these names, ``name`` or ``table.name``. Raises ``DatabaseRefused`` for one that must stay."""
    with engine.session():
        present = watching.watched(engine, engine.present(usage=True))
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
        if place not in reasons:
            _require_no_use(name, each)
        found.append(Candidate(each, reasons.get(place) or _unknown(each)))
    return found


def _require_no_use(name: str, present: Present) -> None:
    if present.uses:
        raise DatabaseRefused(f"{name} is in use: {present.uses:,} times{_since(present.since)}; it stays.")
    if present.watched_uses:
        times = f"{present.watched_uses:,} times{_since(present.watched_since)}"
        raise DatabaseRefused(f"{name} was in use: {times}, before the server began to count anew; it stays.")
    if young := not_yet(present):
        raise DatabaseRefused(
            f"{name} may be needed: {young}, and it takes {UNUSED_AFTER_S // 86_400} days to tell; it stays. "
            "A running site collects uses, and manage.py analyze_collections --keep does."
        )


def _unknown(present: Present) -> str:
    return "uses are not counted here" if present.uses is None else "it does its work without being read"


def _since(instant: datetime | None) -> str:
    return f" since {instant:%Y-%m-%d %H:%M}" if instant else ""


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
