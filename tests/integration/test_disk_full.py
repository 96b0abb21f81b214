"""The disk of the store is full: the site answers, what waits is bounded, and with room again the numbers arrive."""

from __future__ import annotations

import dataclasses
import re

import pytest

from tests.integration.disks import small_disk
from tests.integration.faults import (
    FAST,
    ROUTES,
    WATCHED,
    assert_it_recovers,
    assert_the_panel_is_well_and_shows_what_was_dropped,
    visit_until_dropped,
    with_store,
)
from tests.integration.panel import Panel
from tests.integration.restartable import RestartableMongoDB, RestartablePostgreSQL
from tests.integration.site import ENGINE, ON_MONGODB, ON_POSTGRESQL, Site, new_site, visit, wait_until

ONE_WORKER = ("--workers", "1", "--threads", "2")


@pytest.mark.skipif(ENGINE != "sqlite", reason="about SQLite; runs in its lanes")
def test_the_disk_of_a_sqlite_host_is_full(template: Site) -> None:
    with small_disk(8) as disk, new_site(disk.folder, template) as site:
        site.options = FAST
        with site.gunicorn(*ONE_WORKER, app=WATCHED) as server:
            panel = Panel(site, server)
            answered = len(visit(server, ROUTES)) + panel.counted_requests
            site.wait_for(answered)
            disk.fill()
            answered += visit_until_dropped(server, ROUTES)
            assert re.search("cannot be used .*(disk is full|disk I/O error)", server.output())
            panel.data()
            disk.make_room()
            assert_it_recovers(site, server, answered)
            assert_the_panel_is_well_and_shows_what_was_dropped(site, panel)
            assert server.output().count("cannot be used") == 1
            assert "Traceback" not in server.output()


@pytest.mark.skipif(not ON_POSTGRESQL, reason="about PostgreSQL; runs in its lane")
def test_the_disk_of_postgresql_is_full(site: Site) -> None:
    with small_disk(400) as disk, RestartablePostgreSQL(disk.folder) as database_server:
        site = with_store(site, database_server)
        with site.gunicorn(*ONE_WORKER, app=WATCHED) as server:
            panel = Panel(site, server)
            answered = len(visit(server, ROUTES)) + panel.counted_requests
            site.wait_for(answered)
            disk.fill()
            answered += visit_until_dropped(server, ROUTES)
            assert re.search("cannot be used .*No space left on device", server.output())
            panel.data()
            disk.make_room()
            assert_it_recovers(site, server, answered)
            assert_the_panel_is_well_and_shows_what_was_dropped(site, panel)
            assert server.output().count("cannot be used") == 1
            assert "Traceback" not in server.output()


@pytest.mark.skipif(not ON_MONGODB, reason="about MongoDB; runs in its lanes")
def test_the_disk_of_mongodb_is_full(site: Site) -> None:
    # MongoDB itself ends when it cannot write; syncdelay is how many seconds it may take to notice.
    with (
        small_disk(600) as disk,
        RestartableMongoDB(ENGINE, disk.folder, "--syncdelay", "1") as database_server,
    ):
        site = with_store(site, database_server)
        assert site.store is not None
        # Only what is in its journal outlives its sudden end.
        site.store = dataclasses.replace(site.store, url=f"{site.store.url}&journal=true")
        with site.gunicorn(*ONE_WORKER, app=WATCHED) as server:
            panel = Panel(site, server)
            answered = len(visit(server, ROUTES)) + panel.counted_requests
            site.wait_for(answered)
            disk.fill()
            answered += visit_until_dropped(server, ROUTES)
            wait_until(lambda: database_server.server.process.poll() is not None, "the end of mongod")
            assert "cannot be used" in server.output()
            panel.data()
            disk.make_room()
            database_server.start(*database_server.options)
            assert_it_recovers(site, server, answered)
            assert_the_panel_is_well_and_shows_what_was_dropped(site, panel)
            assert "Traceback" not in server.output()
