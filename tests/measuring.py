"""Where coverage is measured, and where not: following each line makes a test take twice its time.

Tests that run whole sites, those of long histories, and those with a hundred random examples run lines that shorter tests run
as well. On a server most lines are those that SQLite runs, so there only what is about its own engine is measured. The floor
holds without the others.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

UNMEASURED = ("integration", "sample", "long_history", "hypothesis")
# The folders of tests that are measured on a database other than SQLite.
OF_ITS_OWN = {"postgresql": ("indexes", "explain"), "mongodb": ("indexes", "queries", "storages")}
CHILDREN = "COVERAGE_PROCESS_CONFIG"  # by which coverage has child processes measured


# What measures, and what was taken out of the environment, while nothing is measured; None while something is, or never was.
_resting: tuple[Any, dict[str, str]] | None = None


def measure_if_short(item: pytest.Item) -> None:
    """Measure what a test does, and the processes that it starts, from now on, or nothing, as the test wants it.

    Called before each test. To stop and to start take a tenth of a second, so neither is done between two that want the same.
    """
    global _resting
    if _resting is not None:
        if _is_measured(item):
            measuring, environment = _resting
            _resting = None
            os.environ.update(environment)
            measuring.start()
        return
    coverage = sys.modules.get("coverage")
    measuring = None if coverage is None else coverage.Coverage.current()
    if measuring is not None and not _is_measured(item):
        config = os.environ.pop(CHILDREN, None)
        _resting = measuring, {} if config is None else {CHILDREN: config}
        measuring.stop()


def _is_measured(item: pytest.Item) -> bool:
    if any(item.get_closest_marker(mark) for mark in UNMEASURED):
        return False
    folders = OF_ITS_OWN.get(os.environ.get("TEST_DATABASE", ""))
    return folders is None or any(name in item.path.parts for name in folders)
