"""What a MongoDB server knows of a collection: its size, its indexes with their sizes and uses, its scans and writes.

``$collStats`` is the dear one, some milliseconds of the server for each collection; it is asked once, and only for what is used.
A sharded collection answers once for each shard: numbers are added up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from perfsuite.indexes.engines.base import Figures
from perfsuite.optional import require

UNAUTHORIZED, NAMESPACE_NOT_FOUND = 13, 26
_STATS = [
    {"$collStats": {"storageStats": {}, "latencyStats": {}, "queryExecStats": {}}},
    {
        "$project": {
            **{
                f"storageStats.{name}": 1
                for name in ("count", "size", "storageSize", "totalIndexSize", "indexSizes")
            },
            "latencyStats.writes.ops": 1,
            "queryExecStats.collectionScans.total": 1,
        }
    },
]


@dataclass(frozen=True)
class CollectionStats:
    """What is known of one collection; what the user may not see is not there."""

    sizes: Mapping[str, int] = field(default_factory=dict)  # bytes by index
    uses: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # ops and since, by index
    specs: list[dict[str, Any]] | None = None  # the indexes as listIndexes has them; None: ask that
    figures: Figures | None = None


def read_uses(database: Any, name: str, kind: str) -> CollectionStats:
    """Return the indexes of a collection and their uses alone, which the server has at hand."""
    told = _permitted(lambda: list(database[name].aggregate([{"$indexStats": {}}])))
    return CollectionStats(uses=_uses(told), specs=_specs(told, kind))


def read(database: Any, name: str, kind: str, max_ms: int | None) -> CollectionStats:
    """Return what the server tells of a collection. ``max_ms`` bounds each of the two questions."""
    options = {"maxTimeMS": max_ms} if max_ms else {}
    collection = database[name]
    told = _permitted(lambda: list(collection.aggregate([{"$indexStats": {}}], **options)))
    if kind == "collection":
        documents = _permitted(lambda: list(collection.aggregate(_STATS, **options)))
    else:  # $collStats does not take what lies behind a time series
        documents = _permitted(lambda: [{"storageStats": database.command("collStats", name)}])
    uses = _uses(told)
    return CollectionStats(
        _added(each["storageStats"].get("indexSizes", {}) for each in documents),
        uses,
        _specs(told, kind),
        _figures(name, documents, uses) if documents else None,
    )


def _specs(told: list[Any], kind: str) -> list[dict[str, Any]] | None:
    """Return the indexes as ``$indexStats`` has them, or None where listIndexes has to be asked."""
    if kind != "collection" or not told or any("spec" not in each or each.get("building") for each in told):
        return None
    return list({each["name"]: dict(each["spec"]) for each in told}.values())


def _permitted(ask: Callable[[], list[Any]]) -> list[Any]:
    """Return what the server answers, nothing where the user may not ask or the collection was dropped meanwhile."""
    errors: Any = require("pymongo.errors", extra="mongodb")
    try:
        return ask()
    except errors.OperationFailure as exc:
        if exc.code not in (UNAUTHORIZED, NAMESPACE_NOT_FOUND):
            raise
        return []


def _uses(told: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for each in told:
        before, now = found.get(each["name"]), each["accesses"]
        if before:
            now = {"ops": before["ops"] + now["ops"], "since": max(before["since"], now["since"])}
        found[each["name"]] = now
    return found


def _added(mappings: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in mappings:
        for name, number in each.items():
            total[name] = total.get(name, 0) + int(number)
    return total


def _figures(name: str, documents: list[Any], uses: Mapping[str, Mapping[str, Any]]) -> Figures:
    storage = _added(
        {key: value for key, value in each["storageStats"].items() if isinstance(value, int)}
        for each in documents
    )
    rows = storage.get("count", 0)
    since: list[datetime] = [each["since"] for each in uses.values()]
    return Figures(
        name,
        rows,
        storage.get("storageSize"),
        storage.get("totalIndexSize"),
        storage.get("size", 0) / rows if rows else None,
        _sum(documents, "queryExecStats", "collectionScans", "total"),
        _sum(documents, "latencyStats", "writes", "ops"),
        min(since, default=None),
    )


def _sum(documents: list[Any], *path: str) -> int | None:
    total = None
    for document in documents:
        value: Any = document
        for part in path:
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            total = (total or 0) + int(value)
    return total
