"""A process of its own for each test: empty recorder, fresh flusher and candidate, hooks on."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from perfsuite.caching import engine
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
    # What other apps have to say with each flush, such as how this run's own pools are. A test may undo all that is patched.
    sources, recorder._sources = recorder._sources, []
    # Changed settings have them say it again.
    monkeypatch.setattr(recorder, "before_take", lambda source: None)
    # Changed settings have the caches recorded again; those that other tests have used are of no interest here.
    monkeypatch.setattr(engine, "_engines", {})
    # A leader has what its test registers to do, and not the jobs of all apps, which look at each table and its history.
    monkeypatch.setattr(leader, "_jobs", {})
    _reset()
    yield
    _reset()
    recorder._sources = sources


ROOT = Path(__file__).resolve().parent.parent.parent


def start_host(script: str, folder: Path, **env: str) -> subprocess.Popen[str]:
    """Start ``script`` in a process of its own, outside any test run: the test host on SQLite, its databases in ``folder``."""
    lines = ["import os, sys, time, logging, threading, signal", "import django", "django.setup()"]
    lines += [
        "from perfsuite.metrics import flush, leader, query",
        "from perfsuite.metrics.flusher import flusher",
    ]
    lines += ["from perfsuite.metrics.recorder import recorder", "from perfsuite.metrics.query import Window"]
    return subprocess.Popen(
        [sys.executable, "-c", "\n".join(lines) + "\n" + textwrap.dedent(script)],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PERFSUITE_TEST_DIR": str(folder),
            "TEST_DATABASE": "sqlite",
            **env,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_host(script: str, folder: Path, **env: str) -> str:
    """Run ``script`` as ``start_host`` does, to its end, and return what it printed."""
    with start_host(script, folder, **env) as process:
        printed, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return printed.strip()


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
