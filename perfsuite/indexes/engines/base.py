"""What an engine does: it reads the indexes of a database, says what it would make of a declaration, makes it, and takes it away.

An engine of your own is a class that is made with an alias and has these methods; name it in ``PERFSUITE["INDEXES"]["ENGINES"]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from perfsuite.indexes.compare import Definition, Present, Rules, Wanted
from perfsuite.indexes.errors import DatabaseRefused
from perfsuite.indexes.resolve import Resolved, Terms

Say = Callable[[str], None]


@dataclass(frozen=True)
class TableInfo:
    """A table: what it is (table, view ...), its columns (None: any), and whether it is there or comes with its first index."""

    name: str
    kind: str = "table"
    columns: tuple[str, ...] | None = None
    is_there: bool = True


@dataclass(frozen=True)
class Duplicates:
    """Rows that stand in the way of a unique index: how many keys are there more than once, and some with how often."""

    keys: int
    examples: tuple[tuple[tuple[object, ...], int], ...]


class Engine:
    """The base of engines. All methods but ``translate`` talk to the database and raise ``DatabaseRefused``."""

    label: ClassVar[str] = "this database"
    terms: ClassVar[Terms] = Terms()
    rules: ClassVar[Rules] = Rules()

    def __init__(self, alias: str) -> None:
        self.alias = alias

    @contextmanager
    def session(self) -> Iterator[None]:
        """Turn what the driver raises inside into ``DatabaseRefused``, and record nothing."""
        yield

    def close(self) -> None:
        """Close what the engine opened of its own."""

    def tables(self, names: Collection[str]) -> dict[str, TableInfo]:
        """Return those of the tables, views and collections that are there."""
        raise NotImplementedError

    def present(self, names: Collection[str] | None = None, *, usage: bool = False) -> list[Present]:
        """Return the indexes of the tables, or of all; with ``usage`` also how large they are and how much they are used."""
        raise NotImplementedError

    def translate(self, resolved: Resolved) -> Wanted:
        """Return what the database would make of a declaration. Reads at most what the server is."""
        raise NotImplementedError

    def require_writable(self, tables: Collection[str]) -> None:
        """Raise ``DatabaseRefused`` if this user cannot make indexes on one of the tables."""

    def duplicates(self, wanted: Wanted) -> Duplicates | None:
        """Return what is more than once in the columns of a unique index, or None."""
        raise NotImplementedError

    def rehearse(self, wanted: Wanted) -> None:
        """Raise ``DatabaseRefused`` if the database would not take the index, where that can be found out without making it."""

    @contextmanager
    def alone(self, say: Say) -> Iterator[None]:
        """Hold off other runs of ``setup_indexes`` on this database, where two at once would disturb each other."""
        yield

    def create(self, wanted: Wanted, found: Present | None, say: Say) -> None:
        """Make an index. ``found`` is what stands under its name: the rest of a build that was cut off, or a hidden index."""
        raise NotImplementedError

    def drop(self, present: Present, say: Say) -> str:
        """Take an index away, or a step towards it; return what was done."""
        raise NotImplementedError


def unsupported(definition: Definition, resolved: Resolved, reason: str) -> Wanted:
    """Return a declaration that a database cannot have, with the reason."""
    return Wanted(
        resolved.table,
        resolved.name,
        definition,
        unsupported=reason,
        source=resolved.source,
        app=resolved.app,
    )


def refused(alias: str, exc: BaseException) -> DatabaseRefused:
    """Return an error that says in one sentence what the database said."""
    said = re.split(r"\n|, full error|, Timeout: ", str(exc).strip())[0].rstrip(". ") or type(exc).__name__
    return DatabaseRefused(f"The database {alias!r} refused: {said}.")
