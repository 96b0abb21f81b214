"""Finds the prober of a database and gives it the statement that an index is for."""

from __future__ import annotations

from perfsuite.exceptions import PerfsuiteError
from perfsuite.indexes.engines import opened
from perfsuite.indexes.suggesting.figures import Key
from perfsuite.indexes.suggesting.probing import Proof, probe_of
from perfsuite.indexes.suggesting.recorded import MONGODB, Recorded, read, vendor_of
from perfsuite.indexes.suggesting.suggestion import Suggestion
from perfsuite.indexes.suggesting.verifying import on_mongodb, on_postgresql, on_sqlite

MAX_ROWS = 50_000


class NotVerifiable(PerfsuiteError):
    """A suggestion cannot be tried; the message says in one sentence why."""


def verify(suggestion: Suggestion, max_rows: int = MAX_ROWS) -> Proof:
    """Return what the costliest statement of a suggestion takes on a copy of at most ``max_rows`` rows, before and after.

    The copy is a file of its own for SQLite, a temporary table in a transaction that is rolled back on PostgreSQL, and a
    collection of the same database on MongoDB, which is dropped, also when this is interrupted. Raises ``NotVerifiable`` and
    ``DatabaseRefused``.
    """
    vendor = vendor_of(suggestion.alias)
    with opened(suggestion.alias) as engine:
        columns: dict[str, tuple[str, ...] | None] = {}
        if vendor not in MONGODB:
            there = engine.tables([suggestion.table])
            columns = {name: info.columns for name, info in there.items()}
        for each in suggestion.evidence:
            statement = read(Recorded(each.fingerprint, suggestion.alias, 0, 0), vendor, columns)
            probe = probe_of(statement, suggestion.table, suggestion.keys) if statement is not None else None
            if probe is not None:
                break
        else:
            raise NotVerifiable(f"No statement for {suggestion.text} can be read any more.")
        keys = tuple(Key(key.lstrip("-"), key.startswith("-")) for key in suggestion.keys)
        if vendor == "sqlite":
            return on_sqlite.prove(engine, probe, keys, max_rows)
        if vendor == "postgresql":
            return on_postgresql.prove(engine, probe, keys, max_rows)
        return on_mongodb.prove(engine, probe, keys, max_rows)
