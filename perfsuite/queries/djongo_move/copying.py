"""Copies the documents of a database of djongo's into one of django-mongodb-backend's. The old one is only read.

Keeps in memory which ``_id`` belongs to which integer key, for the collections that others refer to: about 200 bytes
a document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from perfsuite.queries.djongo_move.documents import Collection

if TYPE_CHECKING:
    from pymongo.database import Database

CONTENT_TYPES = "django_content_type"
BATCH = 1_000
Progress = Callable[[str, int, int], None]


class KeysInDatabase:
    """The integer keys of djongo's documents, read a collection at a time when first asked for."""

    def __init__(self, source: Database[dict[str, Any]], collections: Mapping[tuple[str, str], str]) -> None:
        """Take the collection of each model, which is named by its app and its name, as content types do."""
        self.source = source
        self.collections = collections
        self._ids: dict[str, dict[Any, Any]] = {}
        self._content_types: dict[Any, str] | None = None

    def object_id(self, collection: str, old: Any) -> Any:
        """Return the ``_id`` of the document whose integer key is ``old``, or None where there is none."""
        if collection not in self._ids:
            rows = self.source[collection].find({"id": {"$exists": True}}, {"id": 1})
            self._ids[collection] = {row["id"]: row["_id"] for row in rows}
        return self._ids[collection].get(old)

    def collection_of_content_type(self, old: Any) -> str | None:
        """Return the collection of the model that the content type with the integer key ``old`` names."""
        if self._content_types is None:
            rows = self.source[CONTENT_TYPES].find({}, {"id": 1, "app_label": 1, "model": 1})
            self._content_types = {
                row.get("id"): name
                for row in rows
                if (name := self.collections.get((row.get("app_label", ""), row.get("model", ""))))
            }
        return self._content_types.get(old)


@dataclass
class Outcome:
    """What became of one collection: numbers of documents, an example ``_id`` for each column that names nothing."""

    name: str
    documents: int = 0
    dangling: dict[str, list[Any]] = field(default_factory=dict)
    left_behind: set[str] = field(default_factory=set)
    dropped: int = 0


def moved_documents(
    source: Database[dict[str, Any]], collection: Collection, keys: KeysInDatabase, outcome: Outcome
) -> Iterator[dict[str, Any]]:
    """Yield each document as it is to be, in the order of ``_id``, and note in ``outcome`` what was met.

    A document in which a column that must not be null names nothing is not yielded, but counted as dropped.
    """
    for document in source[collection.name].find().sort("_id", 1):
        outcome.documents += 1
        outcome.left_behind |= collection.left_behind(document)
        new, dangling = collection.moved(document, keys)
        for column in dangling:
            outcome.dangling.setdefault(column, []).append(document["_id"])
        if any(not collection.references[column].nullable for column in dangling):
            outcome.dropped += 1
            continue
        yield new


def inspect(source: Database[dict[str, Any]], collection: Collection, keys: KeysInDatabase) -> Outcome:
    """Return what a copy of the collection would meet; nothing is written."""
    outcome = Outcome(collection.name)
    for _ in moved_documents(source, collection, keys, outcome):
        pass
    return outcome


def copy(
    source: Database[dict[str, Any]],
    target: Database[dict[str, Any]],
    collection: Collection,
    keys: KeysInDatabase,
    progress: Progress,
) -> Outcome:
    """Replace what the target has in the collection by the source's documents."""
    outcome = Outcome(collection.name)
    total = source[collection.name].estimated_document_count()
    target[collection.name].delete_many({})
    batch: list[dict[str, Any]] = []
    for document in moved_documents(source, collection, keys, outcome):
        batch.append(document)
        if len(batch) == BATCH:
            target[collection.name].insert_many(batch, ordered=False)
            batch = []
            if outcome.documents < total:
                progress(collection.name, outcome.documents, total)
    if batch:
        target[collection.name].insert_many(batch, ordered=False)
    progress(collection.name, outcome.documents, outcome.documents)
    return outcome
