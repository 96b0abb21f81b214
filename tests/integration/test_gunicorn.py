"""No request is lost or counted twice by forked, recycled and stopped workers."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest

from tests.integration.panel import Panel
from tests.integration.site import ENGINE, Site, Visitors, get, visit, wait_until
from tests.recorded import SELECT

REQUESTS = 600
OF_EACH_ROUTE = 250 if ENGINE == "sqlite" else 60  # where a request takes several times as long
# With threads, more can go wrong between a worker and its database; without them it is shown on SQLite.
WORKER_CLASSES = ("sync", "gthread") if ENGINE == "sqlite" else ("gthread",)
STATEMENTS = {"/zero/": 0, "/queries/3/": 3, "/json/": 1}


def housekeeping(site: Site) -> int:
    """Return how often django-mongodb-backend has asked a server for its version, once in each process."""
    return site.totals("queries").get(("mongodb", "OTHER"), (0, 0.0))[0]


@pytest.mark.parametrize("worker_class", WORKER_CLASSES)
def test_four_recycled_workers_behind_a_preloading_master_lose_nothing(site: Site, worker_class: str) -> None:
    paths = list(STATEMENTS) * (REQUESTS // len(STATEMENTS))
    options = ["--workers", "4", "--worker-class", worker_class, "--preload", "--max-requests", "50"]
    if worker_class == "gthread":
        options += ["--threads", "4"]
    with site.gunicorn(*options, "--max-requests-jitter", "10", "--log-level", "info") as server:
        answers = visit(server, paths, threads=6)
        assert server.stop(signal.SIGTERM) == 0
        log = server.output()
    recycled = len(re.findall(r"Booting worker", log)) - 4
    statements = sum(STATEMENTS[answer.path] for answer in answers)
    assert recycled >= 4, log
    assert site.totals("requests.status").keys() == {("2xx",)}
    assert site.count() == len(answers) == REQUESTS
    assert site.count("requests.route") == REQUESTS
    assert site.count("self.request") == REQUESTS
    assert site.sum("requests.queries") == site.count("queries") == statements + housekeeping(site)
    assert site.totals("queries")["default", SELECT][0] == statements
    assert site.count("queries.fingerprint") == statements + housekeeping(site)
    assert site.sum("requests.bytes_out") == sum(len(answer.body) for answer in answers)


@pytest.mark.once
def test_a_kill_loses_at_most_one_flush_interval(site: Site) -> None:
    interval_s = 2.0
    site.options = {"METRICS": {"FLUSH_INTERVAL_S": interval_s}}
    with site.gunicorn("--workers", "3", "--preload") as server:
        visit(server, ["/zero/"] * 60)
        site.wait_for(1)
        visitors = Visitors(server, ["/sleep/10/"] * 100_000, threads=3)
        busy_from = time.monotonic()
        wait_until(lambda: time.monotonic() - busy_from > 4 * interval_s, "a while of traffic")
        killed = time.monotonic()
        os.killpg(server.pid, signal.SIGKILL)  # the master and its workers, a group of their own
        answers = visitors.stop()
        server.process.wait()
    # A process flushes every interval, give or take a tenth, and writing takes its time on a busy machine.
    older = [answer for answer in answers if answer.at < killed - 1.1 * interval_s - 1.0]
    stored = site.count()
    assert len(older) > 50
    assert 60 + len(older) <= stored <= 60 + len(answers) + 3  # three were being answered


@pytest.mark.once
def test_the_numbers_of_a_stopped_site_are_what_the_read_side_shows(site: Site) -> None:
    with site.gunicorn("--workers", "2", "--preload") as server:
        visit(server, ["/queries/3/"] * 20 + ["/zero/"] * 20)
        assert get(server, "/error/").status == 500
        assert get(server, "/nowhere/").status == 404
        server.stop(signal.SIGTERM)
    code = (
        "import django; django.setup()\n"
        "from perfsuite.metrics.query import Window, top, totals, totals_by\n"
        "window = Window.last(900)\n"
        "print({status: h.count for status, h in totals_by('requests.status', window, 'status').items()})\n"
        "print({row.labels['route']: row.value.count for row in top('requests.route', window, ('route',))})\n"
        "print(totals('requests.queries', window).sum)\n"
    )
    by_status, by_route, statements = site.run("-c", code).stdout.splitlines()
    assert eval(by_status) == {"2xx": 40, "4xx": 1, "5xx": 1}
    assert eval(by_route) == {"/queries/<int:n>/": 20, "/zero/": 20, "/error/": 1, "<not found>": 1}
    assert float(statements) == 60 + housekeeping(site)


@pytest.mark.once
def test_two_workers_count_all_requests_and_the_panel_shows_them(site: Site) -> None:
    paths = ["/queries/2/", "/methods/", "/json/", "/pages/a-b/"] * OF_EACH_ROUTE
    with site.gunicorn("--workers", "2", "--threads", "2") as server:
        panel = Panel(site, server)
        visit(server, paths)
        site.wait_for(len(paths) + panel.counted_requests)
        routes = {row[0]: row for row in panel.card("routes")["rows"]}
        assert panel.opener.open(f"{server.url}/performance/").status == 200
    for route in ("/queries/<int:n>/", "/methods/", "/json/", "/pages/<slug:slug>/"):
        assert site.totals("requests.route")[route, "GET", "2xx"][0] == OF_EACH_ROUTE
        assert routes[route][1] == OF_EACH_ROUTE
    assert site.count() == len(paths) + panel.counted_requests
    assert site.totals("queries")["default", SELECT][0] >= 3 * OF_EACH_ROUTE
    assert (
        0
        <= site.totals("requests.queries")["/queries/<int:n>/",][1] - 2 * OF_EACH_ROUTE
        <= housekeeping(site)
    )
