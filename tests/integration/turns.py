"""Processes of many threads that all want one cold key of a shared tier, also when the one who computes it is killed.

``python -m tests.integration.turns URL`` prints what came of it as JSON.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PROCESSES, THREADS = 4, 20
COMPUTE_S = 0.3
fork = multiprocessing.get_context("fork")


def _set_up(url: str) -> None:
    import django
    from django.conf import settings

    tiers = {"TIERS": {"cold": {"ALIAS": "shared"}}}
    tiered = {"BACKEND": "perfsuite.caching.TieredCache"}
    shared = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": url, "OPTIONS": {"SOCKET_TIMEOUT": 5}}
    patient = {"LOCATION": "turns", "OPTIONS": {**tiers, "LOCK_TTL": 1.0, "WAIT": 20.0}}
    hasty = {"LOCATION": "turns", "OPTIONS": {**tiers, "LOCK_TTL": 60.0, "WAIT": 0.5}}
    caches = {"default": {**tiered, **patient}, "hasty": {**tiered, **hasty}, "shared": shared}
    settings.configure(SECRET_KEY="turns", INSTALLED_APPS=[], CACHES=caches)
    django.setup()


def want(alias: str, key: str, calls: Any, results: Any) -> None:
    """Have all threads of this process want the key at once; say what they got and how long the slowest waited."""
    from django.core.cache import caches

    def compute() -> str:
        with calls.get_lock():
            calls.value += 1
        time.sleep(COMPUTE_S)
        return "value"

    began = time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        got = list(pool.map(lambda _: caches[alias].get_or_set(key, compute), range(THREADS)))
    results.put((len(got), sorted(set(got)), time.monotonic() - began))


def hang(alias: str, key: str, computes: Any) -> None:
    """Begin to compute and never end."""
    from django.core.cache import caches

    def compute() -> None:
        computes.set()
        time.sleep(60)

    caches[alias].get_or_set(key, compute)


def all_want(alias: str, key: str, kill_first: bool) -> dict[str, Any]:
    calls, results, computes = fork.Value("i", 0), fork.Queue(), fork.Event()
    if kill_first:
        first = fork.Process(target=hang, args=(alias, key, computes))
        first.start()
        assert computes.wait(30)
        os.kill(first.pid, signal.SIGKILL)
        first.join()
    processes = [fork.Process(target=want, args=(alias, key, calls, results)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    return {
        "calls": calls.value,
        "answers": sum(number for number, _, _ in found),
        "values": sorted({value for _, values, _ in found for value in values}),
        "slowest_s": max(seconds for _, _, seconds in found),
    }


def main(arguments: Sequence[str]) -> None:
    _set_up(arguments[0])
    said = {
        "cold": all_want("default", "cold", kill_first=False),
        "killed": all_want("default", "killed", kill_first=True),
        "hasty": all_want("hasty", "hasty", kill_first=True),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1:])
