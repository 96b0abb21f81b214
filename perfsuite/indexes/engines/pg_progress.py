"""How far a build of PostgreSQL is, told from its own view, ``pg_stat_progress_create_index``, over a second connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django.db

from perfsuite.indexes.engines.base import Say
from perfsuite.metrics.request import suppress

EVERY_S = 1.0
_PROGRESS = """
    SELECT p.phase, p.blocks_done, p.blocks_total, p.tuples_done, p.tuples_total, p.lockers_done, p.lockers_total
    FROM pg_stat_progress_create_index p WHERE p.pid = %s
"""
_PID = "SELECT pg_backend_pid()"


@contextmanager
def told(connection: Any, table: str, say: Say) -> Iterator[None]:
    """Say once a second how far the build on ``connection`` is, while the block runs. What goes wrong with it is not told."""
    with connection.cursor() as cursor:
        cursor.execute(_PID)
        (pid,) = cursor.fetchone()
    done = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(connection.copy(), pid, table, say, done), name="perfsuite-indexes", daemon=True
    )
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _watch(connection: Any, pid: int, table: str, say: Say, done: threading.Event) -> None:
    connection.inc_thread_sharing()  # it was made in the thread that builds
    last = ""
    try:
        with suppress():
            while not done.wait(EVERY_S):
                with connection.cursor() as cursor:
                    cursor.execute(_PROGRESS, [pid])
                    row = cursor.fetchone()
                if row and (words := in_words(*row)) != last:
                    last = words
                    say(f"{table}: {words}")
    except django.db.Error:
        return  # a server without a free connection builds nevertheless
    finally:
        connection.close()


def in_words(
    phase: str, blocks: int, all_blocks: int, tuples: int, all_tuples: int, lockers: int, all_lockers: int
) -> str:
    """Return a phase with its progress, by what the phase counts."""
    for done, total, unit in (
        (lockers, all_lockers, "transactions"),
        (tuples, all_tuples, "rows"),
        (blocks, all_blocks, "blocks"),
    ):
        if total and done <= total:
            return f"{phase}, {done:,} of {total:,} {unit}, {100 * done // total} %"
    return phase
