"""What a statement asks of each table that it reads: what an index could serve. Pure.

A statement is a few blocks, one for each SELECT in it; a block reads tables, each by a ``Use`` of its own, so that a table which
is joined with itself has two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# Stands for a value that was not kept.
UNKNOWN = object()

# What a block is to the one around it.
MAIN, SEMI, ANTI, SCALAR, DERIVED = "main", "semi", "anti", "scalar", "derived"


@dataclass
class Use:
    """A table as one block reads it.

    ``equals`` and ``among`` (one of several) compare a column with values, ``ranges`` with bounds, by operator. ``patterns`` are
    columns inside functions or compared by LIKE: no plain index serves these. ``asked`` are columns that are compared with what a
    subquery gives. ``filters`` counts all conditions on the table
    alone. ``columns`` are all that are named; None where the statement takes every one.
    """

    table: str
    alias: str
    block: int
    equals: dict[str, Any] = field(default_factory=dict)
    among: dict[str, int | None] = field(default_factory=dict)
    ranges: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)
    patterns: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    filters: int = 0
    columns: set[str] | None = field(default_factory=set)
    source: int = -1  # of what is no table, whose ``table`` is empty, the block that makes it
    is_optional: bool = False  # the right side of a LEFT JOIN: its rows are looked up for those of the left

    def name(self, column: str) -> None:
        """Note that the statement needs a column."""
        if self.columns is not None:
            self.columns.add(column)


@dataclass(frozen=True)
class Join:
    """Two columns that are equal: of the use ``left`` and of the use ``right``."""

    left: int
    left_column: str
    right: int
    right_column: str

    def seen_from(self, use: int) -> tuple[str, int, str] | None:
        """Return a use's own column, the other use and its column; None if the join is not the use's."""
        if use == self.left:
            return self.left_column, self.right, self.right_column
        return (self.right_column, self.left, self.left_column) if use == self.right else None


@dataclass
class Block:
    """One SELECT. ``order`` is by use and column, True where it descends; None where something else is sorted by.

    ``outer`` are the blocks around it that its conditions name. ``is_grouped``: it gives fewer rows than it reads.
    """

    role: str = MAIN
    parent: int = -1
    order: list[tuple[int, str, bool]] = field(default_factory=list)
    is_ordered_otherwise: bool = False
    has_limit: bool = False
    is_grouped: bool = False
    group: list[tuple[int, str]] = field(default_factory=list)
    extreme: tuple[int, str] | None = None  # MIN or MAX of one column, and nothing else
    width: int = 1  # how many things it selects


@dataclass
class Statement:
    """A statement as far as indexes are concerned. ``writes``: an UPDATE or DELETE, whose WHERE this is."""

    uses: list[Use] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)
    writes: bool = False

    def of_block(self, block: int) -> list[int]:
        """Return the uses of a block and of those that are planned with it, as if they were joined."""
        merged = {block, *self.merged(block)}
        return [at for at, use in enumerate(self.uses) if use.block in merged]

    def merged(self, block: int) -> Iterator[int]:
        """Yield the blocks below, and theirs, that are planned like joins: ``IN`` and ``EXISTS``."""
        for at, each in enumerate(self.blocks):
            if each.parent == block and each.role in (SEMI, ANTI):
                yield at
                yield from self.merged(at)

    def tables(self) -> list[str]:
        """Return the tables, each once."""
        return list(dict.fromkeys(use.table for use in self.uses))
