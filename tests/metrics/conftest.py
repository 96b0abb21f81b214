"""A process of its own for each test: empty recorder, fresh flusher and candidate, hooks on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perfsuite.metrics import guard, leader, query
from perfsuite.metrics.flusher import flusher
from perfsuite.metrics.recorder import recorder


def _reset() -> None:
    recorder._reset()
    flusher._reset()
    leader._reset()
    query._described.clear()
    for each in guard._guards:
        each.reset()


@pytest.fixture(autouse=True)
def _own_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(guard, "_guards", list(guard._guards))
    _reset()
    yield
    _reset()


class Clock:
    """A clock that stands still until a test moves it; put in place of ``time`` in one of our modules."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
        self.now = 1_000_000.0
        self.epoch = 1_763_800_000.0
        for module in modules:
            monkeypatch.setattr(f"{module}.time", self)

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.epoch

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.move(seconds)

    def move(self, seconds: float) -> None:
        self.now += seconds
        self.epoch += seconds
