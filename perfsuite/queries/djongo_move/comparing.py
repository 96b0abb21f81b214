"""Compares two MongoDB databases by counts and checksums; only reads.

A document's digest does not depend on the order of its keys nor on the width of its integers, a collection's checksum
not on the order of its documents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Document = Mapping[str, Any]
Documents = Callable[[], Iterable[Document]]  # each call reads them anew
MODULUS = 2**128


@dataclass
class Side:
    """One collection in one database: its number of documents, and the sum of their digests."""

    count: int = 0
    total: int = 0

    @property
    def checksum(self) -> str:
        """The sum as 32 hexadecimal digits."""
        return f"{self.total:032x}"

    def add(self, digest: int) -> None:
        """Count a document."""
        self.count += 1
        self.total = (self.total + digest) % MODULUS


@dataclass
class Comparison:
    """One collection in both. ``example`` is the ``_id`` of a document that is in one side only, or differs."""

    name: str
    first: Side = field(default_factory=Side)
    second: Side = field(default_factory=Side)
    example: Any = None

    @property
    def equal(self) -> bool:
        """Tell whether both sides hold the same documents."""
        return (self.first.count, self.first.total) == (self.second.count, self.second.total)


def canonical(value: Any) -> Any:
    """Return ``value`` with the keys of its documents in order and its integers of one width."""
    if isinstance(value, Mapping):
        return {key: canonical(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [canonical(each) for each in value]
    if isinstance(value, int) and not isinstance(value, bool):
        from bson import Int64

        return Int64(value)
    return value


def digest(document: Document) -> int:
    """Return 128 bits that depend on what the document says, not on how it is written down."""
    import bson

    return int.from_bytes(hashlib.blake2b(bson.encode(canonical(document)), digest_size=16).digest(), "big")


def compare(name: str, first: Documents, second: Documents) -> Comparison:
    """Compare two collections; where they differ, both are read a second time to find an example."""
    found = Comparison(name)
    for documents, side in ((first, found.first), (second, found.second)):
        for document in documents():
            side.add(digest(document))
    if not found.equal:
        found.example = _example(first, second)
    return found


def _example(first: Documents, second: Documents) -> Any:
    """Return the ``_id`` of a document that only one of both has, or has otherwise. Holds the digests of ``second``."""
    others = {digest(document): document["_id"] for document in second()}
    for document in first():
        if others.pop(digest(document), None) is None:
            return document["_id"]
    return next(iter(others.values()), None)
