"""What the measurements of the cache share: a row of the table, ratios from interleaved rounds, and other processes."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import common

TIERED = "perfsuite.caching.TieredCache"
DJANGO_REDIS = "django_redis.cache.RedisCache"
LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
NAME = f"benchmark-{os.getpid()}"  # so that a second run on this host is not on the same channel
VALUE = {
    "id": 1,
    "title": "x" * 100,
    "body": "y" * 600,
    "tags": ["a", "b"],
    "when": 1.5,
    "n": list(range(60)),
}  # about 910 bytes pickled
TEXT = "z" * 1_000


@dataclass(frozen=True)
class Effort:
    """How much is measured: the rounds of a ratio, and whether all sizes are small, to see that it runs."""

    rounds: int
    is_quick: bool

    def of(self, full: int, quick: int) -> int:
        return quick if self.is_quick else full


@dataclass(frozen=True)
class Row:
    """A line of the table. ``held`` is None where there is only a goal, or nothing to hold."""

    what: str
    measured: str
    bar: str = ""
    held: bool | None = None

    @property
    def verdict(self) -> str:
        return "" if self.held is None else "held" if self.held else "missed"


@dataclass(frozen=True)
class Ratio:
    """How many times as quick ours was: in each round by the clock, and by the processor's time of the thread."""

    by_clock: Sequence[float]
    by_cpu: Sequence[float]

    @property
    def median(self) -> float:
        return statistics.median(self.by_clock)

    def __str__(self) -> str:
        low, middle, high = statistics.quantiles(self.by_clock, n=4)
        cpu = f", CPU {statistics.median(self.by_cpu):.2f}x" if self.by_cpu else ""
        return f"{middle:.2f}x ({low:.2f}-{high:.2f}){cpu}"


def ratio(ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int, calls: int) -> Ratio:
    """Compare two calls, each made ``calls`` times in a round, in an order that alternates."""
    by_clock, by_cpu = [], []
    for number in range(max(2, rounds)):
        order = (ours, theirs) if number % 2 else (theirs, ours)
        took = {call: timed(call, calls) for call in order}
        by_clock.append(took[theirs][0] / took[ours][0])
        by_cpu.append(took[theirs][1] / took[ours][1])
    return Ratio(by_clock, by_cpu)


def timed(call: Callable[[], Any], calls: int) -> tuple[float, float]:
    began, cpu = time.perf_counter(), time.thread_time()
    for _ in range(calls):
        call()
    return time.perf_counter() - began, time.thread_time() - cpu


def ratio_of_threads(
    ours: Callable[[], Any], theirs: Callable[[], Any], rounds: int, calls: int, threads: int
) -> Ratio:
    """Compare two calls made by several threads at once. There is no processor's time: a part of it is waiting for turns."""
    found = []
    for number in range(max(2, rounds)):
        order = (ours, theirs) if number % 2 else (theirs, ours)
        took = {call: _timed_in_threads(call, calls, threads) for call in order}
        found.append(took[theirs] / took[ours])
    return Ratio(found, ())


def _timed_in_threads(call: Callable[[], Any], calls: int, threads: int) -> float:
    barrier = threading.Barrier(threads + 1)

    def run() -> None:
        barrier.wait()
        for _ in range(calls):
            call()
        barrier.wait()

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    barrier.wait()
    began = time.perf_counter()
    barrier.wait()
    took = time.perf_counter() - began
    for worker in workers:
        worker.join()
    return took


def at_least(what: str, bar: float, found: Ratio, unit: str = "LocMemCache") -> Row:
    return Row(what, str(found), f">= {bar:g}x {unit}", found.median >= bar)


def settings_of(url: str, name: str = NAME) -> dict[str, Any]:
    """Return CACHES: ours with its channel and without, ours before Redis, and the two alternatives."""
    behind = {"TIERS": {"cold": {"ALIAS": "redis"}}}
    return {
        "default": {"BACKEND": TIERED, "LOCATION": name},
        "unchanneled": {"BACKEND": TIERED, "LOCATION": f"{name}-alone", "OPTIONS": {"CHANNEL": "none"}},
        "behind": {"BACKEND": TIERED, "LOCATION": name, "OPTIONS": behind},
        "locmem": {"BACKEND": LOCMEM, "OPTIONS": {"MAX_ENTRIES": 1_000_000}},
        "redis": {"BACKEND": DJANGO_REDIS, "LOCATION": url, "OPTIONS": {"SOCKET_TIMEOUT": 60}},
    }


class Process:
    """Another process with the same caches, which runs one function of one of these modules and speaks by lines of JSON."""

    def __init__(self, function: Callable[..., None], *args: Any) -> None:
        from django.conf import settings

        url = settings.CACHES["redis"]["LOCATION"]
        job = json.dumps([function.__module__, function.__name__, url, NAME, args])
        command = [sys.executable, __file__, job]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._to, self._from = self.process.stdin, self.process.stdout

    def say(self, message: Any) -> None:
        self._to.write(json.dumps(message) + "\n")
        self._to.flush()

    def hear(self) -> Any:
        line = self._from.readline()
        if not line:
            raise SystemExit("A process of the benchmark ended early; its error is above.")
        return json.loads(line)

    def end(self) -> None:
        self._to.close()
        self.process.wait(60)
        self._from.close()


@contextlib.contextmanager
def process(function: Callable[..., None], *args: Any) -> Iterator[Process]:
    """Have another process run ``function(*args)`` until the block ends; it has said that it is ready."""
    made = Process(function, *args)
    try:
        made.hear()
        yield made
    finally:
        made.end()


def say(message: Any) -> None:
    """Say something to the process that started this one."""
    print(json.dumps(message), flush=True)


def hear() -> Any:
    """Return what the process that started this one says, None when it has no more to say."""
    line = sys.stdin.readline()
    return json.loads(line) if line else None


def set_up(url: str, name: str = NAME) -> None:
    common.configure({"ENGINE": common.SQLITE, "NAME": ":memory:"}, CACHES=settings_of(url, name))


def attend(function_of: str, name: str, url: str, location: str, args: Sequence[Any]) -> None:
    """Be the other process."""
    import importlib

    set_up(url, location)
    getattr(importlib.import_module(function_of), name)(*args)


if __name__ == "__main__":
    attend(*json.loads(sys.argv[1]))
