"""Processes that change and read one cache of memory tiers at random, some of them killed.

``python -m tests.integration.coherence DIRECTORY READS`` prints what came of it as JSON. Each key has two numbers in memory that
all processes share: what the source of the data has, and what a reader must see at least, which moves only after the change of
the cache has returned. A read that finds less is stale.
"""

from __future__ import annotations

import json
import mmap
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

KEYS = 40
CHANGES = 2 * KEYS
READERS = 3
WRITERS = 2
KILL_EVERY_S = 0.2


def _set_up(directory: str) -> None:
    import django
    from django.conf import settings

    default = {"BACKEND": "perfsuite.caching.TieredCache", "OPTIONS": {"RUN_DIR": directory}}
    settings.configure(SECRET_KEY="coherence", INSTALLED_APPS=[], CACHES={"default": default})
    django.setup()
    from perfsuite.caching.coherence import host
    from perfsuite.caching.tiered import TieredCache  # noqa: F401 - once, so that a process begins at once

    host.MAX_LOG_BYTES = 20_000  # so that the log is followed by another many times


def _cache() -> Any:
    """Return the cache of this process, which must not be the first one's."""
    from django.core.cache import caches

    return caches["default"]


class Truth:
    """For each key what the source has and what a reader must see; and how many reads were made, and how many were stale."""

    def __init__(self) -> None:
        self.map = mmap.mmap(-1, 4096)
        self.numbers = memoryview(self.map).cast("Q")

    def source(self, key: int) -> int:
        return self.numbers[key]

    def visible(self, key: int) -> int:
        return self.numbers[KEYS + key]


def change(cache: Any, truth: Truth, seed: int) -> None:
    """Change keys for ever, those of this writer."""
    chance = random.Random(seed)
    mine = range(seed % WRITERS, KEYS, WRITERS)
    while True:
        key = chance.choice(mine)
        version = truth.numbers[key] = truth.source(key) + 1
        how = chance.random()
        if how < 0.5:
            cache.invalidate_tags(f"key:{key}", mode=chance.choice(["expire", "remove"]))
        elif how < 0.8:
            # A change of the source invalidates, and then the new value may be set.
            cache.invalidate_tags(f"key:{key}")
            cache.set(f"k{key}", version, tags=[f"key:{key}"])
        elif how < 0.98:
            cache.invalidate_tags(f"key:{key}", "all")
        else:
            cache.invalidate_tags(f"key:{key}")
            cache.clear()
        truth.numbers[KEYS + key] = version
        truth.numbers[CHANGES] += 1
        time.sleep(chance.random() / 2_000)


def look(cache: Any, truth: Truth, seed: int, reads: int, results: Any) -> None:
    """Read keys, filling what is missing from the source, and count what was stale."""
    chance = random.Random(seed)
    stale, hits = 0, 0
    for _ in range(reads):
        key = chance.randrange(KEYS)
        least = truth.visible(key)
        how = chance.random()
        if how < 0.7:
            value = cache.get(f"k{key}")
            if value is None:
                fresh = truth.source(key)
                if chance.random() < 0.1:
                    time.sleep(0.0005)  # so that changes fall into the computation
                cache.set(f"k{key}", fresh, tags=[f"key:{key}", "all"])
            else:
                hits += 1
        else:
            value = cache.get_or_set(f"k{key}", lambda key=key: truth.source(key), tags=[f"key:{key}", "all"])
        stale += value is not None and value < least
    results.put((reads, stale, hits))


def main(arguments: Sequence[str]) -> None:
    directory, reads = arguments[0], int(arguments[1])
    _set_up(directory)
    fork = multiprocessing.get_context("fork")
    truth, results = Truth(), fork.Queue()

    def process(target: Any, *args: Any) -> Any:
        made = fork.Process(target=lambda: target(_cache(), truth, *args), daemon=True)
        made.start()
        return made

    readers = [process(look, number, reads, results) for number in range(READERS)]
    writers = [process(change, number) for number in range(WRITERS)]
    killed = 0
    while any(reader.is_alive() for reader in readers) and results.qsize() < READERS:
        time.sleep(KILL_EVERY_S)
        victim = random.randrange(WRITERS)
        os.kill(writers[victim].pid, signal.SIGKILL)
        writers[victim].join()
        # What the victim had begun never returned; its successor does it once more, as an operator would.
        killed += 1
        writers[victim] = process(change, victim + WRITERS * killed)
    for writer in writers:
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    found = [results.get() for _ in readers]
    for reader in readers:
        reader.join()
    totals = [sum(column) for column in zip(*found, strict=True)]
    print(
        json.dumps(
            dict(zip(("reads", "stale", "hits"), totals, strict=True))
            | {"killed": killed, "changes": truth.numbers[CHANGES]}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1:])
