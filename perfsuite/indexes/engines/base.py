"""What an engine does: it reads the indexes of a database, says what it would make of a declaration, makes it, and takes it away.

An engine of your own is a class that is made with an alias and has these methods; name it in ``PERFSUITE["INDEXES"]["ENGINES"]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from perfsuite.indexes.compare import Definition, Present, Rules, Wanted
from perfsuite.indexes.errors import DatabaseRefused
from perfsuite.indexes.resolve import Resolved, Terms

Say = Callable[[str], None]
# What a statement may take of an engine that is to be cheap: less than after how long the leader has to renew its lease.
CHEAP_MS = 8_000


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


@dataclass(frozen=True)
class Figures:
    """What a table or collection holds, and what has been done with it since the server counts. None: it does not tell.

    ``size`` and ``index_size`` are bytes on disk, ``average`` bytes of a row or document; ``scans`` are reads of the whole
    table, ``writes`` those that had to change its indexes too.
    """

    table: str
    rows: int | None = None
    size: int | None = None
    index_size: int | None = None
    average: float | None = None
    scans: int | None = None
    writes: int | None = None
    since: datetime | None = None


class Engine:
    """The base of engines. All methods but ``translate`` talk to the database and raise ``DatabaseRefused``."""

    label: ClassVar[str] = "this database"
    terms: ClassVar[Terms] = Terms()
    rules: ClassVar[Rules] = Rules()
    # Whether the uses of an index are counted since it was made, or later: else ``since`` may be before there was one.
    counts_since_made: ClassVar[bool] = False

    def __init__(self, alias: str) -> None:
        self.alias = alias
        # Set by who reads without being asked to: what costs the server much is left out, and a statement has few seconds.
        self.is_cheap = False
        # Set by who reads the sizes of very many tables only when asked for them; ``left_out`` then says what was not read.
        self.spares_sizes = False
        self.left_out = ""

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

    def figures(self, names: Collection[str] | None = None) -> list[Figures]:
        """Return what the tables hold, of some or of all, from the catalog; none where an engine does not know."""
        return []

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
