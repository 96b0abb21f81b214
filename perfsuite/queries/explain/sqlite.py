"""Makes a plan of what SQLite answers to EXPLAIN QUERY PLAN. Pure.

SQLite tells neither cost nor rows; a table that is read whole weighs what it has in rows, more where that happens for each row of
another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from perfsuite.queries.explain.conditions import Filters, filters_of, order_of, tables_of
from perfsuite.queries.explain.plans import SORT, Fact, Node, Plan, Tables, marked, scan
from perfsuite.queries.explain.sql_text import Token

# "TABLE", and "AS" with the alias, are those of SQLite before 3.36.
_READS = re.compile(r"(?P<how>SCAN|SEARCH)(?: TABLE)? (?P<table>\S+)(?: AS (?P<alias>\S+))?(?P<rest>.*)")
_AUTOMATIC = re.compile(r"USING AUTOMATIC .*?\((?P<columns>.*)\)")
_SORTS = re.compile(r"USE TEMP B-TREE FOR (?P<what>.*)")
_SUBQUERY = re.compile(r"SUBQUERY|MATERIALIZE|CO-ROUTINE")
_COLUMN = re.compile(r"(\w+)[=<>]")
# What a table weighs whose rows are not known, and a sort.
UNKNOWN_ROWS = 1_000.0
SORT_WEIGHT = 1.0
EACH_ROW = 1_000.0


@dataclass
class _Step:
    detail: str
    below: list[_Step] = field(default_factory=list)


@dataclass
class _Reader:
    """What parsing collects while it walks the steps."""

    aliases: dict[str, str]
    filters: dict[str, Filters]
    order: list[tuple[str, str]]
    tables: Tables
    facts: list[Fact] = field(default_factory=list)
    weights: dict[int, float] = field(default_factory=dict)


def plan_of(rows: Iterable[tuple[int, int, int, str]], statement: list[Token], tables: Tables) -> Plan:
    """Return the plan in the rows ``(id, parent, unused, detail)`` of EXPLAIN QUERY PLAN."""
    root = _Step("QUERY PLAN")
    by_id = {0: root}
    for number, parent, _, detail in rows:
        step = by_id[number] = _Step(str(detail))
        by_id.get(parent, root).below.append(step)
    reader = _Reader(tables_of(statement), filters_of(statement), order_of(statement), tables)
    children = tuple(_nodes(root, reader, is_repeated=False))
    top = children[0] if len(children) == 1 else Node(root.detail, children=children)
    return Plan("sqlite", marked(top, reader.weights), tuple(dict.fromkeys(reader.facts)))


def _nodes(step: _Step, reader: _Reader, is_repeated: bool) -> Iterator[Node]:
    """Yield the nodes below a step; the second table that is read is read for each row of the first."""
    is_inner = is_repeated
    for below in step.below:
        is_read = _READS.match(below.detail) is not None
        # A subquery that does not depend on the row outside is run once.
        repeated = "CORRELATED" in below.detail or (is_inner and not _SUBQUERY.search(below.detail))
        children = tuple(_nodes(below, reader, repeated))
        node = Node(below.detail, children=children)
        _note(node, reader, repeated)
        is_inner = is_inner or is_read or below.detail.startswith("MULTI-INDEX")
        yield node


def _note(node: Node, reader: _Reader, is_repeated: bool) -> None:
    """Collect what a step shows."""
    if sorts := _SORTS.match(node.text):
        keys = reader.order if sorts.group("what").endswith("ORDER BY") else []
        of_tables = {reader.aliases.get(alias.lower(), "") for alias, _ in keys}
        table = of_tables.pop() if len(of_tables) == 1 else ""
        reader.facts.append(Fact(SORT, table, tuple(column for _, column in keys)))
        reader.weights[id(node)] = SORT_WEIGHT
        return
    reads = _READS.match(node.text)
    if reads is None:
        return
    alias = reads.group("alias") or reads.group("table")
    table = reads.group("table") if reads.group("alias") else reader.aliases.get(alias.lower(), alias)
    of = reader.tables(table)
    automatic = _AUTOMATIC.search(reads.group("rest"))
    if of is None or (reads.group("how") == "SEARCH" and automatic is None):
        return
    columns, patterns = _filtered(alias, reader, is_repeated)
    if automatic is not None:
        columns, patterns = _COLUMN.findall(automatic.group("columns")), []
    reader.facts.append(scan(table, of, columns, patterns))
    rows = UNKNOWN_ROWS if of.rows is None else float(of.rows)
    # With an index made for this statement alone, the table is read once.
    reader.weights[id(node)] = rows * (EACH_ROW if is_repeated and automatic is None else 1)


def _filtered(alias: str, reader: _Reader, is_repeated: bool) -> tuple[list[str], list[str]]:
    """Return the columns that the rows of a table are filtered by, and those of them that are compared by patterns."""
    found = [reader.filters[alias.lower()]] if alias.lower() in reader.filters else []
    if len(reader.aliases) == 1 and "" in reader.filters:
        found.append(reader.filters[""])
    patterns = [name for each in found for name in each.patterns]
    values = [name for each in found for name in [*each.values, *(each.joins if is_repeated else ())]]
    return list(dict.fromkeys([*values, *patterns])), [
        name for name in dict.fromkeys(patterns) if name not in values
    ]
