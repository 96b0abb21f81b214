"""Kill the leader again and again: ``python -m tests.integration.takeovers 10 5`` does it 5 times in each of 10 fleets at once.

Prints as JSON how long the sites were without a leader, and how many pairs of processes led at the same instant. Runs on the
database of ``TEST_DATABASE``, so for all but SQLite start it by ``python -m tests.servers DATABASE -- python -m ...``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.integration import site as sites
from tests.integration.leads import Lead, leads, overlaps
from tests.integration.site import Site, get, wait_until
from tests.servers import Server

WORKERS = 3
PHASE_S = 5.0  # a leader renews about this often; it dies at any instant between
PATIENCE_S = 60.0
APP = "tests.integration.watched_wsgi:application"


@dataclasses.dataclass
class Outcome:
    """What the kills came to: the seconds from each kill to the next lead, and who led at the same time as another."""

    takeovers_s: list[float]
    overlaps: list[tuple[Lead, Lead]]
    leads: int


def kill_leaders(site: Site, kills: int) -> Outcome:
    """Run a fleet and kill its leader ``kills`` times, each time as soon as a leader has led for a moment."""
    died: dict[int, float] = {}
    took: list[float] = []
    with (
        site.gunicorn("--workers", str(WORKERS), "--preload", app=APP) as server,
        busy(server),
    ):
        wait_until(lambda: leads(site.folder), "a first leader", PATIENCE_S)
        for _ in range(kills):
            leader = leads(site.folder)[-1]
            assert leader.pid not in died
            time.sleep(random.uniform(0, PHASE_S))
            os.kill(leader.pid, signal.SIGKILL)
            killed = time.monotonic()
            wait_until(lambda pid=leader.pid: not Path(f"/proc/{pid}").exists(), "the end of the leader")
            died[leader.pid] = time.monotonic()
            wait_until(lambda pid=leader.pid: leads(site.folder)[-1].pid != pid, "another leader", PATIENCE_S)
            took.append(leads(site.folder)[-1].start - killed)
    found = leads(site.folder, died)
    return Outcome(took, overlaps(found), len(found))


@contextlib.contextmanager
def busy(server: Server) -> Iterator[None]:
    """Give every worker something to count, so that each is a candidate; an answer may be lost with the worker that dies."""
    done = threading.Event()

    def visit() -> None:
        while not done.is_set():
            with contextlib.suppress(OSError, ValueError, sites.http.client.HTTPException):
                get(server, "/sleep/200/")

    threads = [threading.Thread(target=visit) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def kill_leaders_of_fleets(template: Site, fleets: int, kills: int, folder: Path) -> Outcome:
    """Run so many fleets at once, each with a store of its own, and return what all of them came to."""

    def one(number: int) -> Outcome:
        place = folder / f"fleet-{number}"
        place.mkdir()
        with sites.new_site(place, template) as site:
            return kill_leaders(site, kills)

    with ThreadPoolExecutor(fleets) as pool:
        outcomes = list(pool.map(one, range(fleets)))
    return Outcome(
        [seconds for each in outcomes for seconds in each.takeovers_s],
        [pair for each in outcomes for pair in each.overlaps],
        sum(each.leads for each in outcomes),
    )


def main(fleets: int, kills: int) -> None:
    with tempfile.TemporaryDirectory(prefix="perfsuite-fleets-") as name:
        folder = Path(name)
        (folder / "template").mkdir()
        template = sites.new_template(folder / "template")
        template.migrate()
        outcome = kill_leaders_of_fleets(template, fleets, kills, folder)
    took = sorted(outcome.takeovers_s)
    said = {
        "database": sites.ENGINE,
        "fleets": fleets,
        "kills": len(took),
        "least_s": round(took[0], 1),
        "median_s": round(statistics.median(took), 1),
        "worst_s": round(took[-1], 1),
        "leads": outcome.leads,
        "two_at_once": len(outcome.overlaps),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
