"""What the queries app has Python run for a query, counted and not timed: the same by one Python on any machine, busy or not.

The 20-query view of queries.py runs without and with the execute wrapper while Python counts the instructions of its bytecode, by
function. Told is how many more there are with it, a query, what requests come to included. What C code does for an instruction is
not counted, so this says where to look, and queries.py what it costs. Python 3.12 does not count; 3.11 and 3.13 do.

    python benchmarks/opcodes.py [--rows 20] [--more]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import common
import queries

REQUESTS = 30  # as many as the recorder adds up together
WARM_UP = 2 * REQUESTS
# Under the count everything takes long, and what is slow is looked at by itself.
NEVER_SLOW = {"SLOW_QUERY_MS": 1e7, "N_PLUS_ONE_MS": 1e7}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20, help="functions to list")
    parser.add_argument("--more", action="store_true", help="with the tenant guard and CAPTURE_PARAMS")
    options = parser.parse_args()
    print(f"{common.machine()}\npython benchmarks/opcodes.py {' '.join(sys.argv[1:])}".rstrip() + "\n")
    with tempfile.TemporaryDirectory(prefix="perfsuite-bench-") as folder:
        view = queries.set_up(Path(folder))
        queries.use(NEVER_SLOW | (queries.MORE if options.more else {}))
        off, on = counted(view)
    if not off or not on:
        raise SystemExit("This Python counted no instructions; run this with Python 3.11 or 3.13.")
    more = {code: on[code] - off[code] for code in on | off}
    rows: list[list[object]] = [
        [f"{Path(code.co_filename).name}:{code.co_firstlineno}", code.co_name, f"{per_query(count):.1f}"]
        for code, count in sorted(more.items(), key=lambda each: -each[1])[: options.rows]
    ]
    common.print_table(["where", "function", "more, a query"], rows)
    bare, added = per_query(off.total()), per_query(sum(more.values()))
    print(f"\nIn all {added:.0f} more than {bare:.0f}, which is {added / bare:.1%}.")


def per_query(count: int) -> float:
    return count / REQUESTS / queries.QUERIES


def counted(view: Callable[[], float]) -> tuple[Counter[CodeType], Counter[CodeType]]:
    """Return the instructions that requests run without and with the wrapper, by code."""
    from django.db import connection

    from perfsuite.metrics.flusher import flusher
    from perfsuite.metrics.recorder import recorder
    from perfsuite.queries import sql

    def serve(requests: int) -> None:
        for _ in range(requests):
            view()
        recorder._add_up(wait=True)  # noqa: SLF001 - what take() does, without its sources

    flusher.stop()
    sql.install()
    wrappers, counts = list(connection.execute_wrappers), []
    for way in ([], wrappers):
        connection.execute_wrappers[:] = way
        count = Counter[CodeType]()
        sys.settrace(counter(count))
        try:
            serve(WARM_UP)  # Python 3.13 counts a function from its second call on
            count.clear()
            serve(REQUESTS)
        finally:
            sys.settrace(None)
        counts.append(count)
    return counts[0], counts[1]


def counter(count: Counter[CodeType]) -> Callable[[FrameType, str, Any], Any]:
    """Return what Python calls for each frame and instruction."""

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        if event == "opcode":
            count[frame.f_code] += 1
        return trace

    return trace


if __name__ == "__main__":
    main()
