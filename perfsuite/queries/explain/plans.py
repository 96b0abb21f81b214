"""What a database's plan comes to, whichever database said it: a tree with its costly node marked, and what stands out in it.

Pure: imports no Django and asks nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

SCAN = "scan"
SORT = "sort"
SEARCH = "search"
# A plan nested deeper than this is cut: none that a person reads is.
MAX_DEPTH = 60


@dataclass(frozen=True)
class Node:
    """One step of a plan. ``cost`` is the database's own unit, with all below it; ``rows`` what the step gives on."""

    text: str
    detail: str = ""
    cost: float | None = None
    rows: float | None = None
    children: tuple[Node, ...] = ()
    is_costly: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the node and all below it as plain types."""
        return {
            "text": self.text,
            "detail": self.detail,
            "cost": self.cost,
            "rows": self.rows,
            "is_costly": self.is_costly,
            "children": [child.as_json() for child in self.children],
        }

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Node]]:
        """Yield the node and all below it, each with its depth."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)


@dataclass(frozen=True)
class Fact:
    """Something that a plan shows.

    ``kind`` is ``scan`` (a table or collection is read whole; ``columns`` are those that it is then filtered by) or ``sort``
    (``columns`` are sorted although no index gives their order), or ``search`` (the index that is used leaves many rows that one
    on ``columns`` would leave out; no database says so itself). ``rows`` is how many the table has, as far as known.
    ``is_served``: an index begins with one of the columns, and was not chosen. ``patterns`` are those of the columns that are
    compared by LIKE, by a regular expression or inside a function: an index on the plain column does not serve them.
    """

    kind: str
    table: str
    columns: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    rows: int | None = None
    is_served: bool = False

    @property
    def text(self) -> str:
        """The fact as a sentence."""
        named = ", ".join(self.columns)
        if self.kind == SORT:
            of = f" of {self.table}" if self.table else ""
            return f"Rows{of} are sorted{f' by {named}' if named else ''}; no index gives that order."
        if self.kind == SEARCH:
            return f"{self.table} has no index on {named} together."
        size = f" (rows: {_count(self.rows)})" if self.rows is not None else ""
        text = f"All of {self.table}{size} is read"
        if not self.columns:
            return f"{text}."
        text += f" and filtered by {named}"
        if self.is_served:
            return f"{text}; there is an index on it, which was not chosen."
        if set(self.columns) == set(self.patterns):
            return f"{text}; a plain index does not serve a search inside a text, a trigram or full-text index does."
        return f"{text}; no index serves that."

    def as_json(self) -> dict[str, Any]:
        """Return the fact as plain types."""
        return {
            "kind": self.kind,
            "table": self.table,
            "columns": list(self.columns),
            "patterns": list(self.patterns),
            "rows": self.rows,
            "is_served": self.is_served,
            "text": self.text,
        }


@dataclass(frozen=True)
class Plan:
    """A plan: the tree, what stands out in it, and in ``notes`` what its figures do not tell.

    ``examined`` and ``returned`` are rows or documents, None where the statement was not run.
    """

    engine: str
    root: Node
    findings: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()
    examined: int | None = None
    returned: int | None = None

    def missing_indexes(self, from_rows: int) -> list[Fact]:
        """Return the scans of tables of at least ``from_rows`` rows by a filter that no index serves."""
        return [
            fact
            for fact in self.findings
            if fact.kind == SCAN
            and fact.columns
            and not fact.is_served
            and fact.rows is not None
            and fact.rows >= from_rows
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain types, for the panel and ``--format json``."""
        return {
            "engine": self.engine,
            "examined": self.examined,
            "returned": self.returned,
            "findings": [fact.as_json() for fact in self.findings],
            "notes": list(self.notes),
            "root": self.root.as_json(),
        }

    def as_text(self) -> str:
        """Return the plan for a terminal: one line a node, the costly one behind an arrow, then what stands out."""
        lines = [_line(depth, node) for depth, node in self.root.walk()]
        if self.examined is not None:
            lines += ["", f"{_count(self.examined)} examined, {_count(self.returned)} returned."]
        said = [*(fact.text for fact in self.findings), *self.notes]
        return "\n".join([*lines, *([""] if said and self.examined is None else []), *said])


@dataclass(frozen=True)
class Table:
    """What the database says of a table: about how many rows it has, and the columns that an index of it begins with."""

    rows: int | None = None
    leading: frozenset[str] = frozenset()


# Returns None for what is no table: a view, a common table expression.
Tables = Callable[[str], "Table | None"]


def marked(root: Node, weights: dict[int, float]) -> Node:
    """Return the tree with the heaviest of its nodes marked; ``weights`` are by the ``id`` of a node, and none of 0 is marked."""
    heaviest = max(weights, key=lambda key: weights[key], default=None)
    if heaviest is None or weights[heaviest] <= 0:
        return root
    return _marked(root, heaviest)


def _marked(node: Node, heaviest: int) -> Node:
    children = tuple(_marked(child, heaviest) for child in node.children)
    return replace(node, children=children, is_costly=id(node) == heaviest)


def scan(table: str, of: Table | None, columns: list[str], patterns: list[str]) -> Fact:
    """Return the fact that a table is read whole and filtered by columns."""
    leading = of.leading if of else frozenset()
    plain = [column for column in columns if column not in patterns]
    return Fact(
        SCAN,
        table,
        tuple(columns),
        tuple(patterns),
        of.rows if of else None,
        bool(leading.intersection(plain or columns)),
    )


def _line(depth: int, node: Node) -> str:
    figures = [
        f"{name} {_count(value)}"
        for name, value in (("cost", node.cost), ("rows", node.rows))
        if value is not None
    ]
    parts = [node.text, f"({', '.join(figures)})" if figures else "", node.detail]
    return f"{'=> ' if node.is_costly else '   '}{'  ' * depth}" + "  ".join(part for part in parts if part)


def _count(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
