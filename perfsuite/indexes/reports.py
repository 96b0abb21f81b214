"""What was read of a database at one instant, as it is kept, listed and shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TableReport:
    """A table or collection. None: the database does not tell. Times are seconds since the epoch, sizes bytes on disk.

    ``reads`` are uses of its indexes, ``writes`` those that had to change them; both, and ``scans``, since ``since``.
    ``first_at`` is when the oldest kept sample was taken, with what there was then.
    """

    alias: str
    table: str
    rows: int | None = None
    size: int | None = None
    index_size: int | None = None
    average: float | None = None
    scans: int | None = None
    reads: int | None = None
    writes: int | None = None
    since: int | None = None
    indexes: int = 0
    first_at: int | None = None
    first_rows: int | None = None
    first_size: int | None = None

    @property
    def total(self) -> int | None:
        """Bytes of its data and its indexes together."""
        return None if self.size is None else self.size + (self.index_size or 0)

    @property
    def ratio(self) -> float | None:
        """Bytes of indexes to a byte of data."""
        return self.index_size / self.size if self.size and self.index_size is not None else None


@dataclass(frozen=True)
class IndexReport:
    """An index that is there or declared, as ``listing.Entry`` has it; ``waste`` says what speaks for dropping it.

    ``watched_uses`` are those that are known since ``watched_at``, over the restarts of the server, where uses are counted.
    """

    alias: str
    table: str
    name: str
    state: str
    definition: str
    note: str = ""
    waste: str = ""
    size: int | None = None
    uses: int | None = None
    since: int | None = None
    statement: str = ""
    source: str = ""
    watched_at: int | None = None
    watched_uses: int | None = None


@dataclass(frozen=True)
class Analysis:
    """One database at one instant; ``left_out`` is how many tables and indexes were not kept of it."""

    alias: str
    engine: str
    at: int
    tables: tuple[TableReport, ...] = ()
    indexes: tuple[IndexReport, ...] = ()
    left_out: int = 0

    def waste_of(self, table: str) -> list[IndexReport]:
        """Return the indexes of a table that are unused, duplicate, redundant, hidden or invalid."""
        return [each for each in self.indexes if each.waste and each.table == table]
