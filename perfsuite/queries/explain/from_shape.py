"""Makes a command again of a MongoDB command's shape, such as ``shop.orders.find{placed_at.$gte, status}``. Pure.

A shape has no values, and of a pipeline the conditions of ``$match`` and the keys of ``$sort`` only. So what is made is the
filter with a placeholder for each value: it tells whether an index serves the filter, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from perfsuite.queries.explain.errors import refused

BLANK = "?"
_SHAPE = re.compile(
    r"(?P<database>[^.\s]+)\.(?P<collection>.+)\.(?P<name>\w+)(?P<rest>[{\[].*)?\Z", re.DOTALL
)
_FIRST_MATCH = re.compile(r"\[\$match\{(?P<paths>[^}]*)\}")
_FILTER_THEN_SORT = re.compile(r"\{(?P<paths>[^}]*)\}(?: sort\{(?P<keys>[^}]*)\})?")
_MATCH_THEN_SORT = re.compile(r"\[(?:\$match\{[^}]*\}, )*\$sort\{(?P<keys>[^}]*)\}")
_LISTS = frozenset(["$and", "$or", "$nor"])
_COMPARES = frozenset(["$eq", "$gt", "$gte", "$lt", "$lte"])
_MORE = "…"
_FILTERS = {"find": "filter", "count": "query", "distinct": "query"}


def is_shape(text: str) -> bool:
    """Tell whether a text is a shape and not a command as JSON."""
    return not text.lstrip().startswith("{") and _SHAPE.match(text) is not None


def command_of(shape: str) -> dict[str, Any]:
    """Return a command with the filter of a shape; raise ``NotExplainable`` where it cannot be told from it."""
    read = _SHAPE.match(shape)
    if read is None:
        raise refused("no command of it is remembered")
    collection, name, rest = read.group("collection"), read.group("name"), read.group("rest") or ""
    if _MORE in rest:
        raise refused("its filter is so large that only its beginning was kept")
    if name == "aggregate":
        first = _FIRST_MATCH.match(rest)
        condition = _filter(first.group("paths")) if first else {}
        return {"aggregate": collection, "pipeline": [{"$match": condition}] if condition else []}
    read = _FILTER_THEN_SORT.match(rest)
    condition = _filter(read.group("paths") if read else "")
    # The key of a distinct is not in its shape; its filter decides which index serves.
    return {name: collection, **({_FILTERS[name]: condition} if name in _FILTERS else {}), **_more(name)}


def order_of(shape: str) -> list[str]:
    """Return the keys of a shape's sort, those that descend with a minus.

    Of a pipeline only where the documents go into it unchanged.
    """
    read = _SHAPE.match(shape)
    rest = (read.group("rest") or "") if read else ""
    sort = _MATCH_THEN_SORT.match(rest) or _FILTER_THEN_SORT.match(rest)
    keys = sort.group("keys") if sort else None
    return [key for key in keys.split(", ") if key] if keys else []


def _more(name: str) -> dict[str, Any]:
    return {"key": "_id"} if name == "distinct" else {}


def _filter(paths: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for path in filter(None, paths.split(", ")):
        _put(made, list(_steps(path.split("."))))
    return made


def _steps(parts: Iterable[str]) -> Iterable[str]:
    """Yield operators and whole names of fields: ``a.b.$gt`` is the field ``a.b`` and its operator."""
    name: list[str] = []
    for part in parts:
        if not part.startswith("$"):
            name.append("0" if part == BLANK else part)  # a position in a list
            continue
        if name:
            yield ".".join(name)
            name = []
        yield part
    if name:
        yield ".".join(name)


def _put(made: dict[str, Any], steps: list[str]) -> None:
    first, rest = steps[0], steps[1:]
    if first == "$expr":
        _put_expression(made, rest)
    elif first in _LISTS and rest:
        one: dict[str, Any] = {}
        _put(one, rest)
        made.setdefault(first, []).append(one)
    elif not rest:
        made.setdefault(first, BLANK)
    else:
        below = made.get(first)
        if not isinstance(below, dict):
            below = made[first] = {}
        _put(below, rest)


def _put_expression(made: dict[str, Any], steps: list[str]) -> None:
    """Write an expression as the comparison of its field with a value. No index serves one that compares none: it is left out."""
    for at, step in enumerate(steps[:-1]):
        if step in _COMPARES and steps[at + 1].startswith("$"):
            made.setdefault("$and", []).append({"$expr": {step: [".".join(steps[at + 1 :]), BLANK]}})
            return
