"""Of several processes one leads, and when it dies another takes over."""

from __future__ import annotations

import os
import signal
import time

from tests.integration.site import Site, get, wait_until

WORKERS = 4
TAKEOVER_S = 30.0


def test_one_of_four_leads_and_after_its_death_another_within_30_seconds(site: Site) -> None:
    file = site.folder / "leaders"

    def leaders() -> list[int]:
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    with site.gunicorn(
        "--workers", str(WORKERS), "--preload", app="tests.integration.leading_wsgi:application"
    ) as server:
        workers: set[int] = set()

        def all_have_answered() -> bool:
            workers.add(int(get(server, "/sleep/20/").headers["X-Worker"]))
            return len(workers) == WORKERS

        wait_until(all_have_answered, "an answer from each worker")
        wait_until(lambda: len(leaders()) >= 2, "two rounds of a leader")
        before = leaders()
        assert len(set(before)) == 1
        assert before[0] in workers
        os.kill(before[0], signal.SIGKILL)
        killed = time.monotonic()
        wait_until(lambda: leaders()[-1] != before[0], "another leader", TAKEOVER_S + 5)
        assert time.monotonic() - killed < TAKEOVER_S
        after = leaders()[len(before) :]
        assert len(set(after) - {before[0]}) == 1
        assert after[-1] in workers - {before[0]}
