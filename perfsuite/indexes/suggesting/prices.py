"""What reading costs on each kind of database, in its own unit. Pure.

PostgreSQL's are the terms of its planner with their defaults (``seq_page_cost`` 1, ``random_page_cost`` 4 ...); SQLite's are
steps of its virtual machine; MongoDB's are documents.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from perfsuite.indexes.suggesting.figures import Figures, Keys

PAGE_BYTES = 8_192.0


@dataclass(frozen=True)
class Look:
    """One look into an index: the entries that it reads, the rows that it fetches for them, and how often that is done.

    ``tests`` are the conditions left to check. ``covered``: the index has all that the statement needs. ``follows``: how far the
    rows lie in the index's order.
    """

    entries: float
    fetched: float
    loops: float = 1.0
    tests: int = 0
    covered: bool = False
    follows: float = 0.0


class Prices:
    """The base: SQLite's."""

    is_lazy = True  # where the rows before are none, nothing is read of the table that they are joined with
    filters_in_index = False  # conditions on later columns of an index spare it the rows
    per_row = 3.0
    per_test = 2.0
    per_sorted = 8.0
    per_hashed = 9.0  # the index that SQLite makes for one statement
    per_probe = 6.0
    per_given = 3.0  # a row of the result, and each of its columns one more
    per_grouped = 6.0

    def scan(self, table: Figures, tests: int) -> float:
        """Return what reading a whole table costs."""
        return table.rows * (self.per_row + self.per_test * min(tests, 2))

    def look(self, table: Figures, keys: Keys, look: Look) -> float:
        """Return what one look costs."""
        return (
            12.0 + look.entries * (3.0 if look.covered else 6.0) + look.fetched * self.per_test * look.tests
        )

    def first(self, table: Figures, keys: Keys, entries: float, *, covered: bool) -> float:
        """Return what the first of so many entries costs, which is the least or the largest of them."""
        return self.look(table, keys, Look(1.0, 1.0, covered=covered))

    def sort(self, rows: float) -> float:
        """Return what sorting costs."""
        return rows * self.per_sorted

    def group(self, rows: float) -> float:
        """Return what bringing rows of one group together costs."""
        return rows * self.per_grouped

    def hash(self, built: float, probed: float) -> float:
        """Return what joining two lots of rows costs, one of which is looked up for each of the other."""
        return built * self.per_hashed + probed * self.per_probe

    def give(self, rows: float, width: int) -> float:
        """Return what each row of the result costs, whichever way it was found."""
        return rows * (self.per_given + width)


class PostgreSQL(Prices):
    """The planner's."""

    is_lazy = False
    filters_in_index = True

    def scan(self, table: Figures, tests: int) -> float:
        """Return ``cost_seqscan``."""
        return table.pages + table.rows * (0.01 + 0.0025 * tests)

    def look(self, table: Figures, keys: Keys, look: Look) -> float:
        """Return the lesser of ``cost_index`` and, where it is done once, ``cost_bitmap_heap_scan``."""
        leaves = _index_pages(table, keys)
        part = look.entries / max(1.0, table.rows)
        if look.loops > 1:
            read = _fetched(leaves, look.loops * max(1.0, part * leaves)) / look.loops
        else:
            read = max(1.0, math.ceil(part * leaves))
        inside = 0.3 + read * 4.0 + look.entries * 0.0075
        tests = look.fetched * (0.01 + 0.0025 * look.tests)
        if look.covered:
            return inside + tests
        apart = _fetched(table.pages, look.fetched * look.loops) / look.loops
        together = max(1.0, look.fetched / max(1.0, table.rows) * table.pages)
        most = apart * 4.0
        least = 4.0 + (together - 1.0) if look.loops == 1 else apart * 1.0
        plain = inside + tests + most + look.follows**2 * (min(least, most) - most)
        if look.loops > 1 and look.fetched < 2:
            return plain
        pages = max(1.0, _fetched(table.pages, look.fetched))
        each = 4.0 - 3.0 * math.sqrt(min(1.0, pages / max(1.0, table.pages)))
        return min(plain, inside + tests + look.fetched * 0.0025 + pages * each)

    def first(self, table: Figures, keys: Keys, entries: float, *, covered: bool) -> float:
        """Return what a LIMIT of one row leaves of reading all the entries: its part, pages included."""
        return 0.3 + (self.look(table, keys, Look(entries, entries, covered=covered)) - 0.3) / entries

    def sort(self, rows: float) -> float:
        """Return ``cost_sort`` in memory."""
        return 0.005 * max(2.0, rows) * math.log2(max(2.0, rows))

    def group(self, rows: float) -> float:
        """Return what hashing the groups costs."""
        return rows * 0.0075

    def hash(self, built: float, probed: float) -> float:
        """Return what a hash join adds to its two sides."""
        return built * 0.0175 + probed * 0.015

    def give(self, rows: float, width: int) -> float:
        """Return nothing: that is in what reading costs."""
        return 0.0


class MongoDB(Prices):
    """In documents that are examined."""

    filters_in_index = True
    per_row = 1.0
    per_test = 0.05
    per_sorted = 0.5
    per_grouped = 0.0
    per_hashed = 1.0
    per_probe = 0.5
    per_given = 0.1

    def look(self, table: Figures, keys: Keys, look: Look) -> float:
        """Return what one look costs."""
        return 2.0 + look.entries * 0.3 + (0.0 if look.covered else look.fetched * 1.0)

    def give(self, rows: float, width: int) -> float:
        """Return what each document costs that is given on."""
        return rows * self.per_given


def _index_pages(table: Figures, keys: Keys) -> float:
    distinct = 1.0
    for key in keys:
        distinct *= max(1.0, table.column(key.column).distinct)
    if table.rows > 4 * distinct:  # equal keys are stored once
        return max(1.0, table.rows * 6.8 / (PAGE_BYTES * 0.9))
    width = sum(table.column(key.column).width for key in keys)
    return max(1.0, table.rows * (8 * math.ceil(width / 8) + 12) / (PAGE_BYTES * 0.9))


def _fetched(pages: float, rows: float) -> float:
    """Return how many of a table's pages hold so many of its rows, by Mackert and Lohman."""
    return min(pages, 2 * pages * rows / (2 * pages + rows)) if rows > 0 else 0.0


PRICES: dict[str, Prices] = {
    "sqlite": Prices(),
    "postgresql": PostgreSQL(),
    "mongodb": MongoDB(),
    "djongo": MongoDB(),
}
