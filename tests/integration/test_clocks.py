"""Clocks that are set back, and hosts whose clocks differ: each request is counted once, one process leads, the panel answers."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.integration.faults import ROUTES, WATCHED
from tests.integration.leads import leads, overlaps
from tests.integration.panel import Panel
from tests.integration.shifted_clock import set_clock
from tests.integration.site import Site, visit, wait_until

HOUR_S = 3_600
PATHS = ROUTES * 3
# So often the leader renews its lease, and looks for what it may compact, while both hosts are busy.
RENEWALS = 3
# All that was measured, wherever the clocks have put it. Stretches that are compacted are read from their coarse rows.
READ = (
    "import time, django; django.setup()\n"
    "from perfsuite.metrics.query import Window, totals\n"
    "now = int(time.time()) // 60 * 60\n"
    "print(*(totals(kind, Window(now - 7200, now + 7200)).count for kind in ('requests.status', 'requests.route')))\n"
)

# Until when the stretches reach that are compacted.
COMPACTED = (
    "import django; django.setup()\n"
    "from perfsuite.metrics.models import Bucket\n"
    "from perfsuite.metrics.storages.alias import store_alias\n"
    "starts = Bucket.objects.using(store_alias()).filter(resolution=60).values_list('start', flat=True)\n"
    "print(max(starts, default=0) + 60)\n"
)


def new_clock(folder: Path, name: str, ahead_s: float) -> dict[str, str]:
    """Set a clock and return the environment of the processes that are to go by it."""
    set_clock(folder / name, ahead_s)
    return {"PERFSUITE_TEST_CLOCK": str(folder / name)}


def errors(panel: Panel) -> list[str]:
    """What the panel says is wrong. That there are no numbers yet is all that a clock can know that was set back before them."""
    return [notice["text"] for notice in panel.notices() if notice["level"] == "error"]


def assert_one_leads_at_a_time(site: Site, processes: int) -> None:
    """Somebody has led, until now, and never two at once."""
    wait_until(lambda: leads(site.folder)[-1].end > time.monotonic(), "a leader at this moment")
    found = leads(site.folder)
    assert overlaps(found) == []
    assert len({lead.pid for lead in found}) <= processes


def assert_all_is_counted_once(site: Site, answered: int) -> None:
    """By the rows that were written, and by the read side, which uses what was compacted of them."""
    assert site.count() == site.count("requests.route") == answered
    assert site.run("-c", READ).stdout.split() == [str(answered)] * 2


def test_a_clock_that_is_set_back_an_hour_costs_no_number_and_no_lead(site: Site) -> None:
    site.options = {"METRICS": {"FLUSH_INTERVAL_S": 1.0}}
    env = new_clock(site.folder, "clock", 0)
    with site.gunicorn("--workers", "2", "--threads", "2", "--preload", app=WATCHED, **env) as server:
        panel = Panel(site, server)
        answered = len(visit(server, PATHS)) + panel.counted_requests
        site.wait_for(answered)
        # Three minutes ahead, the minute is over and gets compacted.
        set_clock(site.folder / "clock", 180)
        answered += len(visit(server, PATHS))
        wait_until(lambda: site.count(resolution=60), "a compacted minute")
        compacted = site.count(resolution=60)
        set_clock(site.folder / "clock", 180 - HOUR_S)
        set_back = time.monotonic()
        answered += len(visit(server, PATHS))
        site.wait_for(answered)
        assert errors(panel) == []
        wait_until(lambda: leads(site.folder)[-1].end > set_back + 15, "a lead that was renewed since")
        assert_one_leads_at_a_time(site, processes=2)
        answered += len(visit(server, PATHS))
        assert server.stop() == 0
        assert "Traceback" not in server.output()
    assert compacted > 0
    assert_all_is_counted_once(site, answered)


@pytest.mark.parametrize("ahead_s", [300, -300], ids=["ahead", "behind"])
def test_two_hosts_five_minutes_apart_count_each_request_once_and_have_one_leader(
    site: Site, ahead_s: int
) -> None:
    site.options = {"METRICS": {"FLUSH_INTERVAL_S": 1.0}}
    options = ("--workers", "1", "--threads", "2")
    off, right = new_clock(site.folder, "off", ahead_s), new_clock(site.folder, "right", 0)
    with site.gunicorn(*options, app=WATCHED, **off) as one:
        panel = Panel(site, one)
        answered = len(visit(one, PATHS)) + panel.counted_requests
        wait_until(lambda: leads(site.folder), "the lead of the host whose clock is off")
        with site.gunicorn(*options, app=WATCHED, **right) as other:
            for _ in range(RENEWALS):
                held_until = leads(site.folder)[-1].end
                answered += len(visit(one, PATHS)) + len(visit(other, PATHS))
                wait_until(lambda until=held_until: leads(site.folder)[-1].end > until, "the next renewal")
            assert_one_leads_at_a_time(site, processes=1)
            for server in (one, other):
                panel.url = server.url
                assert errors(panel) == []
            assert panel.card("routes")["rows"]
            if ahead_s > 0:  # to the host that leads, the minute of the other one is over
                wait_until(lambda: site.count(resolution=60), "a compacted minute")
            # The leader last: the other one would take its place, and go by another clock.
            assert other.stop() == one.stop() == 0
            assert "Traceback" not in one.output() + other.output()
    # What is not over by the clock of the host that leads is not compacted.
    assert float(site.run("-c", COMPACTED).stdout) <= time.time() + ahead_s
    assert_all_is_counted_once(site, answered)
