"""A probe as SQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

from perfsuite.indexes.suggesting.figures import Keys
from perfsuite.indexes.suggesting.probing import LIMIT, Probe

TIMES = 5
INDEX = "suggested_idx"


def select(
    probe: Probe, table: str, values: Mapping[str, Any], quoted: Callable[[str], str], mark: str
) -> tuple[str, list[Any]]:
    """Return the statement of a probe on a table, with its parameters; ``mark`` is the driver's placeholder."""
    conditions, params = [], []
    for name in probe.equals:
        if values[name] is None:
            conditions.append(f"{quoted(name)} IS NULL")
        else:
            conditions.append(f"{quoted(name)} = {mark}")
            params.append(values[name])
    for name, operator in probe.bounds:
        conditions.append(f"{quoted(name)} {operator} {mark}")
        params.append(values[f"{name} {operator}"])
    what = "COUNT(*)" if probe.counts else ", ".join(map(quoted, probe.columns)) or "*"
    sql = f"SELECT {what} FROM {table}"  # noqa: S608 - names are quoted, values are parameters
    sql += f" WHERE {' AND '.join(conditions)}" if conditions else ""
    order = ", ".join(f"{quoted(name)}{' DESC' if down else ''}" for name, down in probe.order)
    sql += f" ORDER BY {order}" if order else ""
    return sql + (f" LIMIT {LIMIT}" if probe.has_limit and not probe.counts else ""), params


def shown(probe: Probe, quoted: Callable[[str], str]) -> str:
    """Return the statement without its values, on the table that it is for."""
    values: dict[str, Any] = dict.fromkeys(probe.equals, 0)
    values.update({f"{name} {operator}": 0 for name, operator in probe.bounds})
    return select(probe, quoted(probe.table), values, quoted, "?")[0]


def create(table: str, keys: Keys, quoted: Callable[[str], str]) -> str:
    """Return the statement that makes the index."""
    columns = ", ".join(f"{quoted(key.column)}{' DESC' if key.descends else ''}" for key in keys)
    return f"CREATE INDEX {INDEX} ON {table} ({columns})"


def timed(run: Callable[[], object]) -> float:
    """Return the median of the milliseconds of some runs, behind one that warms the cache."""
    run()
    took = []
    for _ in range(TIMES):
        started = time.perf_counter()
        run()
        took.append((time.perf_counter() - started) * 1e3)
    return median(took)
