"""A database that perfsuite makes no indexes on, Oracle for one: the plan says so, and everything else is left alone."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from django.db import connections

from perfsuite.indexes.compare import Column, Definition, Present, Wanted
from perfsuite.indexes.engines.base import Engine, TableInfo, unsupported
from perfsuite.indexes.resolve import Resolved, Terms


class Other(Engine):
    """Says of each declaration where it can be made instead."""

    terms: ClassVar[Terms] = Terms(name_limit=64)

    def tables(self, names: Collection[str]) -> dict[str, TableInfo]:
        """Return all of them: nothing is asked of this database."""
        return {name: TableInfo(name) for name in names}

    def present(self, names: Collection[str] | None = None, *, usage: bool = False) -> list[Present]:
        """Return none: nothing is asked of this database."""
        return []

    def translate(self, resolved: Resolved) -> Wanted:
        """Return the declaration as one that is not supported."""
        connection: Any = connections[self.alias]
        columns = tuple(Column(resolved.columns[key.field], key.order) for key in resolved.index.keys)
        reason = f"perfsuite makes no indexes on {connection.display_name}; declare it in Meta.indexes of the model"
        return unsupported(Definition(columns, resolved.index.unique), resolved, reason)
