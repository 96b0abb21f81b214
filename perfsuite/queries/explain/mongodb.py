"""Makes a plan of what MongoDB answers to ``explain``, and tells which commands may be explained. Pure: imports no pymongo.

Of filters and bounds only the names of fields are shown, never a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from perfsuite.queries.explain.errors import refused
from perfsuite.queries.explain.plans import MAX_DEPTH, SORT, Fact, Node, Plan, Tables, marked, scan

# What of each command is sent again; sessions, comments, cursors and limits of time are left out.
_KEPT = {
    "find": ("filter", "sort", "projection", "skip", "limit", "hint", "collation", "min", "max", "let"),
    "aggregate": ("pipeline", "hint", "collation", "let"),
    "count": ("query", "limit", "skip", "hint", "collation"),
    "distinct": ("key", "query", "collation"),
}
_FORBIDDEN = frozenset(["$out", "$merge", "$where", "$function", "$accumulator"])
# Fields under these are not served by an index, or say nothing of one.
_NOT_SERVED = frozenset(["$ne", "$nin", "$not", "$exists", "$expr", "$where", "$mod", "$size"])
_BELOW = ("inputStage", "outerStage", "innerStage", "thenStage", "elseStage", "queryPlan")
_ALL_BELOW = ("inputStages", "shards")
_SORTS = frozenset(["SORT", "SORT_MERGE"])
# What a stage weighs that was not run: reading a collection whole is what costs.
_UNRUN = {"COLLSCAN": 1_000.0, "SORT": 10.0, "FETCH": 2.0, "IXSCAN": 1.0}
BLANK = "?"


@dataclass
class _Reader:
    collection: str
    tables: Tables
    facts: list[Fact] = field(default_factory=list)
    weights: dict[int, float] = field(default_factory=dict)


def one_read(command: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of a command and what of it is explained; raise ``NotExplainable`` unless it only reads."""
    name = next(iter(command), "")
    if name not in _KEPT:
        raise refused(f"it is {name!r}, and only {', '.join(_KEPT)} are")
    if not isinstance(command[name], str):
        raise refused("it reads no collection")
    kept = {key: command[key] for key in _KEPT[name] if key in command}
    _refuse_what_writes(kept, 0)
    return name, {name: command[name], **kept, **({"cursor": {}} if name == "aggregate" else {})}


