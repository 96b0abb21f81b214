"""A missing index as it is told: its keys, the lines that make it, what it would save, and the statements that ask for it.

Pure: imports no Django.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Evidence:
    """A recorded statement that has no index: its fingerprint, where it runs, what it costs a day, and what its plan shows.

    ``facts`` are sentences of the plan that the leader has kept, or of the estimate where there is no plan. ``left`` is the
    share of its work that is left with the index.
    """

    fingerprint: str
    short_id: str
    routes: tuple[str, ...]
    calls_per_day: float
    us_per_day: float
    facts: tuple[str, ...] = ()
    left: float = 1.0

    def as_json(self) -> dict[str, Any]:
        """Return it as plain types."""
        return {
            "fingerprint": self.fingerprint,
            "short_id": self.short_id,
            "routes": list(self.routes),
            "calls_per_day": self.calls_per_day,
            "us_per_day": self.us_per_day,
            "facts": list(self.facts),
        }


@dataclass(frozen=True)
class Suggestion:
    """An index that is missing. ``keys`` are columns, or a collection's keys, with ``-`` before one that descends.

    ``model`` is the label of the table's model, or empty. ``register_line``, ``meta_line`` (empty without a model) and
    ``mongosh_line`` (empty on SQL) make it. ``us_per_day`` is what its statements cost now, not what the index saves.
    """

    alias: str
    table: str
    model: str
    keys: tuple[str, ...]
    register_line: str
    meta_line: str
    mongosh_line: str
    us_per_day: float
    calls_per_day: float
    evidence: tuple[Evidence, ...] = ()

    @property
    def text(self) -> str:
        """The index on one line."""
        return f"{self.table} ({', '.join(self.keys)})"

    def as_json(self) -> dict[str, Any]:
        """Return it as plain types, for ``--format json`` and the panel."""
        return {
            "database": self.alias,
            "table": self.table,
            "model": self.model,
            "keys": list(self.keys),
            "register": self.register_line,
            "meta": self.meta_line,
            "mongosh": self.mongosh_line,
            "us_per_day": self.us_per_day,
            "calls_per_day": self.calls_per_day,
            "evidence": [each.as_json() for each in self.evidence],
        }
