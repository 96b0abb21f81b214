"""Shapes of MongoDB commands: commands that differ only in their values get the same text, and no value is left in it.

``shop.orders.find{placed_at.$gte, status}`` is the database, the collection, the command, and the sorted key paths of the filter
with their operators; ``sort{-placed_at}`` follows where there is a sort. Only keys are read, and of a filter's keys only so many,
so that a filter of ten thousand keys costs as much as one of a hundred. Imports neither Django nor pymongo.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any

from perfsuite.queries.fingerprint import MAX_FINGERPRINT_CHARS, Shape

# Of a filter, so many keys are looked at, down to so many levels; what lies beyond is one "…".
MAX_KEYS = 100
MAX_DEPTH = 8
MAX_KEY_CHARS = 100
MAX_SORT_KEYS = 10
_UP_TO = slice(MAX_KEY_CHARS)
# Commands with an outline of up to so many keys are remembered, at most this many.
MAX_CACHED_KEYS = 20
MAX_CACHED = 1_000

OPERATIONS = frozenset([
    "find", "insert", "update", "delete", "aggregate", "count", "distinct", "findAndModify", "getMore", "killCursors",
    "bulkWrite", "create", "drop", "createIndexes", "dropIndexes", "listIndexes", "listCollections", "explain", "ping",
    "commitTransaction", "abortTransaction",
])  # fmt: skip

_FILTERS = {"find": "filter", "count": "query", "distinct": "query", "findAndModify": "query"}
_BATCHES = {"update": "updates", "delete": "deletes"}
# What stands below these is the host's data, never a condition with keys of its own.
_OPAQUE = frozenset([
    "$literal", "$geometry", "$in", "$nin", "$all", "$mod", "$comment", "$text", "$near", "$nearSphere", "$jsonSchema",
])  # fmt: skip
# Outside an expression, only their lists hold conditions.
_OF_CONDITIONS = frozenset(["$and", "$or", "$nor"])
_CONTAINERS = (dict, list, tuple)
_FIELD_PATH = re.compile(r"\$\$?[A-Za-z_][\w.]*\Z")
_POSITION = re.compile(r"(?<![^.])\d+(?![^.])")
_MORE = "…"

# Shapes of what only asks for fields by their values: by the database, the collection and the fields.
_plain: dict[tuple[str, ...], Shape] = {}
MAX_PLAIN_KEYS = 4

# The keys of a condition in their order: a key, or a key and the outline of what stands below it.
Outline = tuple["str | tuple[str, Outline]", ...]


# Hot path: benchmarks/mongodb.py
def shape(database: str, name: str, command: Mapping[str, Any]) -> Shape:
    """Return the shape of a command that pymongo is about to send. Cheap when one like it came before."""
    collection = command.get(name)
    if type(collection) is not str:
        collection = ""
    condition = command.get("filter") if name == "find" and "sort" not in command else None
    if condition.__class__ is dict and len(condition) <= MAX_PLAIN_KEYS:
        for value in condition.values():
            if isinstance(value, _CONTAINERS):
                break
        else:
            return _plain.get((database, collection, *condition)) or _plainly(database, collection, condition)
    return _shape(database, collection, name, command)


def _plainly(database: str, collection: str, condition: dict[Any, Any]) -> Shape:
    """Return the shape of a find that only asks for fields by their values, and remember it unless its fields are odd."""
    made = _shape(database, collection, "find", {"filter": condition})
    if all(type(key) is str and len(key) <= MAX_KEY_CHARS and key != "$expr" for key in condition):
        if len(_plain) >= MAX_CACHED:
            _plain.clear()
        _plain[database, collection, *condition] = made
    return made


def _shape(database: str, collection: str, name: str, command: Mapping[str, Any]) -> Shape:
    outline: Outline | None = None
    order: tuple[str, ...] = ()
    size = [0]
    if name in _FILTERS:
        outline = _outline_of(command.get(_FILTERS[name]), size)
        if "sort" in command:
            order = _order(command["sort"])
    elif name == "aggregate":
        outline = _stages(command.get("pipeline"), size)
    elif name in _BATCHES:
        # Of a batch, the first stands for all: they are sent together because they are alike.
        first = next(iter(command.get(_BATCHES[name]) or ()), None)
        outline = _outline_of(first.get("q") if isinstance(first, dict) else None, size)
    if size[0] <= MAX_CACHED_KEYS:
        return _remembered(database, collection, name, outline, order)
    return _written(database, collection, name, outline, order)


def _order(sort: Any) -> tuple[str, ...]:
    """Return the keys of a sort in their order, those that descend with a minus."""
    if not isinstance(sort, dict):
        return ()
    return tuple(
        f"{'-' if value == -1 else ''}{key[:MAX_KEY_CHARS]}"
        for key, value in islice(sort.items(), MAX_SORT_KEYS)
        if type(key) is str
    )


def _outline_of(condition: Any, size: list[int]) -> Outline:
    """Return the outline of a filter; ``size`` counts the keys that were looked at."""
    if isinstance(condition, dict):
        return _outline(condition.items(), size, 0)
    return (_MORE,) if condition else ()


def _outline(items: Iterable[tuple[Any, Any]], size: list[int], depth: int, in_expr: bool = False) -> Outline:
    parts: list[str | tuple[str, Outline]] = []
    for named, value in items:
        if size[0] >= MAX_KEYS or depth >= MAX_DEPTH:
            parts.append(_MORE)
            break
        size[0] += 1
        key = str.__getitem__(named, _UP_TO) if isinstance(named, str) else _MORE
        below: Outline = ()
        if isinstance(value, _CONTAINERS):
            if value and key not in _OPAQUE:
                below = _below(key, value, size, depth + 1, in_expr or key == "$expr")
        elif in_expr or key == "$expr":
            below = _field(value)
        parts.append((key, below) if below else key)
    return tuple(parts)


def _below(key: str, value: Any, size: list[int], depth: int, in_expr: bool) -> Outline:
    """Return the outline of what an operator applies to, or of the operators of a field. A value to compare with has none."""
    if isinstance(value, dict):
        is_condition = key == "$elemMatch" or _is_operator(next(iter(value)))
        return _outline(value.items(), size, depth, in_expr) if is_condition else ()
    if not in_expr and key not in _OF_CONDITIONS:
        return ()
    parts: Outline = ()
    for each in value:
        if size[0] >= MAX_KEYS:
            return (*parts, _MORE)
        size[0] += 1
        if isinstance(each, dict):
            if not in_expr or _is_operator(next(iter(each), "")):
                parts += _outline(each.items(), size, depth, in_expr)
        elif in_expr:
            parts += _field(each)
    return parts


def _is_operator(key: Any) -> bool:
    return type(key) is str and key[:1] == "$"


def _field(value: Any) -> Outline:
    """Return the field that an expression names; to MongoDB a text is one if it begins with a dollar."""
    return (value[:MAX_KEY_CHARS],) if type(value) is str and _FIELD_PATH.match(value) else ()


def _stages(pipeline: Any, size: list[int]) -> Outline:
    """Return the stages of a pipeline in their order, with the outline of the conditions among them."""
    parts: list[str | tuple[str, Outline]] = []
    for stage in pipeline if isinstance(pipeline, (list, tuple)) else ():
        if size[0] >= MAX_KEYS:
            parts.append(_MORE)
            break
        size[0] += 1
        name = next(iter(stage), _MORE) if isinstance(stage, dict) else _MORE
        name = name[:MAX_KEY_CHARS] if type(name) is str else _MORE
        if name == "$match":
            parts.append((name, _outline_of(stage[name], size)))
        else:
            parts.append((name, _order(stage[name])) if name == "$sort" else name)
    return tuple(parts)


def _written(
    database: str, collection: str, name: str, outline: Outline | None, order: tuple[str, ...] = ()
) -> Shape:
    text = f"{database}.{collection}.{name}" if collection else f"{database}.{name}"
    if name == "aggregate":
        stages = (part if isinstance(part, str) else _stage(*part) for part in outline or ())
        text += f"[{', '.join(stages)}]"
    elif outline is not None:
        text += _braced(outline)
        if order:
            text += f" sort{{{', '.join(order)}}}"
    if len(text) > MAX_FINGERPRINT_CHARS:
        text = text[: MAX_FINGERPRINT_CHARS - 1] + _MORE
    return Shape(text, name if name in OPERATIONS else "OTHER")


def _stage(name: str, outline: Outline) -> str:
    if name == "$sort":
        return f"{name}{{{', '.join(map(str, outline))}}}" if outline else name
    return name + _braced(outline)


_remembered = lru_cache(maxsize=MAX_CACHED)(_written)


def _braced(outline: Outline) -> str:
    paths: set[str] = set()
    _collect(outline, "", paths)
    return "{" + ", ".join(sorted(paths)) + "}"


def _collect(outline: Outline, prefix: str, paths: set[str]) -> None:
    for part in outline:
        key, below = (part, ()) if isinstance(part, str) else part
        path = prefix + _POSITION.sub("?", key)  # a position in an array is a value too
        if below:
            _collect(below, path + ".", paths)
        else:
            paths.add(_MORE if key == _MORE else path)
