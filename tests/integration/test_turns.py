"""Four processes of twenty threads want one cold key of a shared tier: it is computed once or twice, whoever is killed."""

from __future__ import annotations

import json
import subprocess
import sys

from tests import valkey
from tests.servers import ROOT


def test_processes_take_turns_and_nobody_waits_for_the_dead() -> None:
    with valkey.valkey() as server:
        command = [sys.executable, "-m", "tests.integration.turns", server.url]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    said = json.loads(done.stdout)
    print(said)
    for way in said.values():
        assert (way["answers"], way["values"]) == (80, ["value"])
    assert said["cold"]["calls"] <= 2
    assert said["killed"]["calls"] <= 2
    assert said["killed"]["slowest_s"] < 10, (
        "the turn ended by itself after a second, and twenty are waited for"
    )
    # Whoever has waited long enough computes: the first thread of each process, and those who waited for it.
    assert said["hasty"]["slowest_s"] < 10, (
        "the turn would end after a minute, and half a second is waited for"
    )
