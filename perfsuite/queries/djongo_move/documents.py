"""What becomes of one of djongo's documents. Knows rules, not models; `plan.py` makes the rules from the models.

djongo gives each document two keys: MongoDB's own ``_id``, an ObjectId, and the integer ``id`` that Django knows.
django-mongodb-backend has no integer keys, so ``_id`` becomes the key, ``id`` goes, and whatever named a document by
its integer names it by its ``_id`` from then on.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

Document = Mapping[str, Any]


class Keys(Protocol):
    """Which ``_id`` the documents of djongo's database have."""

    def object_id(self, collection: str, old: Any) -> Any:
        """Return the ``_id`` of the document whose integer key is ``old``, or None where there is none."""

    def collection_of_content_type(self, old: Any) -> str | None:
        """Return the collection of the model that the content type with the integer key ``old`` names."""


@dataclass(frozen=True)
class Reference:
    """A column that names a document of ``collection`` by its integer key."""

    collection: str
    nullable: bool


@dataclass(frozen=True)
class GenericReference:
    """A column that names a document of whatever model the content type in another column says."""

    content_type_column: str
    column: str
    as_text: bool


@dataclass(frozen=True)
class Collection:
    """How the documents of one collection are moved. ``columns`` are those of its model, ``_id`` left out."""

    name: str
    columns: frozenset[str]
    conversions: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)
    generic: tuple[GenericReference, ...] = ()

    def moved(self, document: Document, keys: Keys) -> tuple[dict[str, Any], list[str]]:
        """Return the document as it is to be in the new database, and the columns that name a document that is not there.

        Such a column holds None afterwards. Columns that the model does not have stay behind.
        """
        new: dict[str, Any] = {"_id": document["_id"]}
        dangling = []
        for name in self.columns & document.keys():
            value = document[name]
            if value is not None and (reference := self.references.get(name)):
                value = keys.object_id(reference.collection, value)
                if value is None:
                    dangling.append(name)
            elif value is not None and (convert := self.conversions.get(name)):
                value = convert(value)
            new[name] = value
        for link in self.generic:
            new[link.column] = _object_of(link, document, keys)
        return new, sorted(dangling)

    def left_behind(self, document: Document) -> set[str]:
        """Return the keys of ``document`` that no column of the model has; the integer ``id`` is not told."""
        return set(document) - self.columns - {"_id", "id"}


def _object_of(link: GenericReference, document: Document, keys: Keys) -> Any:
    """Return the key of the object that ``document`` names, or what it says now where the object is gone."""
    old = document.get(link.column)
    collection = keys.collection_of_content_type(document.get(link.content_type_column))
    if collection is None or not str(old).isdecimal():
        return old
    found = keys.object_id(collection, int(str(old)))
    if found is None:
        return old
    return str(found) if link.as_text else found


# What the two store differently, by Django's name of the field's type


def uuid_as_hex(value: Any) -> str:
    """Return a UUID as 32 hexadecimal digits; djongo stores 16 bytes."""
    if isinstance(value, bytes):
        return uuid.UUID(bytes=bytes(value)).hex
    return uuid.UUID(str(value)).hex


def milliseconds(value: Any) -> Any:
    """Return a duration in milliseconds; djongo stores microseconds."""
    return int(value) // 1_000


def time_of_day(value: Any) -> Any:
    """Return a time on the first day of the calendar; djongo stores it on the first of January 1900."""
    return datetime.combine(date.min, value.time()) if isinstance(value, datetime) else value


CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    "UUIDField": uuid_as_hex,
    "DurationField": milliseconds,
    "TimeField": time_of_day,
}
