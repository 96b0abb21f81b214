"""Tries every index of up to three columns that a statement could use, by making it, and asks what the statement costs.

On PostgreSQL the cost is the planner's, on SQLite the steps of its virtual machine that the statement takes.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from django.db import OperationalError

from perfsuite.indexes.suggesting.needs import Statement

STEP = 50
HALF = 0.5
Index = tuple[str, tuple[str, ...]]  # a table, and columns; one that descends begins with "-"


def cost(connection: Any, sql: str, limit: float = math.inf) -> float:
    """Return what a statement costs now; infinity where SQLite takes more steps than ``limit``, after which it is stopped."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("EXPLAIN (FORMAT JSON) " + sql)
            answer = cursor.fetchone()[0]
            return float((json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]["Total Cost"])
        steps = [0]

        def count() -> int:
            steps[0] += 1
            return steps[0] * STEP > limit

        connection.connection.set_progress_handler(count, STEP)
        try:
            cursor.execute(sql)
            cursor.fetchall()
        except OperationalError:
            return math.inf
        finally:
            connection.connection.set_progress_handler(None, 0)
        return float(max(1, steps[0]) * STEP)


def program(connection: Any, sql: str) -> list[Any] | None:
    """Return what SQLite runs for a statement, and None elsewhere. The same program on the same rows takes the same steps."""
    if connection.vendor != "sqlite":
        return None
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + sql)
        # The transaction's line has the schema's version, which a new index changes.
        return [row for row in cursor.fetchall() if row[1] != "Transaction"]


class Made:
    """An index that is there inside of the block."""

    def __init__(self, connection: Any, index: Index, name: str = "wholesale_try") -> None:
        self.connection, self.index, self.name = connection, index, name

    def __enter__(self) -> None:
        table, columns = self.index
        keys = ", ".join(f"{each.lstrip('-')}{' DESC' if each.startswith('-') else ''}" for each in columns)
        with self.connection.cursor() as cursor:
            cursor.execute(f"CREATE INDEX {self.name} ON {table} ({keys})")
            if self.connection.vendor == "sqlite":
                cursor.execute(f"ANALYZE {self.name}")

    def __exit__(self, *args: object) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(f"DROP INDEX {self.name}")
            if self.connection.vendor == "sqlite":
                cursor.execute(f"DELETE FROM sqlite_stat1 WHERE idx = '{self.name}'")
                cursor.execute("ANALYZE sqlite_master")


def together(
    connection: Any, queries: Mapping[str, str], indexes: Iterable[Index], before: Mapping[str, float]
) -> dict[str, float]:
    """Return what each statement costs with all of the indexes made, as somebody has them who takes what is suggested."""
    with ExitStack() as made:
        for number, index in enumerate(indexes):
            made.enter_context(Made(connection, index, f"wholesale_{number}"))
        return {name: cost(connection, sql, 2 * before[name]) for name, sql in queries.items()}


def possible(statements: Mapping[str, Statement], columns: int = 3) -> dict[Index, list[str]]:
    """Return every index of up to so many of the columns that a statement names of a table, with the statements."""
    found: dict[Index, list[str]] = {}
    for name, statement in statements.items():
        for table in statement.tables():
            named: set[str] = set()
            for use in statement.uses:
                if use.table == table:
                    named |= use.columns or {*use.equals, *use.among, *use.ranges}
            for size in range(1, columns + 1):
                for chosen in itertools.permutations(sorted(named), size):
                    found.setdefault((table, chosen), []).append(name)
    return found


def costs(
    connection: Any,
    queries: Mapping[str, str],
    indexes: Mapping[Index, Iterable[str]],
    before: Mapping[str, float],
) -> Iterator[tuple[Index, str, float]]:
    """Yield what each statement costs with each index, exactly where that is at most half of what it costs ``before``."""
    programs = {name: program(connection, sql) for name, sql in queries.items()}
    for index, names in indexes.items():
        with Made(connection, index):
            for name in names:
                same = programs[name] is not None and program(connection, queries[name]) == programs[name]
                yield (
                    index,
                    name,
                    before[name] if same else cost(connection, queries[name], HALF * before[name]),
                )


def grade(
    before: Mapping[str, float],
    tried: Mapping[tuple[Index, str], float],
    suggested: Mapping[tuple[Index, str], float],
    with_all: Mapping[str, float] | None = None,
    slack: float = 0.05,
) -> tuple[list[tuple[Index, str]], list[tuple[Index, str]], list[Index]]:
    """Return the found indexes with the statements whose cost they halve; those that nothing suggested matches; and the others.

    An index that was found is matched for its statement by a suggested one of the same table that saves as much, but for
    ``slack``, a part of what the statement costs without any; or by all of the suggested together, if what the statement costs
    ``with_all`` is given. Suggestions are made together: an index of another table that does more for a statement is no lack of
    this one, and SQLite leaves an index of one table alone that it uses beside those of the others. The others are suggested and
    halve the cost of no statement.
    """
    found = [(index, name) for (index, name), cost in tried.items() if cost <= HALF * before[name]]
    missed = [
        (index, name)
        for index, name in found
        if not any(
            other[0] == index[0] and of == name and cost <= tried[index, name] + slack * before[name]
            for (other, of), cost in suggested.items()
        )
        and (with_all or {}).get(name, math.inf) > tried[index, name] + slack * before[name]
    ]
    useful = {index for (index, name), cost in suggested.items() if cost <= HALF * before[name]}
    return (
        found,
        missed,
        [index for index in dict.fromkeys(index for index, _ in suggested) if index not in useful],
    )
