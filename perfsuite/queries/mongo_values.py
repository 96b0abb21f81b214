"""The values of a MongoDB command as numbers, and whether it is about one document. Imports neither Django nor pymongo.

They are read as far as parameters.py reads them, and kept only where the host asked for that. A command has two numbers: that of
its filter, which tells rows apart, and that of all of it with its order and its pages, which tells whether it is the same again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from perfsuite.queries.parameters import MAX_DEPTH, MAX_VALUES, hash_of, kept, key_of, outlines_of

# By name: what holds the filter, and what else tells commands apart.
_CONDITIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "find": ("filter", ("sort", "skip", "limit", "projection")),
    "count": ("query", ("skip", "limit")),
    "distinct": ("query", ("key",)),
    "findAndModify": ("query", ()),
}
_BATCHES = {"insert": "documents", "update": "updates", "delete": "deletes"}

Key = int | tuple[int, int]


# Hot path: benchmarks/mongodb.py
def key_of_command(name: str, command: Mapping[str, Any]) -> Key | None:
    """Return the key of the values of a command, None for a batch."""
    if name in _BATCHES:
        return _key_of_write(name, command)
    if name == "aggregate":
        return _keys_of_stages(command.get("pipeline") or ())
    condition, rest = _CONDITIONS.get(name, ("", ()))
    key = key_of(command.get(condition))
    parts = (key, *map(command.get, rest))
    try:
        return key, hash(parts)  # most have numbers there, if anything
    except Exception:  # noqa: BLE001 - what has no hash by itself
        return key, key_of(parts)


def _keys_of_stages(pipeline: Any) -> Key:
    outlines = outlines_of(islice(pipeline, MAX_VALUES))
    of_match = 0
    for stage, outline in zip(pipeline, outlines, strict=False):
        if isinstance(stage, Mapping) and "$match" in stage:
            of_match = hash_of(outline)
            break
    return of_match, hash_of(len(pipeline), *outlines)


def _key_of_write(name: str, command: Mapping[str, Any]) -> int | None:
    rows: Any = command.get(_BATCHES[name]) or ()
    if len(rows) != 1:
        return None
    if name == "insert":
        return key_of([rows[0].get("_id")])
    condition = rows[0].get("q") or {}
    lists = [each["$in"] for each in condition.values() if isinstance(each, Mapping) and "$in" in each]
    return (
        None
        if any(isinstance(each, (list, tuple)) and len(each) > 1 for each in lists)
        else key_of([condition])
    )


def kept_of_command(name: str, command: Mapping[str, Any]) -> list[Any]:
    """Return the values of a command in the order in which they are sent, kept as those of SQL are."""
    condition, _ = _CONDITIONS.get(name, ("pipeline" if name == "aggregate" else _BATCHES.get(name, ""), ()))
    return kept(list(islice(_values(command.get(condition), 0), MAX_VALUES)))


def _values(value: Any, depth: int) -> Iterator[Any]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        if depth:  # a command without a filter has none
            yield value
        return
    for each in islice(value, MAX_VALUES):
        yield from _values(each, depth + 1)
