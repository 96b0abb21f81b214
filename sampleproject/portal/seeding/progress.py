"""Progress of a long command: a bar on a terminal, one plain line a stage elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

WIDTH = 30


class Progress:
    """Tells how far each stage has come. `write` gets pieces of text, not lines, and shows them at once."""

    def __init__(self, write: Callable[[str], None], *, bar: bool) -> None:
        self.write = write
        self.bar = bar

    @contextmanager
    def stage(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        """Yield a function that is called with the number of things done since its last call."""
        started = time.perf_counter()
        done, shown = 0, -1

        def advance(count: int) -> None:
            nonlocal done, shown
            done += count
            percent = 100 * done // max(total, 1)
            if self.bar and percent != shown:
                shown = percent
                bar = ("█" * (WIDTH * percent // 100)).ljust(WIDTH, "░")
                self.write(f"\r{label:<8} {bar} {done:>7,} of {total:,}")

        advance(0)
        yield advance
        took = f"in {time.perf_counter() - started:.1f} s\n"
        self.write(f" {took}" if self.bar else f"{label}: {done:,} {took}")
