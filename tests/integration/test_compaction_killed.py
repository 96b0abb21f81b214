"""Compaction may be killed at any instant, and nothing is counted twice or lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_totals_are_exact_after_two_hundred_kills(tmp_path: Path) -> None:
    env = {**os.environ, "PERFSUITE_TEST_DIR": str(tmp_path), "TEST_DATABASE": "sqlite"}
    command = [sys.executable, "-m", "tests.integration.compaction_under_fire", "200"]
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    said = json.loads(done.stdout)
    assert said["killed"] == 200
    assert said["values"] > 5_000
    assert said["wrong"] == []
