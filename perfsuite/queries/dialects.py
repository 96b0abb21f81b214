"""Which reading of SQL the database of an alias has: to MySQL ``"text"`` is a string, and in PostgreSQL comments nest."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from django.db import connections

from perfsuite.queries import fingerprint
from perfsuite.queries.fingerprint import Shape


class Dialect(NamedTuple):
    """How statements are read: into their shapes, and with their values out of the text."""

    shape: Callable[[str], Shape]
    masked: Callable[[str], str]


STANDARD = Dialect(fingerprint.shape, fingerprint.masked)
MYSQL = Dialect(lambda sql: fingerprint.shape(sql, True), lambda sql: fingerprint.masked(sql, True))
POSTGRESQL = Dialect(
    fingerprint.shape_with_nesting,
    lambda sql: fingerprint.masked(fingerprint.without_nesting(sql)),
)
_BY_VENDOR = {"mysql": MYSQL, "postgresql": POSTGRESQL}
_known: dict[str, Dialect] = {}


def dialect_of(alias: str) -> Dialect:
    """Return the reading of an alias. Looked up once."""
    if alias not in _known:
        _known[alias] = _BY_VENDOR.get(connections[alias].vendor, STANDARD)
    return _known[alias]
