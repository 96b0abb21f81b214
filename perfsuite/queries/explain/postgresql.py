"""Makes a plan of what PostgreSQL answers to EXPLAIN (FORMAT JSON). Pure.

A node's cost holds that of all below it, and the inner side of a nested loop is told for one round; the costly node is the one
that adds most of its own, over all rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perfsuite.queries.explain.conditions import Filters, filters_of, tables_of
from perfsuite.queries.explain.plans import MAX_DEPTH, SORT, Fact, Node, Plan, Tables, marked, scan
from perfsuite.queries.explain.sql_text import Token

_DETAILS = (
    "Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter", "Sort Key", "Presorted Key", "Group Key",
)  # fmt: skip
_SCANS = frozenset(["Seq Scan", "Parallel Seq Scan"])
_SORTS = frozenset(["Sort", "Incremental Sort"])


@dataclass
class _Reader:
    aliases: dict[str, str]
    filters: dict[str, Filters]
    tables: Tables
    facts: list[Fact] = field(default_factory=list)
    weights: dict[int, float] = field(default_factory=dict)
    examined: int = 0


def plan_of(answer: Any, statement: list[Token], tables: Tables) -> Plan:
    """Return the plan in the JSON of EXPLAIN; with ANALYZE, in the time that each step took."""
    whole: Mapping[str, Any] = answer[0]["Plan"]
    reader = _Reader(tables_of(statement), filters_of(statement), tables)
    root = marked(_node(whole, "", reader, 1.0, 0), reader.weights)
    facts = tuple(dict.fromkeys(reader.facts))
    if "Actual Rows" not in whole:
        return Plan("postgresql", root, facts)
    return Plan("postgresql", root, facts, (), reader.examined, round(_rows(whole)))


def _node(step: Mapping[str, Any], parent: str, reader: _Reader, rounds: float, depth: int) -> Node:
    """Return the node of a step that runs so many times, and collect what it and those below it show."""
    below = step.get("Plans", ()) if depth < MAX_DEPTH else ()
    own = _total(step)
    children = []
    for at, child in enumerate(below):
        times = _rounds(step, below, at)
        children.append(_node(child, step["Node Type"], reader, rounds * times, depth + 1))
        own -= _total(child) * times
    node = Node(_text(step), _detail(step), step.get("Total Cost"), _rows(step), tuple(children))
    reader.weights[id(node)] = own * rounds
    _note(step, parent, reader)
    return node


def _total(step: Mapping[str, Any]) -> float:
    """Return what a step costs with all below it: the milliseconds that it took, else the planner's cost."""
    if "Actual Total Time" in step:
        return float(step["Actual Total Time"]) * float(step["Actual Loops"])
    return float(step.get("Total Cost", 0.0))


def _rows(step: Mapping[str, Any]) -> float:
    if "Actual Rows" in step:
        return float(step["Actual Rows"]) * float(step["Actual Loops"])
    return float(step.get("Plan Rows", 0))


def _rounds(step: Mapping[str, Any], below: Any, at: int) -> float:
    """Return how many times a step's child runs in one run of the step, as far as the step's cost shows it."""
    child = _total(below[at])
    if child <= 0:
        return 1.0
    if "Actual Total Time" in step:  # what the children took is told for all rounds
        return 1.0
    total = _total(step)
    is_inner = step["Node Type"] == "Nested Loop" and below[at].get("Parent Relationship") == "Inner"
    if is_inner or below[at].get("Parent Relationship") == "SubPlan":
        others = sum(_total(each) for each in below if each.get("Parent Relationship") == "Outer")
        wanted = max(1.0, _rows(below[0]) if is_inner else _rows(step))
        return min(wanted, max(0.0, total - others) / child)
    return min(1.0, total / child)  # a LIMIT stops what is below it


def _text(step: Mapping[str, Any]) -> str:
    text = str(step["Node Type"])
    if step.get("Parallel Aware"):
        text = f"Parallel {text}"
    if join := step.get("Join Type"):
        text += "" if join == "Inner" else f" ({join})"
    if index := step.get("Index Name"):
        text += f" using {index}"
    if relation := step.get("Relation Name"):
        text += f" on {relation}"
        text += f" {step['Alias']}" if step.get("Alias", relation) != relation else ""
    elif name := step.get("CTE Name") or step.get("Function Name"):
        text += f" on {name}"
    if name := step.get("Subplan Name"):
        text = f"{name}: {text}"
    return text


def _detail(step: Mapping[str, Any]) -> str:
    parts = []
    for name in _DETAILS:
        if name in step:
            value = step[name]
            parts.append(f"{name}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return "; ".join(parts)


def _note(step: Mapping[str, Any], parent: str, reader: _Reader) -> None:
    relation, kind = step.get("Relation Name"), step["Node Type"]
    if relation:
        loops = float(step.get("Actual Loops", 0))
        reader.examined += round(loops * (step.get("Actual Rows", 0) + step.get("Rows Removed by Filter", 0)))
    if kind in _SCANS and relation:
        alias = step.get("Alias", relation)
        columns, patterns = _filtered(alias, str(step.get("Filter", "")), reader)
        reader.facts.append(scan(relation, reader.tables(relation), columns, patterns))
    elif kind in _SORTS and "Merge" not in parent:
        keys = tuple(_column(str(key)) for key in step.get("Sort Key", ()) if "(" not in str(key))
        of_tables = set(reader.aliases.values())
        reader.facts.append(Fact(SORT, of_tables.pop() if len(of_tables) == 1 else "", keys))


def _column(key: str) -> str:
    """Return the column of a sort key: ``book.pages DESC`` is ``pages``."""
    return key.partition(" ")[0].rpartition(".")[2].strip('"')


def _filtered(alias: str, filter_text: str, reader: _Reader) -> tuple[list[str], list[str]]:
    """Return the columns of the statement's conditions that the filter holds; those that an index served are not in it."""
    found = [each for name, each in reader.filters.items() if name in (alias.lower(), "")]
    values = [name for each in found for name in [*each.values, *each.joins] if name in filter_text]
    patterns = [name for each in found for name in each.patterns if name in filter_text]
    return list(dict.fromkeys([*values, *patterns])), [
        name for name in dict.fromkeys(patterns) if name not in values
    ]
