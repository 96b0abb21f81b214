"""Findings as they are read and as somebody sets them, with and without a leader."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.test import override_settings

from perfsuite.exceptions import StoreUnavailable
from perfsuite.metrics import compaction, flush, merging, runs
from perfsuite.metrics.findings import finding, findings, set_state
from perfsuite.metrics.recorder import recorder
from perfsuite.metrics.sightings import finding_id, sight
from perfsuite.metrics.storages.orm import ORMStorage
from tests.metrics.conftest import Clock
from tests.metrics.rows import TIMING, VOLUME, Measured, write
from tests.metrics.test_sightings import sighting

pytestmark = pytest.mark.django_db(databases="__all__")


@pytest.fixture(autouse=True)
def _own_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_sources", {})


def saw(**changed: Any) -> str:
    """Sight and flush; return the finding's id."""
    made = sighting(**changed)
    sight(made)
    assert flush()
    return finding_id(made.kind, made.subject, made.alias, made.route, made.site)


def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let five seconds go by where sightings are stamped."""
    clock = Clock(monkeypatch, "perfsuite.metrics.sightings")
    clock.epoch = time.time() + 5


def merge() -> None:
    """Have the leader merge what was flushed until now; what is flushed from now on is stamped behind it."""
    recorder.observe(VOLUME.name, ("/a/",), 1)  # as the flush itself does, one later
    assert flush()
    compaction.compact(now=time.time() + 1_000, checkpoint=lambda: None)
    assert merging.merge(checkpoint=lambda: None) > 0


def test_a_finding_is_there_with_the_flush_that_brought_it(monkeypatch: pytest.MonkeyPatch) -> None:
    id_ = saw(evidence={"model": "shop.Book"}, saving_us=30)
    later(monkeypatch)
    saw(evidence={"model": "shop.Author"}, saving_us=10)
    (row,) = findings()
    assert row.id == id_
    assert (row.kind, row.subject, row.alias, row.route) == ("slow", "SELECT ?", "default", "/a/")
    assert (row.site, row.state, row.reopened) == ("app/views.py:42 in listing", "open", False)
    assert row.evidence == {
        "count": 2,
        "requests": 0,
        "saving_us_total": 40.0,
        "saving_us_max": 30.0,
        "last": {"model": "shop.Author"},
    }
    assert abs(row.last_seen - time.time()) < 60


def test_merging_changes_nothing_of_what_is_read() -> None:
    saw()
    saw(kind="duplicate")
    before = findings()
    merge()
    assert findings() == before
    merging.trim(checkpoint=lambda: None)
    assert findings() == before


def test_what_came_after_the_merge_is_counted_in() -> None:
    for n in (1, 2, 3):
        saw()
        assert findings()[0].evidence["count"] == n
        merge()
        assert findings()[0].evidence["count"] == n


def test_findings_are_chosen_by_state_kind_and_time_and_ordered_by_what_they_cost() -> None:
    small, large = saw(saving_us=5), saw(kind="duplicate", saving_us=50)
    resolved = saw(kind="chatty", saving_us=500)
    set_state(resolved, "resolved")
    assert [row.id for row in findings()] == [resolved, large, small]
    assert [row.id for row in findings(state="open")] == [large, small]
    assert [row.id for row in findings(kind="slow")] == [small]
    assert findings(state="ignored") == []
    assert len(findings(since=time.time() - 60)) == 3
    assert findings(since=time.time() + 60) == []


def test_what_one_change_mends_stands_together_and_where_it_saves_most() -> None:
    shared = {"remedy": "full-text search of shop.Book"}
    for route, saving_us, evidence in (
        ("/rest/", 1, {}),
        ("/search/", 30, shared),
        ("/report/", 40, {}),
        ("/team/", 60, {}),
        ("/api/", 20, shared),
    ):
        saw(route=route, saving_us=saving_us, evidence=evidence)
    set_state(saw(route="/old/", saving_us=900, evidence=shared), "resolved")

    assert [row.route for row in findings("open")] == ["/team/", "/search/", "/api/", "/report/", "/rest/"]
    assert [row.route for row in findings() if row.state == "open"] == [row.route for row in findings("open")]


def test_what_names_no_tenant_stands_before_all_that_saves_time() -> None:
    shared = {"remedy": "one change"}
    saw(route="/slow/", saving_us=900, evidence=shared)
    saw(kind="tenant", route="/once/", saving_us=0)
    for _ in range(2):
        saw(kind="tenant", route="/twice/", saving_us=0)
    saw(route="/slower/", saving_us=950)
    assert [row.route for row in findings()] == ["/twice/", "/once/", "/slower/", "/slow/"]


def test_one_finding_is_read_by_its_id() -> None:
    id_ = saw()
    saw(kind="duplicate")
    found = finding(id_)
    assert found is not None
    assert found.kind == "slow"
    merge()
    assert finding(id_) == found
    assert finding("0" * 32) is None


def test_the_runs_of_its_route_are_told() -> None:
    runs.register_kind(TIMING.name)
    now = int(time.time()) // 10 * 10
    write(
        *[
            Measured(now, TIMING.name, (route, status), 5.0)
            for route in ("/a/", "/b/")
            for status in "23"
            for _ in range(4)
        ]
    )
    saw()
    assert findings()[0].evidence["requests"] == 8
    merge()
    assert findings()[0].evidence["requests"] == 8


# What a person sets


@pytest.mark.parametrize("merged", [True, False])
@pytest.mark.parametrize("state", ["open", "ignored", "resolved"])
def test_a_state_is_set_with_who_set_it_and_stays(state: str, merged: bool) -> None:
    id_ = saw()
    if merged:
        merge()
    set_state(id_, state, by="ann")
    (row,) = findings()
    assert (row.state, row.state_by, row.evidence["count"]) == (state, "ann", 1)
    merge()
    (row,) = findings()
    assert (row.state, row.state_by, row.evidence["count"]) == (state, "ann", 1)


def test_an_ignored_one_stays_so_and_a_resolved_one_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    ignored, resolved = saw(), saw(kind="duplicate")
    set_state(ignored, "ignored")
    set_state(resolved, "resolved")
    later(monkeypatch)
    saw()
    saw(kind="duplicate")
    states = {row.id: (row.state, row.reopened) for row in findings()}
    assert states == {ignored: ("ignored", False), resolved: ("open", True)}
    merge()
    assert {row.id: (row.state, row.reopened) for row in findings()} == states


@pytest.mark.parametrize("state", ["", "closed", "Open", None])
def test_another_state_is_refused_with_those_that_there_are(state: Any) -> None:
    id_ = saw()
    with pytest.raises(ValueError, match="open, ignored, resolved, not"):
        set_state(id_, state)
    assert findings()[0].state == "open"


def test_a_state_that_there_is_not_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="not 'closed'"):
        findings(state="closed")


def test_a_finding_that_there_is_not_cannot_be_set() -> None:
    with pytest.raises(LookupError, match="There is no finding 'f00'"):
        set_state("f00", "ignored")


class Contended(ORMStorage):
    """Has the leader merge in between, as often as ``times``."""

    times = 0

    def move_finding(self, old: Any, new: Any) -> bool:
        if type(self).times:
            type(self).times -= 1
            ahead = old._replace(merged_to=old.merged_to + 60, count=old.count + 1)
            assert super().move_finding(old, ahead)
        return super().move_finding(old, new)


def test_a_state_is_set_beside_what_the_leader_counts_meanwhile() -> None:
    id_ = saw()
    merge()
    with override_settings(PERFSUITE={"METRICS": {"STORAGE": f"{__name__}.Contended"}}):
        Contended.times = 2
        set_state(id_, "ignored")
        (row,) = findings()
        assert (row.state, row.evidence["count"]) == ("ignored", 3)
        Contended.times = 100
        with pytest.raises(RuntimeError, match="try again"):
            set_state(id_, "open")
        Contended.times = 0


def test_a_store_that_is_away_cannot_be_read() -> None:
    with override_settings(PERFSUITE={"METRICS": {"DATABASE": "away"}}):
        with pytest.raises(StoreUnavailable):
            findings()
        with pytest.raises(StoreUnavailable):
            set_state("f00", "open")
