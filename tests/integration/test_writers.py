"""Eight processes write at once, and every value is in the store, once."""

from __future__ import annotations

import json

from tests.integration.site import ENGINE, Site

FLUSHES = 25 if ENGINE == "sqlite" else 12  # of each process


def test_eight_processes_flush_at_once_and_nothing_fails_is_lost_or_doubled(site: Site) -> None:
    done = site.run("-m", "tests.integration.writers", str(FLUSHES), timeout_s=300)
    assert done.returncode == 0, done.stderr[-2_000:]
    said = json.loads(done.stdout)
    assert said == {"errors": 0, "stored": said["recorded"], "recorded": 8 * FLUSHES * 5}
