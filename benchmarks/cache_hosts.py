"""What processes of one host see of each other, and how often a value is computed that many want at once."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from cache_common import VALUE, Effort, Process, Row, hear, process, say
from common import ROOT
from django.core.cache import caches

THREADS, PROCESSES = 20, 4
COMPUTING_S = 0.2


# The channel of the host


def change() -> None:
    """Change what is said, and say so when the change has returned."""
    ours = caches["default"]
    ours.get("seen0")
    say("ready")
    while (asked := hear()) is not None:
        how, key, number = asked
        if how == "invalidate":
            ours.invalidate_tags(f"{key}'s tag")
        elif how == "set":
            ours.set(key, number, None)
        elif how == "delete":
            ours.delete(key)
        else:
            ours.clear()
        say("done")


def seen(effort: Effort) -> Iterator[Row]:
    """Hold a copy, have it changed by another process, read: it must not be the copy."""
    ours, times, stale, hits = caches["default"], effort.of(4_000, 100), 0, 0
    ways = ("invalidate", "set", "delete", "invalidate", "set", "delete", "clear")
    with process(change) as other:
        for number in range(times):
            key = f"seen{number % 10}"
            ours.set(key, -number, None, tags=[f"{key}'s tag"], tier=("hot", "warm", "cold")[number % 3])
            hits += ours.get(key) == -number
            other.say([ways[number % len(ways)], key, number])
            other.hear()
            stale += ours.get(key) == -number
    words = f"{stale} of {times:,} changes not seen ({hits:,} copies held)"
    yield Row("changes seen at the next read, host channel", words, "0", stale == 0 and hits == times)


def coherence(effort: Effort) -> Iterator[Row]:
    """Processes that change and read at random, writers killed among them; three of them read."""
    reads = effort.of(34_000, 500)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tests.integration.coherence", folder, str(reads)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    said = json.loads(done.stdout)
    words = (
        f"{said['stale']} of {said['reads']:,} ({said['changes']:,} changes, {said['killed']} writers killed)"
    )
    yield Row("stale reads, processes that change, read and are killed", words, "0", said["stale"] == 0)


# Single flight


def compute_at_once(alias: str, key: str) -> int:
    """Want a cold key in twenty threads at once; return how often it was computed here."""
    cache, calls, barrier = caches[alias], [], threading.Barrier(THREADS)

    def compute() -> Any:
        calls.append(1)
        time.sleep(COMPUTING_S)
        return VALUE

    def want() -> None:
        barrier.wait()
        cache.get_or_set(key, compute)

    threads = [threading.Thread(target=want) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(calls)


def want() -> None:
    """Do the same when told, by the clock that all processes of a host share."""
    for alias in ("behind", "locmem"):
        caches[alias].get("nothing")
    say("ready")
    while (asked := hear()) is not None:
        alias, key, at = asked
        time.sleep(max(0.0, at - time.monotonic()))
        say(compute_at_once(alias, key))


def flights(effort: Effort) -> Iterator[Row]:
    times = effort.of(10, 2)
    worst = max(compute_at_once("default", f"cold{number}") for number in range(times))
    theirs = max(compute_at_once("locmem", f"cold{number}") for number in range(2))
    words = f"{worst} (LocMemCache: {theirs})"
    yield Row(
        f"computations, {THREADS} threads want a cold key, most of {times} times", words, "1", worst == 1
    )
    with ExitStack() as stack:
        others = [stack.enter_context(process(want)) for _ in range(PROCESSES)]
        worst = max(all_at_once(others, "behind", f"cold{number}") for number in range(times))
        theirs = max(all_at_once(others, "locmem", f"cold{number}") for number in range(2))
    what = f"computations, {PROCESSES} processes of {THREADS} threads, Redis, most of {times} times"
    yield Row(what, f"{worst} (LocMemCache: {theirs})", "<= 2", worst <= 2)


def all_at_once(others: list[Process], alias: str, key: str) -> int:
    at = time.monotonic() + 0.1
    for other in others:
        other.say([alias, key, at])
    return sum(other.hear() for other in others)


MEASUREMENTS = {"seen": seen, "coherence": coherence, "flights": flights}
