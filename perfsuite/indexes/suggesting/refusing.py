"""Why no index is suggested for a statement on a table that it reads whole, in words. Pure.

A plain index serves no search inside a text. PostgreSQL has an index of trigrams for it, of the same expression that the
statement compares.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from perfsuite.indexes.suggesting.figures import Figures
from perfsuite.indexes.suggesting.needs import Statement, Use

# Whether PostgreSQL's pg_trgm is there, can be installed, or is not to be had.
INSTALLED, AVAILABLE, NOT_TO_BE_HAD = "installed", "available", ""
_SEARCH = r'(?:\b(?P<function>UPPER|LOWER)\(\s*)?"?{alias}"?\."?(?P<column>\w+)"?(?:::\w+)?\s*\)?\s+I?LIKE\b'


def searched(fingerprint: str, use: Use) -> tuple[str, str] | None:
    """Return the column of a use that SQL searches by LIKE, and the function around it or the empty string."""
    for match in re.finditer(_SEARCH.format(alias=re.escape(use.alias)), fingerprint, re.IGNORECASE):
        if match["column"] in use.patterns:
            return match["column"], (match["function"] or "").lower()
    return None


def why_none(
    fingerprint: str,
    statement: Statement,
    table: str,
    of: Figures,
    vendor: str,
    trigrams: str,
    declare: Callable[[str, str], str],
) -> str:
    """Return the sentence; empty where nothing is known to say.

    ``trigrams`` says whether PostgreSQL has ``pg_trgm``; ``declare`` writes a declaration of a column, by what is applied to it.
    """
    uses = [use for use in statement.uses if use.table == table]
    inside = next((found for use in uses if (found := searched(fingerprint, use))), None)
    is_plain = any(use.equals or use.among or use.ranges for use in uses)
    if inside is not None and not is_plain:
        return (
            f"No plain index serves a search inside {inside[0]}{_instead(vendor, trigrams, declare(*inside))}"
        )
    patterns = sorted({name for use in uses for name in use.patterns})
    if patterns and not is_plain:
        return (
            f"No plain index serves the condition on {', '.join(patterns)}: it is a pattern, negates, is inside a function, or "
            "one of several columns that OR combines."
        )
    if is_plain:
        columns = sorted({name for use in uses for name in (*use.equals, *use.among, *use.ranges)})
        named = ", ".join(columns)
        return f"No index is suggested: of {of.rows:,.0f} rows, one on {named} would leave more than half of the work."
    return ""


def _instead(vendor: str, trigrams: str, declaration: str) -> str:
    if vendor == "postgresql" and trigrams:
        first = "" if trigrams == INSTALLED else "type CREATE EXTENSION pg_trgm in its psql, then "
        return f"; one of its trigrams does: {first}declare it with {declaration}"
    if vendor == "postgresql":
        return "; one of its trigrams does, but this server has no extension pg_trgm to install."
    if vendor == "sqlite":
        return ", nor has SQLite another one: compare the whole value, or search in a table of FTS5."
    return ": a text index finds whole words."


def trigram_line(target: str, field: str, function: str) -> str:
    """Return the declaration of an index of trigrams. ``target`` is a model's label or a table."""
    named = f"{function}({field})" if function else field
    return f'register({json.dumps(target)}, Index({json.dumps(named)}, kind="gin", opclass="gin_trgm_ops"))'
