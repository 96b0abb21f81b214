"""What is suggested for the wholesaler's statements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from perfsuite.indexes.suggesting.choosing import Asked, choose
from perfsuite.indexes.suggesting.needs import Statement
from perfsuite.indexes.suggesting.prices import PRICES
from perfsuite.indexes.suggesting.reading_sql import read_sql
from perfsuite.indexes.suggesting.statistics import figures_of
from perfsuite.queries.fingerprint import shape
from tests.indexes.wholesale.schema import COLUMNS
from tests.indexes.wholesale.search import Index

NAMES = {
    table: [part.split()[0] for part in re.sub(r"\(\d+\)", "", columns).split(", ")]
    for table, columns in COLUMNS.items()
}


def read(queries: Mapping[str, str], values: bool = True) -> dict[str, Statement]:
    """Return the statements as they are read, with their values or as their fingerprints."""
    texts = {name: sql if values else shape(sql).fingerprint for name, sql in queries.items()}
    return {name: read_sql(sql, columns_of=NAMES.get) for name, sql in texts.items()}


def suggest(engine: Any, vendor: str, queries: Mapping[str, str], values: bool = True) -> list[Index]:
    """Return the suggested indexes."""
    statements = read(queries, values)
    figures = figures_of(engine, vendor, NAMES)
    chosen = choose([Asked(each) for each in statements.values()], figures, PRICES[vendor])
    return [(each.table, tuple(map(str, each.keys))) for each in chosen]


def shown(index: Index) -> str:
    """Return an index as text."""
    return f"{index[0]} ({', '.join(index[1])})"
