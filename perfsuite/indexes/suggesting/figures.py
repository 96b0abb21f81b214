"""What is known of tables and columns, and how many rows a condition leaves. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from perfsuite.indexes.suggesting.needs import UNKNOWN, Use

# What is taken for a column of which nothing is known, and for conditions whose values are not known.
UNKNOWN_DISTINCT = 200.0
ONE_BOUND = 1 / 3
TWO_BOUNDS = 0.05
PATTERN = 0.1
AMONG = 5


@dataclass(frozen=True)
class Column:
    """A column's values: how many different ones, the part that is NULL, and how far they follow the rows' order (-1 to 1).

    ``bounds`` are sorted values that cut the rows into parts of one size, ``common`` the part of the rows that a value has.
    """

    distinct: float = UNKNOWN_DISTINCT
    nulls: float = 0.0
    correlation: float = 0.0
    width: float = 8.0
    bounds: tuple[float, ...] | tuple[str, ...] = ()
    common: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Key:
    """A column of an index."""

    column: str
    descends: bool = False

    def __str__(self) -> str:
        return f"-{self.column}" if self.descends else self.column


Keys = tuple[Key, ...]


@dataclass(frozen=True)
class Figures:
    """A table: its rows, its pages, its columns, and the keys of its indexes, declared ones that are not there yet among them."""

    rows: float
    pages: float = 1.0
    columns: Mapping[str, Column] = field(default_factory=dict)
    indexes: tuple[Keys, ...] = ()
    tenant: str = ""  # the column that says whose a row is

    def column(self, name: str) -> Column:
        """Return what is known of a column."""
        return self.columns.get(name) or Column(min(UNKNOWN_DISTINCT, max(1.0, self.rows)))


def label(value: Any) -> str:
    """Return a value as a text that is the same whether a driver gave it, a statistic or a statement."""
    if isinstance(value, bool):
        return "1.0" if value else "0.0"
    text = {"t": "1", "f": "0"}.get(str(value), str(value))
    number = _number(text)
    return text.replace("T", " ", 1) if number is None else repr(number)


def in_order(values: Iterable[Any]) -> tuple[float, ...] | tuple[str, ...]:
    """Return values from the least to the largest, as numbers if all of them are some, else as texts."""
    texts = [label(value) for value in values]
    numbers = [_number(text) for text in texts]
    known = [each for each in numbers if each is not None]
    return tuple(sorted(known)) if len(known) == len(texts) else tuple(sorted(texts))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


class Selectivity:
    """The part of a table's rows that each of a use's conditions leaves."""

    def __init__(self, use: Use, table: Figures) -> None:
        self.use, self.table = use, table

    def of(self, column: str) -> float:
        """Return the part that the conditions on a column leave; 1.0 where there are none."""
        part = 1.0
        if column in self.use.equals:
            part *= self.equal(column, self.use.equals[column])
        if column in self.use.among:
            part *= min(0.5, self.equal(column, UNKNOWN) * (self.use.among[column] or AMONG))
        if column in self.use.ranges:
            part *= self.between(column)
        return max(part, 1 / max(1.0, self.table.rows))

    def of_all(self) -> float:
        """Return the part that all conditions leave, those that no index serves among them."""
        part = 1.0
        for column in {*self.use.equals, *self.use.among, *self.use.ranges}:
            part *= self.of(column)
        return max(part * PATTERN ** min(1, len(self.use.patterns)), 1 / max(1.0, self.table.rows))

    def equal(self, column: str, value: Any) -> float:
        """Return the part of the rows that have a value."""
        known = self.table.column(column)
        if value is None:
            return known.nulls
        if value is not UNKNOWN and known.common:
            found = known.common.get(label(value))
            if found is not None:
                return found
            rest = max(0.0, 1.0 - known.nulls - sum(known.common.values()))
            return rest / max(1.0, known.distinct - len(known.common))
        return (1.0 - known.nulls) / max(1.0, known.distinct)

    def between(self, column: str) -> float:
        """Return the part of the rows between the bounds."""
        known, low, high, guessed = self.table.column(column), 0.0, 1.0, 0
        tests = self.use.ranges[column]
        for operator, value in tests:
            at = None if value is UNKNOWN else _place(known.bounds, value)
            if at is None:
                guessed += 1
            elif operator in ("<", "<="):
                high = min(high, at)
            else:
                low = max(low, at)
        part = max(0.0, high - low)
        both = {operator[0] for operator, _ in tests}
        if guessed == len(tests):
            return TWO_BOUNDS if len(both) > 1 else ONE_BOUND
        return part * ONE_BOUND if guessed else part * (1.0 - known.nulls)


def _place(bounds: tuple[float, ...] | tuple[str, ...], value: Any) -> float | None:
    """Return the part of the rows below a value, or None where it does not compare. ``bounds`` are in order."""
    if len(bounds) < 2:
        return None
    if isinstance(bounds[0], str):
        at, within = bisect.bisect_left(bounds, label(value)), 0.5
    else:
        number = _number(label(value))
        if number is None:
            return None
        at, within = bisect.bisect_left(bounds, number), 0.5
        if 0 < at < len(bounds):
            low, high = float(bounds[at - 1]), float(bounds[at])
            within = (number - low) / (high - low) if high > low else 0.5
    if at == 0 or at == len(bounds):
        return 0.0 if at == 0 else 1.0
    return (at - 1 + within) / (len(bounds) - 1)
