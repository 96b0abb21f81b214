"""Tells with the finding of a missing index how to make it, or why none is suggested. Asked by perfsuite.queries' daily job."""

from __future__ import annotations

from typing import Any

UNMADE = "The index for it is declared and not there yet; type: manage.py setup_indexes --apply"


def advise(fingerprint: str, alias: str, table: str) -> dict[str, Any]:
    """Return the lines that make the index which a statement lacks on a table, or the sentence why none is worth having.

    ``left`` is the share of the statement's work that is left with the index.
    Reads the database's statistics. What it raises is its caller's to guard.
    """
    from perfsuite.indexes.suggesting.recorded import Unmade, told_of

    told = told_of(fingerprint, alias, table)
    if isinstance(told, Unmade):
        return {"keys": list(told.keys), "left": told.left, "sentence": UNMADE}
    if isinstance(told, str):
        return {"sentence": told} if told else {}
    lines = {"register": told.register_line, "meta": told.meta_line, "mongosh": told.mongosh_line}
    return {
        **{name: line for name, line in lines.items() if line},
        "keys": list(told.keys),
        "left": min((each.left for each in told.evidence), default=1.0),
        "sentence": f"{table} lacks an index on {', '.join(told.keys)}: declare it with {told.register_line}",
    }
