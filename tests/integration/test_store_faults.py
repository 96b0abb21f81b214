"""Whatever is wrong with the store, the site answers, the log says it once, and the numbers arrive when it is mended."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.integration.faults import (
    FAST,
    ROUTES,
    WATCHED,
    WITHOUT_QUERIES,
    assert_it_recovers,
    assert_the_panel_is_well_and_shows_what_was_dropped,
    visit_until_dropped,
    with_store,
)
from tests.integration.panel import Panel
from tests.integration.site import ENGINE, ON_MONGODB, Site, visit, wait_until

# An answer of the panel's while the store is away, and the end of a process; a driver left alone waits for thirty seconds.
PANEL_S = 15.0
needs_a_server = pytest.mark.skipif(
    ENGINE == "sqlite", reason="SQLite has no server; runs in the other lanes"
)
ONE_WORKER = ("--workers", "1", "--threads", "2")


def levels_within_time(panel: Panel) -> list[str]:
    """Return the levels of the panel's notices, which must not keep an admin waiting."""
    asked = time.monotonic()
    levels = [notice["level"] for notice in panel.notices()]
    assert time.monotonic() - asked < PANEL_S
    return levels


@pytest.mark.skipif(ON_MONGODB, reason="MongoDB makes what is missing; runs in the other lanes")
def test_missing_tables(empty_site: Site) -> None:
    site = empty_site
    site.options = {"METRICS": {**FAST["METRICS"], "DATABASE": "default"}}
    complaint = "The metrics tables are missing on the database 'default'; type: python manage.py migrate"
    with site.gunicorn("--workers", "1", app=WATCHED) as server:
        answered = visit_until_dropped(server, WITHOUT_QUERIES)
        assert complaint in server.output()
        site.migrate()
        wait_until(lambda: "works again" in server.output(), "the recovery")
        assert_it_recovers(site, server, answered)
        assert server.output().count(complaint) == 1
        assert "Traceback" not in server.output()


@pytest.mark.skipif(ENGINE != "sqlite", reason="about SQLite hosts; runs in the SQLite lanes")
def test_a_store_that_cannot_be_opened(site: Site) -> None:
    site.options = FAST
    site.store_file.mkdir()  # even root cannot open that as a file
    with site.gunicorn("--workers", "1", app=WATCHED) as server:
        answered = visit_until_dropped(server, ROUTES)
        assert "cannot be used" in server.output()
        panel = Panel(site, server)
        notices = panel.notices()
        assert [notice["level"] for notice in notices] == ["error"]
        assert re.search(
            r"store on the database 'perfsuite' cannot be used .*unable to open", notices[0]["text"]
        )
        site.store_file.rmdir()
        assert_it_recovers(site, server, answered + panel.counted_requests)
        assert server.output().count("unable to open database file") == 1
        assert_the_panel_is_well_and_shows_what_was_dropped(site, panel)


@needs_a_server
def test_a_store_that_stops_and_comes_back(site: Site, database_server: Any) -> None:
    site = with_store(site, database_server)
    with site.gunicorn(*ONE_WORKER, app=WATCHED) as server:
        answered = len(visit(server, ROUTES))
        site.wait_for(answered)
        panel = Panel(site, server)
        answered += panel.counted_requests
        assert not panel.notices()
        database_server.stop()
        answered += visit_until_dropped(server, ROUTES)
        assert "cannot be used" in server.output()
        # Those who look within two seconds share an answer.
        wait_until(lambda: levels_within_time(panel) == ["error"], "the panel's word of it")
        database_server.start(*database_server.options)
        assert_it_recovers(site, server, answered)
        assert_the_panel_is_well_and_shows_what_was_dropped(site, panel)
        assert server.output().count("cannot be used") == 1
        assert "Traceback" not in server.output()


@needs_a_server
@pytest.mark.by_store
def test_a_store_that_is_away_at_the_start(site: Site, database_server: Any) -> None:
    site = with_store(site, database_server)
    database_server.stop()
    with site.gunicorn(*ONE_WORKER, app=WATCHED) as server:
        answered = visit_until_dropped(server, ROUTES)
        assert "cannot be used" in server.output()
        database_server.start(*database_server.options)
        assert_it_recovers(site, server, answered)
        assert "Traceback" not in server.output()


@needs_a_server
@pytest.mark.by_store
def test_a_store_that_is_away_does_not_keep_a_process_from_ending(site: Site, database_server: Any) -> None:
    site = with_store(site, database_server)
    database_server.stop()
    with site.gunicorn(*ONE_WORKER) as server:
        visit(server, ROUTES)
        asked = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - asked < PANEL_S


@needs_a_server
def test_a_store_that_may_not_be_written(site: Site, database_server: Any) -> None:
    site = with_store(site, database_server)
    database_server.allow_writing(site.store, False)
    with site.gunicorn(*ONE_WORKER, app=WATCHED) as server:
        answered = visit_until_dropped(server, ROUTES)
        assert re.search("permission denied|not authorized", server.output())
        database_server.allow_writing(site.store, True)
        assert_it_recovers(site, server, answered)
        assert server.output().count("cannot be used") == 1
        assert "Traceback" not in server.output()


@pytest.mark.skipif(not ON_MONGODB, reason="MongoDB makes what is missing; runs in its lanes")
def test_a_mongodb_that_was_never_migrated(empty_site: Site) -> None:
    empty_site.options = FAST
    with empty_site.gunicorn("--workers", "2") as server:
        answered = len(visit(server, WITHOUT_QUERIES * 10))
        empty_site.wait_for(answered)
        server.stop()
        assert "Traceback" not in server.output()
    assert empty_site.count() == answered
