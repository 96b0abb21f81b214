"""Ids that follow from what a row is about, so that writing it twice is refused or noticed rather than counted twice."""

from __future__ import annotations

import json
from hashlib import blake2b
from uuid import UUID

from perfsuite.metrics.storages import SeriesRow


def describe(kind: str, labels: tuple[str, ...]) -> SeriesRow:
    """Return the row that describes a series; its id follows from its kind and label values."""
    # Escaped to ASCII, since a NUL or half a surrogate pair in a label would be refused by a database.
    text = json.dumps(labels, default=str, separators=(",", ":"))
    return SeriesRow(digest(8, kind, text).hex(), kind, text)


def row_id(writer: str, *about: str) -> UUID:
    """Return the id of what one flush of one process writes about something."""
    return uuid_of(digest(16, writer, *about))


def uuid_of(hashed: bytes) -> UUID:
    """Return 16 bytes of a hash as the UUID of a name; MariaDB refuses one that is of no version."""
    return UUID(bytes=hashed, version=5)


def digest(size: int, *parts: str) -> bytes:
    """Return ``size`` bytes that follow from the texts."""
    return blake2b("\0".join(parts).encode(errors="replace"), digest_size=size).digest()
