"""How many of the indexes that help are suggested, and how many others.

``python benchmarks/suggest.py`` makes the wholesaler's database (tests/indexes/wholesale: the eight tables of TPC-H in
small) on SQLite, or on PostgreSQL: ``python -m tests.servers postgresql -- python benchmarks/suggest.py``. It asks for
suggestions, then makes every index of up to three columns, one after the other, and asks for the cost of each statement
that could use it: the planner's on PostgreSQL, steps of the virtual machine on SQLite. ``--size 0.2`` makes less;
``--fingerprints`` suggests from the statements without their values, as they are recorded by default.
"""

from __future__ import annotations

import argparse
import time

import common
from indexes import database


def print_summary(vendor: str, found: int, alone: int, missed: int, chosen: int, others: int) -> None:
    """Print how many were found, matched, suggested and of no use."""
    rows = [
        ("indexes that halve a statement's cost", found),
        (
            "of these matched by a suggested one of the same table",
            f"{found - alone} ({1 - alone / found:.1%})",
        ),
        (
            "of these matched by it or by all that is suggested",
            f"{found - missed} ({1 - missed / found:.1%})",
        ),
        ("suggested", chosen),
        ("of these halve no statement's cost", f"{others} ({others / max(1, chosen):.0%})"),
    ]
    common.print_table(["", vendor], rows)


def main() -> None:
    """Print what was found, what was suggested, and what they have in common."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=float, default=1.0)
    parser.add_argument("--columns", type=int, default=3)
    parser.add_argument("--fingerprints", action="store_true")
    parser.add_argument("--details", action="store_true")
    options = parser.parse_args()
    common.configure(database(), apps=["perfsuite.metrics", "perfsuite.indexes"])
    from django.db import connection

    from perfsuite.indexes.engines import opened
    from tests.indexes.wholesale import search, suggested
    from tests.indexes.wholesale.queries import QUERIES
    from tests.indexes.wholesale.schema import drop, fill

    fill(connection, options.size)
    started = time.perf_counter()
    with opened("default") as engine:
        chosen = suggested.suggest(engine, connection.vendor, QUERIES, values=not options.fingerprints)
    print(f"{common.machine()}; {connection.vendor}")
    print(
        f"{len(chosen)} indexes suggested for {len(QUERIES)} statements in {time.perf_counter() - started:.1f} s"
    )
    before = {name: search.cost(connection, sql) for name, sql in QUERIES.items()}
    possible = search.possible(suggested.read(QUERIES), options.columns)
    started = time.perf_counter()
    tried = {(index, name): cost for index, name, cost in search.costs(connection, QUERIES, possible, before)}
    print(f"{len(possible)} indexes tried for {len(tried)} costs in {time.perf_counter() - started:.0f} s")
    asked = {index: list(QUERIES) for index in chosen}
    with_suggested = {
        (index, name): cost for index, name, cost in search.costs(connection, QUERIES, asked, before)
    }
    with_all = search.together(connection, QUERIES, chosen, before)
    found, alone, others = search.grade(before, tried, with_suggested)
    _, missed, _ = search.grade(before, tried, with_suggested, with_all)
    drop(connection)
    for name in QUERIES:
        mine = [(cost / before[name], index) for (index, of), cost in with_suggested.items() if of == name]
        best = min((cost / before[name], index) for (index, of), cost in tried.items() if of == name)
        ratio, index = min(mine)
        print(
            f"  {name}: best {best[0]:.2f} {suggested.shown(best[1])}; suggested {ratio:.2f} {suggested.shown(index)}"
        )
    for index in chosen:
        serves = {name: cost / before[name] for (of, name), cost in with_suggested.items() if of == index}
        told = ", ".join(f"{name} {ratio:.2f}" for name, ratio in serves.items() if ratio <= search.HALF)
        print(f"suggested {suggested.shown(index)}: {told or 'helps none'}")
    if options.details:
        for index, name in alone:
            print(
                f"{'missed' if (index, name) in missed else 'matched by all together'}: {suggested.shown(index)} for {name}: "
                f"{tried[index, name] / before[name]:.3f}, with all that is suggested {with_all[name] / before[name]:.3f}"
            )
    print_summary(connection.vendor, len(found), len(alone), len(missed), len(chosen), len(others))


if __name__ == "__main__":
    main()