def _refuse_what_writes(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise refused("it is nested too deep")
    if isinstance(value, Mapping):
        for key, below in value.items():
            if key in _FORBIDDEN:
                raise refused(f"it has {key} in it, which writes or runs code")
            _refuse_what_writes(below, depth + 1)
    elif isinstance(value, (list, tuple)):
        for below in value:
            _refuse_what_writes(below, depth + 1)


def filled(command: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return a command with something in the place of each blanked value, and whether its values are all known."""
    blanks: list[str] = []
    made = {key: _filled(key, value, blanks) for key, value in command.items()}
    return {key: value for key, value in made.items() if value is not None}, not blanks


def _filled(key: str, value: Any, blanks: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {below: _filled_in(key, below, each, blanks) for below, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_filled(key, each, blanks) for each in value]
    if value != BLANK:
        return value
    blanks.append(key)
    return None  # of a command itself, such as its limit: left out


# What an operator wants where a value is not known, so that the server takes the command.
_DUMMIES: dict[str, Any] = {
    "$regex": "^a", "$options": "", "$in": [None], "$nin": [None], "$all": [None], "$exists": True, "$size": 1, "$type": "string",
    "$mod": [2, 0], "$limit": 1_000, "$skip": 0, "$sum": 1,
}  # fmt: skip
_ORDERS = frozenset(["sort", "$sort", "projection", "$project", "hint"])


def _filled_in(above: str, key: str, value: Any, blanks: list[str]) -> Any:
    if value == BLANK or (key in ("$in", "$nin", "$all", "$mod") and value == [BLANK]):
        blanks.append(key)
        return 1 if above in _ORDERS else _DUMMIES.get(key)
    return _filled(key, value, blanks)


def plan_of(answer: Mapping[str, Any], collection: str, tables: Tables) -> Plan:
    """Return the plan in the answer to ``explain``; ``examined`` and ``returned`` where the command was run."""
    reader = _Reader(collection, tables)
    if stages := answer.get("stages"):
        root, stats = _pipeline(stages, reader), _first_cursor(stages).get("executionStats")
    else:
        root, stats = _of_query(answer, reader, 0), answer.get("executionStats")
    root = marked(root, reader.weights)
    facts = tuple(dict.fromkeys(reader.facts))
    if not stats:
        return Plan("mongodb", root, facts)
    looked_up = sum(int(stage.get("totalDocsExamined", 0)) for stage in answer.get("stages", ()))
    returned = stats.get("executionStages", {}).get("nCounted", stats.get("nReturned", 0))
    if stages:
        returned = stages[-1].get("nReturned", returned)
    return Plan("mongodb", root, facts, (), int(stats.get("totalDocsExamined", 0)) + looked_up, int(returned))


def _first_cursor(stages: Any) -> Mapping[str, Any]:
    return stages[0].get("$cursor", {})  # type: ignore[no-any-return] # the server's


def _of_query(answer: Mapping[str, Any], reader: _Reader, depth: int) -> Node:
    """Return the tree of a find, or of the part of a pipeline that is done like one."""
    if shards := answer.get("shards"):
        children = tuple(_of_query(each, reader, depth + 1) for each in shards.values())
        return Node("SHARDS", children=children)
    planned = answer.get("queryPlanner", {}).get("winningPlan", {})
    planned = planned.get("queryPlan", planned)
    run = answer.get("executionStats", {}).get("executionStages", {})
    # The slot-based engine tells its own stages, in small letters, which say little to a person.
    return _stage(run if str(run.get("stage", "x")).isupper() else planned, reader, depth)


def _pipeline(stages: Any, reader: _Reader) -> Node:
    """Return the tree of a pipeline: each stage stands above the one that feeds it."""
    node: Node | None = None
    for stage in stages:
        name = next((key for key in stage if key.startswith("$")), "")
        if name == "$cursor":
            node = _of_query(stage["$cursor"], reader, 0)
            continue
        node = Node(
            name, _detail_of_lookup(stage, name), None, _number(stage, "nReturned"), (node,) if node else ()
        )
        reader.weights[id(node)] = float(stage.get("totalDocsExamined", 0))
        if name == "$lookup" and stage.get("collectionScans"):
            _note_lookup(str(stage[name].get("from", "")), str(stage[name].get("foreignField", "")), reader)
        elif name == "$sort":
            keys = stage[name].get("sortKey", stage[name]) if isinstance(stage[name], Mapping) else {}
            reader.facts.append(Fact(SORT, "", tuple(keys)))
    return node or Node("EOF")


def _detail_of_lookup(stage: Mapping[str, Any], name: str) -> str:
    if name != "$lookup":
        return ""
    return f"from {stage[name].get('from', '')}; {_examined(stage)}".rstrip("; ")


def _note_lookup(collection: str, column: str, reader: _Reader) -> None:
    reader.facts.append(scan(collection, reader.tables(collection), [column] if column else [], []))


def _stage(stage: Mapping[str, Any], reader: _Reader, depth: int) -> Node:
    """Return the node of a stage with those below it, and collect what it shows."""
    children = tuple(_stage(below, reader, depth + 1) for below in _below(stage)) if depth < MAX_DEPTH else ()
    name = str(stage.get("stage", "EOF"))
    node = Node(_text(name, stage, reader), _detail(stage), None, _number(stage, "nReturned"), children)
    reader.weights[id(node)] = _weight(name, stage)
    if name == "COLLSCAN":
        columns, patterns = fields_of(stage.get("filter", {}))
        reader.facts.append(scan(reader.collection, reader.tables(reader.collection), columns, patterns))
    elif name in _SORTS and "sortPattern" in stage and name != "SORT_MERGE":
        reader.facts.append(Fact(SORT, reader.collection, tuple(stage["sortPattern"])))
    elif name == "EQ_LOOKUP" and stage.get("strategy") in ("NestedLoopJoin", "HashJoin"):
        collection = str(stage.get("foreignCollection", "")).partition(".")[2]
        _note_lookup(collection, str(stage.get("foreignField", "")), reader)
    return node


def _below(stage: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for key in _BELOW:
        if isinstance(stage.get(key), Mapping):
            yield stage[key]
    for key in _ALL_BELOW:
        for each in stage.get(key, ()):
            yield each.get("executionStages") or each.get("winningPlan") or each


def _text(name: str, stage: Mapping[str, Any], reader: _Reader) -> str:
    if name == "IXSCAN":
        return f"IXSCAN {stage.get('indexName', '')} on {reader.collection}"
    return f"{name} {reader.collection}" if name == "COLLSCAN" else name


def _detail(stage: Mapping[str, Any]) -> str:
    parts = []
    if keys := stage.get("keyPattern"):
        parts.append(f"keys: {', '.join(keys)}")
    if keys := stage.get("sortPattern"):
        parts.append(f"by: {', '.join(keys)}")
    if names := fields_of(stage.get("filter", {}), served_only=False)[0]:
        parts.append(f"filter: {', '.join(names)}")
    if examined := _examined(stage):
        parts.append(examined)
    return "; ".join(parts)


def _examined(stage: Mapping[str, Any]) -> str:
    counted = [
        f"{what} {int(stage[key]):,}"
        for key, what in (
            ("docsExamined", "documents"),
            ("totalDocsExamined", "documents"),
            ("keysExamined", "keys"),
        )
        if stage.get(key)
    ]
    return f"examined: {', '.join(counted)}" if counted else ""


def _weight(name: str, stage: Mapping[str, Any]) -> float:
    if "nReturned" not in stage:
        return _UNRUN.get(name, 0.0)
    sorts = float(stage["nReturned"]) / 2 if name in _SORTS else 0.0
    return float(stage.get("docsExamined", 0)) + float(stage.get("keysExamined", 0)) / 2 + sorts


def _number(stage: Mapping[str, Any], key: str) -> float | None:
    return float(stage[key]) if key in stage else None


_PATH = re.compile(r"\$[A-Za-z_][\w.]*\Z")


def fields_of(condition: Any, served_only: bool = True) -> tuple[list[str], list[str]]:
    """Return the fields that a filter compares, and those of them that it compares by regular expressions.

    ``served_only`` leaves out what no index serves, such as ``$ne``.
    """
    found: dict[str, bool] = {}
    _collect(condition, found, served_only, 0)
    return list(found), [name for name, is_pattern in found.items() if is_pattern]


def _collect(condition: Any, found: dict[str, bool], served_only: bool, depth: int) -> None:
    if not isinstance(condition, Mapping) or depth > MAX_DEPTH:
        return
    for key, value in condition.items():
        if key in ("$and", "$or") or (key == "$nor" and not served_only):
            for each in value if isinstance(value, (list, tuple)) else ():
                _collect(each, found, served_only, depth + 1)
        elif key == "$expr":
            for path, is_pattern in _paths(value, 0):
                found[path] = found.get(path, True) and is_pattern
        elif not key.startswith("$"):
            operators = set(value) if isinstance(value, Mapping) else set()
            if not (served_only and operators and operators <= _NOT_SERVED):
                found[key] = found.get(key, True) and _is_pattern(value)


def _is_pattern(value: Any) -> bool:
    """Tell whether a field is compared by regular expressions; the server tells several of them as ``$in``."""
    if isinstance(value, Mapping):
        any_of = value.get("$in") or ()
        return bool({"$regex", "$regularExpression"} & set(value)) or any(
            _is_pattern(each) for each in any_of
        )
    return hasattr(value, "pattern")


def _paths(value: Any, depth: int, is_pattern: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield the fields that an expression names, and whether it compares them by a regular expression."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, str):
        if _PATH.match(value):
            yield value[1:], is_pattern
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield from _paths(below, depth + 1, is_pattern or key == "$regexMatch")
    elif isinstance(value, (list, tuple)):
        for below in value:
            yield from _paths(below, depth + 1, is_pattern)
