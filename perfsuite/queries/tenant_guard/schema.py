"""What the guard knows of tables: whose rows belong to tenants, by which column, and by which columns a row is named.

Pure: no Django. Names are in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# What names a row of a table of which nothing else is known.
KEYS = frozenset(["id", "_id"])


@dataclass(frozen=True)
class Owned:
    """A table whose rows belong to tenants.

    ``column`` is empty where a row has no tenant of its own, only through another; ``shown`` is the column, or then the path to
    it, ``lead__tenant``.
    """

    table: str
    column: str
    shown: str


@dataclass(frozen=True)
class Schema:
    """All that was declared, and of other tables the columns that name a row."""

    owned: Mapping[str, Owned] = field(default_factory=dict)
    # Tables of the tenants themselves, with the columns that name one: the key, and what is unique.
    tenants: Mapping[str, frozenset[str]] = field(default_factory=dict)
    keys: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def keys_of(self, table: str) -> frozenset[str]:
        """Return the columns each of which names a row of ``table``."""
        return self.keys.get(table, KEYS)

    def pattern(self) -> re.Pattern[str] | None:
        """Return what finds the name of a declared table in a text, or None when nothing is declared."""
        if not self.owned:
            return None
        names = "|".join(re.escape(name) for name in sorted(self.owned, key=len, reverse=True))
        return re.compile(rf"(?<!\w)(?:{names})(?!\w)", re.IGNORECASE)


@dataclass(frozen=True)
class Verdict:
    """What a statement comes to: the tables that it reaches without their tenant, and whether it was understood at all."""

    unscoped: tuple[Owned, ...] = ()
    understood: bool = True


FINE = Verdict()
NOT_UNDERSTOOD = Verdict(understood=False)
