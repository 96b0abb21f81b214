"""Whatever is wrong with the store, the site answers, the log says it once, and the numbers arrive when it is mended."""

from __future__ import annotations

import http.cookiejar
import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any

import pytest

from tests.integration.conftest import ON_POSTGRESQL
from tests.integration.restartable import RestartablePostgreSQL
from tests.integration.site import Site, new_database, visit, wait_until
from tests.servers import Server

WITHOUT_QUERIES = ["/zero/", "/pages/a-b/", "/sleep/1/", "/stream/0/", "/methods/", "/nested/2024/a-b/"]
ROUTES = [*WITHOUT_QUERIES, "/json/", "/queries/2/", "/stream/1/", "/whoami/"]
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


def test_missing_tables(empty_site: Site) -> None:
    site = empty_site
    site.options = {"METRICS": {**FAST["METRICS"], "DATABASE": "default"}}
    complaint = "The metrics tables are missing on the database 'default'; type: python manage.py migrate"
    with site.gunicorn("--workers", "1") as server:
        answered = visit_for(server, 4.0, WITHOUT_QUERIES)
        wait_until(lambda: complaint in server.output(), "the complaint")
        site.manage("migrate", "--verbosity", "0")
        answered += visit_for(server, 0.1, ["/zero/"])
        wait_until(lambda: "works again" in server.output(), "the recovery")
        assert_it_recovers(site, server, answered)
        assert server.output().count(complaint) == 1
        assert "Traceback" not in server.output()


@pytest.mark.skipif(ON_POSTGRESQL, reason="about SQLite hosts; runs in the SQLite lanes")
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


@pytest.mark.skipif(not ON_POSTGRESQL, reason="about PostgreSQL; runs in its lane")
def test_a_postgresql_that_stops_and_comes_back(site: Site) -> None:
    with RestartablePostgreSQL() as postgresql:
        site = Site(site.folder, new_database(postgresql.there, "shop"), FAST)
        site.manage("migrate", "--verbosity", "0")
        with site.gunicorn("--workers", "1") as server:
            answered = visit_for(server, 0.1, ROUTES)
            site.wait_for(answered)
            postgresql.stop()
            answered += visit_for(server, 4.0, WITHOUT_QUERIES)
            wait_until(lambda: "cannot be used" in server.output(), "the complaint")
            postgresql.start()
            answered += visit_for(server, 0.1, ROUTES)
            assert_it_recovers(site, server, answered)
            assert server.output().count("cannot be used") == 1


class Panel:
    """An admin's browser, logged in. ``counted_requests`` are those of its logging in, which the site counts."""

    def __init__(self, site: Site, server: Server) -> None:
        code = (
            "import django; django.setup()\n"
            "from django.contrib.auth.models import User\n"
            "User.objects.create_superuser('admin', 'admin@example.org', 'secret')\n"
        )
        assert site.run("-c", code).returncode == 0
        self.url = server.url
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))
        self.opener.open(f"{self.url}/admin/login/").read()
        token = next(str(cookie.value) for cookie in self.cookies if cookie.name == "csrftoken")
        form = {"username": "admin", "password": "secret", "csrfmiddlewaretoken": token, "next": "/zero/"}
        self.opener.open(f"{self.url}/admin/login/", urllib.parse.urlencode(form).encode()).read()
        self.counted_requests = 3

    def notices(self) -> list[dict[str, Any]]:
        with self.opener.open(f"{self.url}/performance/data/?range=15m") as response:
            notices: list[dict[str, Any]] = json.load(response)["notices"]
        return notices
