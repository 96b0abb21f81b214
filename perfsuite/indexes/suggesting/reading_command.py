"""Reads the shape of a MongoDB command as what it asks of its collection. Pure.

A shape has the filter without its values and the keys of the sort; of a pipeline the first ``$match``. A ``find`` that is
sorted is taken for one with a limit, which is not in its shape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from perfsuite.indexes.suggesting.needs import UNKNOWN, Block, Statement, Use
from perfsuite.queries.explain.errors import NotExplainable
from perfsuite.queries.explain.from_shape import command_of, order_of

_BOUNDS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_NAMES = re.compile(r"[^.\s]+\.(?P<collection>.+)\.(?P<name>\w+)(?:[{\[].*)?\Z", re.DOTALL)
# What writes has a filter too, which is read as that of a find.
_WRITES = frozenset(["update", "delete", "findAndModify"])


def read_command(shape: str) -> Statement:
    """Return what a command asks of its collection; raise ``NotExplainable`` for one that has no filter."""
    named = _NAMES.match(shape)
    name = named["name"] if named else ""
    if name in _WRITES:
        start = shape.index(f".{name}", shape.rindex(named["collection"]) if named else 0)
        shape = shape[:start] + ".find" + shape[start + 1 + len(name) :]
    command = command_of(shape)
    verb = next(iter(command))
    condition: Mapping[str, Any]
    if verb == "aggregate":
        condition = next((stage["$match"] for stage in command["pipeline"] if "$match" in stage), {})
    elif verb in ("find", "count", "distinct"):
        condition = command.get("filter", command.get("query", {}))
    else:
        raise NotExplainable(f"A command {verb!r} has no filter.")
    use = Use(str(command[verb]), str(command[verb]), 0, columns=None)
    _read(condition, use)
    order = [(0, key.lstrip("-"), key.startswith("-")) for key in order_of(shape)]
    block = Block(width=8, order=order, has_limit="$limit" in shape or bool(order and verb == "find"))
    return Statement([use], [block], writes=name in _WRITES)


def _read(condition: Mapping[str, Any], use: Use) -> None:
    for key, value in condition.items():
        if key == "$and":
            for each in value:
                _read(each, use)
        elif key == "$expr" and isinstance(value, Mapping):
            _read_expression(value, use)
        elif key.startswith("$"):
            use.filters += 1
        else:
            _compare(key, value, use)


def _read_expression(value: Mapping[str, Any], use: Use) -> None:
    for operator, operands in value.items():
        if operator in ("$eq", *_BOUNDS) and isinstance(operands, list) and str(operands[0]).startswith("$"):
            _compare(str(operands[0]).lstrip("$"), {operator: operands[1]}, use)
        else:
            use.filters += 1


def _compare(key: str, value: Any, use: Use) -> None:
    operators = list(value) if isinstance(value, Mapping) else []
    use.filters += 1
    if not operators or operators == ["$eq"]:
        use.equals[key] = UNKNOWN
    elif "$in" in operators:
        use.among[key] = None
    elif set(operators) <= set(_BOUNDS):
        use.ranges[key] = [(_BOUNDS[each], UNKNOWN) for each in operators]
    elif "$elemMatch" not in operators:
        use.patterns.append(key)
