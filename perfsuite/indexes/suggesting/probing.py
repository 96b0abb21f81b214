"""The part of a statement that an index is for, as one read of its table: what ``--verify`` runs with and without it. Pure.

Its values are those of a row in the middle of the copy, so that it finds something; no value of the recorded statement is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfsuite.indexes.suggesting.needs import Statement

LIMIT = 25


@dataclass(frozen=True)
class Probe:
    """A read of one table: columns that are equal to a value, bounds by column, the order, and whether rows are counted only."""

    table: str
    equals: tuple[str, ...]
    bounds: tuple[tuple[str, str], ...]
    order: tuple[tuple[str, bool], ...]
    counts: bool
    has_limit: bool
    columns: tuple[str, ...] = ()  # empty: all

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that values are needed for."""
        return tuple(dict.fromkeys([*self.equals, *(name for name, _ in self.bounds)]))


@dataclass(frozen=True)
class Proof:
    """What a probe took on a copy of so many rows: its plan and its milliseconds, before and after the index was made."""

    rows: int
    probe: str
    plan_before: tuple[str, ...]
    plan_after: tuple[str, ...]
    ms_before: float
    ms_after: float

    def as_json(self) -> dict[str, Any]:
        """Return it as plain types."""
        return {
            "rows": self.rows,
            "probe": self.probe,
            "before": {"ms": self.ms_before, "plan": list(self.plan_before)},
            "after": {"ms": self.ms_after, "plan": list(self.plan_after)},
        }


def probe_of(statement: Statement, table: str, keys: Sequence[str]) -> Probe | None:
    """Return the part of a statement that an index on ``keys`` of a table is for; None if it does not read the table."""
    names = {key.lstrip("-") for key in keys}
    best: tuple[int, Probe] | None = None
    for number, use in enumerate(statement.uses):
        if use.table != table:
            continue
        block = statement.blocks[use.block]
        joined = [
            seen[0] for join in statement.joins if (seen := join.seen_from(number)) and seen[0] in names
        ]
        equals = tuple(dict.fromkeys([*use.equals, *use.among, *joined]))
        bounds = tuple((name, operator) for name, tests in use.ranges.items() for operator, _ in tests)
        own = all(owner == number for owner, _, _ in block.order) and not block.is_ordered_otherwise
        order = tuple((name, down) for _, name, down in block.order) if own else ()
        if block.extreme is not None and block.extreme[0] == number:
            order = ((block.extreme[1], True),)
        counts = block.is_grouped and not order and not block.group
        columns = tuple(sorted(use.columns)) if use.columns else ()
        has_limit = block.has_limit or block.extreme is not None
        score = len(names & {*equals, *(name for name, _ in bounds), *(name for name, _ in order)})
        made = Probe(table, equals, bounds, order, counts, has_limit, columns)
        if best is None or score > best[0]:
            best = score, made
    return best[1] if best else None


def values_for(probe: Probe, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a value for each column that is compared, by ``column`` and ``column operator``, from rows of the copy."""
    found: dict[str, Any] = {}
    whole = [row for row in rows if all(row.get(name) is not None for name in probe.equals)] or list(rows)
    middle = whole[len(whole) // 2] if whole else {}
    for name in probe.equals:
        found[name] = middle.get(name)
    two_sided = {
        name for name, _ in probe.bounds if len({op[0] for of, op in probe.bounds if of == name}) > 1
    }
    for name, operator in probe.bounds:
        ordered = sorted((row[name] for row in rows if row.get(name) is not None), key=_key)
        if not ordered:
            found[f"{name} {operator}"] = None
        elif name in two_sided:
            found[f"{name} {operator}"] = ordered[int(len(ordered) * (0.48 if operator[0] == ">" else 0.52))]
        else:
            found[f"{name} {operator}"] = ordered[
                int((len(ordered) - 1) * (0.9 if operator[0] == ">" else 0.1))
            ]
    return found


def _key(value: Any) -> Any:
    return value if not isinstance(value, (dict, list)) else str(value)
