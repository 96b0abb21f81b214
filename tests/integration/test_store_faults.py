"""Whatever is wrong with the store, the site answers, the log says it once, and the numbers arrive when it is mended."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.integration.conftest import ENGINE, ON_MONGODB, ON_POSTGRESQL
from tests.integration.panel import Panel
from tests.integration.restartable import RestartableMongoDB, RestartablePostgreSQL
from tests.integration.site import Site, visit, wait_until
from tests.servers import Server

WITHOUT_QUERIES = ["/zero/", "/pages/a-b/", "/sleep/1/", "/stream/0/", "/methods/", "/nested/2024/a-b/"]
ROUTES = [*WITHOUT_QUERIES, "/json/", "/queries/2/", "/stream/1/", "/whoami/"]
# An answer of the panel's while the store is away, and the end of a process; a driver left alone waits for thirty seconds.
PANEL_S = 15.0
needs_a_server = pytest.mark.skipif(
    ENGINE == "sqlite", reason="SQLite has no server; runs in the other lanes"
)
FAST = {"METRICS": {"FLUSH_INTERVAL_S": 1.0, "MAX_PENDING_ROWS": 100}}


def visit_for(server: Server, seconds: float, paths: Sequence[str]) -> int:
    """Keep the site busy, each answer a 200, and return how many there were."""
    until, answered = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        answered += len(visit(server, paths, threads=2))
    return answered


def stored_and_dropped(site: Site) -> tuple[int, int]:
    dropped = {labels[0]: int(total) for labels, (_, total) in site.totals("self.dropped").items()}
    return site.count(), dropped.get("requests.status", 0)


def assert_it_recovers(site: Site, server: Server, answered: int) -> None:
    """Each answered request must come into the store, or be counted as dropped."""
    wait_until(lambda: sum(stored_and_dropped(site)) == answered, f"{answered} stored or dropped")
    stored, dropped = stored_and_dropped(site)
    assert stored > 0
    assert dropped > 0, "so many rows waited that the oldest were dropped"
    wait_until(lambda: "The metrics store works again." in server.output(), "the log's word that all is well")


@pytest.mark.skipif(ON_MONGODB, reason="MongoDB makes what is missing; runs in the other lanes")
def test_missing_tables(empty_site: Site) -> None:
    site = empty_site
    site.options = {"METRICS": {**FAST["METRICS"], "DATABASE": "default"}}
    complaint = "The metrics tables are missing on the database 'default'; type: python manage.py migrate"
    with site.gunicorn("--workers", "1") as server:
        answered = visit_for(server, 4.0, WITHOUT_QUERIES)
        wait_until(lambda: complaint in server.output(), "the complaint")
        site.migrate()
        answered += visit_for(server, 0.1, ["/zero/"])
        wait_until(lambda: "works again" in server.output(), "the recovery")
        assert_it_recovers(site, server, answered)
        assert server.output().count(complaint) == 1
        assert "Traceback" not in server.output()


@pytest.mark.skipif(ENGINE != "sqlite", reason="about SQLite hosts; runs in the SQLite lanes")
def test_a_store_that_cannot_be_opened(site: Site) -> None:
    site.options = FAST
    site.store_file.mkdir()  # even root cannot open that as a file
    with site.gunicorn("--workers", "1") as server:
        answered = visit_for(server, 4.0, ROUTES)
        wait_until(lambda: "cannot be used" in server.output(), "the complaint")
        panel = Panel(site, server)
        notices = panel.notices()
        assert [notice["level"] for notice in notices] == ["error"]
        assert re.search(
            r"store on the database 'perfsuite' cannot be used .*unable to open", notices[0]["text"]
        )
        site.store_file.rmdir()
        answered += visit_for(server, 0.1, ["/zero/"]) + panel.counted_requests
        assert_it_recovers(site, server, answered)
        assert server.output().count("unable to open database file") == 1
        # Those who look within two seconds share an answer.
        wait_until(
            lambda: not [each for each in panel.notices() if each["level"] == "error"],
            "a panel without errors",
        )


@pytest.fixture
def database_server() -> Iterator[RestartablePostgreSQL | RestartableMongoDB]:
    """The server of a store beside the host's own database."""
    with RestartablePostgreSQL() if ON_POSTGRESQL else RestartableMongoDB(ENGINE) as server:
        yield server


def with_store(site: Site, database_server: Any) -> Site:
    options = {"METRICS": {**FAST["METRICS"], "DATABASE": "metrics"}}
    return dataclasses.replace(site, store=database_server.new_database("store"), options=options)


@needs_a_server
def test_a_store_that_stops_and_comes_back(site: Site, database_server: Any) -> None:
    site = with_store(site, database_server)
    site.migrate()
    with site.gunicorn("--workers", "1", "--threads", "2") as server:
        answered = visit_for(server, 0.1, ROUTES)
        site.wait_for(answered)
        panel = Panel(site, server)
        answered += panel.counted_requests
        assert not panel.notices()
        database_server.stop()
        answered += visit_for(server, 4.0, ROUTES)
        wait_until(lambda: "cannot be used" in server.output(), "the complaint")
        asked = time.monotonic()
        assert [notice["level"] for notice in panel.notices()] == ["error"]
        assert time.monotonic() - asked < PANEL_S
        database_server.start(*database_server.options)
        answered += visit_for(server, 0.1, ROUTES)
        assert_it_recovers(site, server, answered)
        assert server.output().count("cannot be used") == 1
        assert "Traceback" not in server.output()


@needs_a_server
def test_a_store_that_is_away_at_the_start(site: Site, database_server: Any) -> None:
    site = with_store(site, database_server)
    site.migrate()
    database_server.stop()
    with site.gunicorn("--workers", "1", "--threads", "2") as server:
        answered = visit_for(server, 4.0, ROUTES)
        wait_until(lambda: "cannot be used" in server.output(), "the complaint")
        database_server.start(*database_server.options)
        answered += visit_for(server, 0.1, ROUTES)
        assert_it_recovers(site, server, answered)
        assert "Traceback" not in server.output()


@needs_a_server
def test_a_store_that_is_away_does_not_keep_a_process_from_ending(site: Site, database_server: Any) -> None:
    site = with_store(site, database_server)
    site.migrate()
    database_server.stop()
    with site.gunicorn("--workers", "1", "--threads", "2") as server:
        visit_for(server, 0.1, ROUTES)
        asked = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - asked < PANEL_S


@needs_a_server
def test_a_store_that_may_not_be_written(site: Site, database_server: Any) -> None:
    site = with_store(site, database_server)
    site.migrate()
    database_server.allow_writing(site.store, False)
    with site.gunicorn("--workers", "1", "--threads", "2") as server:
        answered = visit_for(server, 4.0, ROUTES)
        wait_until(lambda: re.search("permission denied|not authorized", server.output()), "the complaint")
        database_server.allow_writing(site.store, True)
        answered += visit_for(server, 0.1, ROUTES)
        assert_it_recovers(site, server, answered)
        assert server.output().count("cannot be used") == 1
        assert "Traceback" not in server.output()


@pytest.mark.skipif(not ON_MONGODB, reason="MongoDB makes what is missing; runs in its lanes")
def test_a_mongodb_that_was_never_migrated(empty_site: Site) -> None:
    empty_site.options = FAST
    with empty_site.gunicorn("--workers", "2") as server:
        answered = visit_for(server, 2.0, WITHOUT_QUERIES)
        empty_site.wait_for(answered)
        server.stop()
        assert "Traceback" not in server.output()
    assert empty_site.count() == answered
