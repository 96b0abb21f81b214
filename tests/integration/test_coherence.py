"""Processes with memory tiers and no server: nobody reads what another has changed, whoever is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.servers import ROOT

READS = 35_000  # of each of three readers


def test_nothing_stale_is_read_by_three_processes_while_two_change_it_and_are_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.integration.coherence", str(tmp_path), str(READS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    said = json.loads(done.stdout)
    assert said["stale"] == 0
    assert said["reads"] == 3 * READS
    assert said["killed"] > 0
    assert said["changes"] > 100
    assert said["hits"] > READS // 2
