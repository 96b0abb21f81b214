"""The values of a MongoDB command as one number, and whether it is about one document. Imports neither Django nor pymongo.

They are read as far as parameters.py reads them, and not kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perfsuite.queries.parameters import key_of

_CONDITIONS: dict[str, tuple[str, ...]] = {
    "find": ("filter", "sort", "skip", "limit", "projection"),
    "count": ("query", "skip", "limit"),
    "distinct": ("key", "query"),
    "findAndModify": ("query",),
    "aggregate": ("pipeline",),
}
_BATCHES = {"insert": "documents", "update": "updates", "delete": "deletes"}


# Hot path: benchmarks/mongodb.py
def key_of_command(name: str, command: Mapping[str, Any]) -> int | None:
    """Return a number for the values of a command, None for a batch."""
    batch = _BATCHES.get(name)
    if batch is not None:
        rows: Any = command.get(batch) or ()
        if len(rows) != 1:
            return None
        return key_of([rows[0].get("_id" if batch == "documents" else "q")])
    return key_of([command.get(part) for part in _CONDITIONS.get(name, ())])
