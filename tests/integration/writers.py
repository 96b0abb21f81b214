"""Eight processes that flush at once: ``python -m tests.integration.writers FLUSHES`` prints what came of it, as JSON.

Each process records and flushes as a worker does. ``errors`` are flushes that failed at the first attempt, ``stored`` is the
number of values that the store has, ``recorded`` how many there should be.
"""

from __future__ import annotations

import json
import subprocess
import sys

import django

WRITERS = 8
VALUES = 5
KIND = "operations"


def main(flushes: int) -> None:
    command = [sys.executable, "-m", "tests.integration.writers", "write", str(flushes)]
    writers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(WRITERS)]
    errors = sum(int(writer.communicate()[0]) for writer in writers)
    django.setup()
    from perfsuite.metrics.query import Window, totals_by

    found = totals_by(KIND, Window.last(3_600), "name")
    recorded = WRITERS * flushes * VALUES
    print(
        json.dumps(
            {"errors": errors, "stored": sum(each.count for each in found.values()), "recorded": recorded}
        )
    )


def write(flushes: int) -> None:
    """Flush so many times, a few series with each, and print how many of them failed."""
    django.setup()
    from perfsuite.metrics.flusher import flusher
    from perfsuite.metrics.recorder import recorder

    recorder.on_first = None
    errors = 0
    for number in range(flushes):
        for value in range(VALUES):
            recorder.observe(KIND, (f"operation-{(number + value) % 20}", "ok"), 1_000.0 * (value + 1))
        errors += not flusher.flush()
    print(errors)


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(int(sys.argv[2]))
    else:
        main(int(sys.argv[1]))
