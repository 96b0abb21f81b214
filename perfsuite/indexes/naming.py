"""How indexes are called: the same declaration has the same name on every database and in every run. Imports no Django."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from perfsuite.indexes.spec import Index

_HASH_LENGTH = 8


def default_name(table: str, index: Index, columns: Mapping[str, str]) -> str:
    """Return the name of an index that was given none: table, columns, and a hash of the options if it has any.

    ``columns`` are the columns by field. The name does not depend on how a field was written, ``tenant`` or ``tenant_id``.
    """
    parts = [table]
    for key in index.keys:
        parts += filter(None, (key.function, columns[key.field], "" if key.order == "asc" else key.order))
    if index.unique:
        parts.append("uniq")
    if options := _options(index, columns):
        parts.append(_hash(options))
    return re.sub(r"\W+", "_", "_".join([*parts, "idx"]))


def shortened(name: str, limit: int | None) -> str:
    """Return ``name``, or where it has more than ``limit`` bytes its beginning and a hash of the whole."""
    if limit is None or len(name.encode()) <= limit:
        return name
    head = name.encode()[: limit - _HASH_LENGTH - 1].decode(errors="ignore")
    return f"{head}_{_hash(name)}"


def _options(index: Index, columns: Mapping[str, str]) -> str:
    """Return the options in which two indexes on the same columns can differ, as text; empty if it has none."""
    options = {
        "where": [(columns[each.field], each.operator, each.value) for each in index.where],
        "include": [columns[field] for field in index.include],
        "sparse": index.sparse,
        "collation": sorted(index.collation.items())
        if isinstance(index.collation, Mapping)
        else index.collation,
        "opclass": index.opclass,
        "language": index.language if index.kind == "text" and index.language != "english" else "",
    }
    return repr({key: value for key, value in options.items() if value}) if any(options.values()) else ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]
