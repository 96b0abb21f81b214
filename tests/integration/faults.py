"""What the tests of a broken store share: a busy site, what became of its numbers, and a store beside the host's database."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from tests.integration.panel import Panel
from tests.integration.site import Answer, Site, visit, wait_until
from tests.servers import Server

WATCHED = "tests.integration.watched_wsgi:application"
MAX_PENDING_ROWS = 100
FAST: dict[str, dict[str, Any]] = {"METRICS": {"FLUSH_INTERVAL_S": 1.0, "MAX_PENDING_ROWS": MAX_PENDING_ROWS}}
# So many routes that two flushes bring more rows than may wait.
WITHOUT_QUERIES = [
    "/", "/zero/", "/pages/a-b/", "/archive/ab/", "/sleep/1/", "/stream/0/", "/methods/", "/nested/2024/a-b/", "/echo/",
    "/async/zero/", "/async/sleep/1/",
]  # fmt: skip
ROUTES = [*WITHOUT_QUERIES, "/json/", "/queries/2/", "/stream/1/", "/whoami/"]
BUSY_S = 120.0


def visit_until_dropped(server: Server, paths: Sequence[str]) -> int:
    """Keep the site busy, each answer a 200, until numbers of requests were dropped; return how many requests there were."""
    answered, give_up = 0, time.monotonic() + BUSY_S
    dropped = _dropped_in(visit(server, paths, threads=2)[-1])
    answered += len(paths)
    while True:
        answers = visit(server, paths, threads=2)
        answered += len(answers)
        # All batches but the newest: what waits is bounded at any instant.
        assert max(int(answer.headers["X-Waiting-Rows"]) for answer in answers) <= MAX_PENDING_ROWS
        if max(map(_dropped_in, answers)) > dropped:
            return answered
        assert time.monotonic() < give_up, "nothing was dropped"


def _dropped_in(answer: Answer) -> int:
    return int(answer.headers["X-Dropped-Requests"])


def stored_and_dropped(site: Site) -> tuple[int, int]:
    """Return how many requests are in the store, and how many it knows to be dropped."""
    dropped = {labels[0]: int(total) for labels, (_, total) in site.totals("self.dropped").items()}
    return site.count(), dropped.get("requests.status", 0)


def assert_it_recovers(site: Site, server: Server, answered: int) -> None:
    """Each answered request must come into the store, or be counted as dropped, by itself."""
    # Where mending took long, all that was answered before is dropped by now.
    answered += len(visit(server, WITHOUT_QUERIES, threads=2))
    wait_until(
        lambda: sum(stored_and_dropped(site)) == answered,
        lambda: f"{answered} stored or dropped, and not {stored_and_dropped(site)}",
    )
    stored, dropped = stored_and_dropped(site)
    assert stored > 0
    assert dropped > 0, "so many rows waited that the oldest were dropped"
    wait_until(lambda: "The metrics store works again." in server.output(), "the log's word that all is well")


def assert_the_panel_is_well_and_shows_what_was_dropped(site: Site, panel: Panel) -> None:
    def said() -> tuple[list[str], int]:
        data = panel.data()
        (health,) = [card for card in data["cards"] if card["id"] == "health"]
        (tile,) = [tile for tile in health["tiles"] if tile["id"] == "dropped"]
        return [notice["text"] for notice in data["notices"] if notice["level"] == "error"], tile["value"]

    lost = int(site.sum("self.dropped"))
    # Those who look within two seconds share an answer.
    wait_until(lambda: said() == ([], lost), f"a panel without errors that shows {lost} dropped values")


def with_store(site: Site, database_server: Any) -> Site:
    """Return the site with a migrated store of its own on the server."""
    options = {"METRICS": {**FAST["METRICS"], "DATABASE": "metrics"}}
    made = dataclasses.replace(site, store=database_server.new_database("store"), options=options)
    made.migrate()
    return made
