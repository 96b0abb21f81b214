"""The leader's work on findings: whatever happens to it, each sighting and each run counts once."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.test import override_settings

from perfsuite.metrics import compaction, flush, kinds, leader, merging, runs
from perfsuite.metrics.findings import MARK, FindingRow, finding, findings, set_state
from perfsuite.metrics.flusher import flusher
from perfsuite.metrics.kinds import Kind
from perfsuite.metrics.leader import LeaseLost
from perfsuite.metrics.models import Finding, Sighting
from perfsuite.metrics.recorder import recorder
from perfsuite.metrics.sightings import finding_id, sight
from perfsuite.metrics.storages import StoredFinding, StoredSighting, get_storage
from perfsuite.metrics.storages.alias import store_alias
from perfsuite.metrics.storages.orm import ORMStorage
from tests.metrics.conftest import Clock
from tests.metrics.rows import TIMING
from tests.metrics.test_sightings import sighting

pytestmark = pytest.mark.django_db(databases="__all__")

DAY = 86_400
STATEMENT = kinds.declare(Kind("test.merging.statement", "us", ("fingerprint", "alias", "route"), cap=50))
MODULES = ("sightings", "flusher", "compaction", "query", "findings", "merging")


def nothing() -> None:
    pass


class Fleet:
    """Processes that serve requests and flush, and a leader, on one clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.clock.epoch -= self.clock.epoch % 60

    def serve(self, requests: int, seen: int = 0, route: str = "/a/", **changed: Any) -> None:
        """Have a new process serve some requests of a route, of which some have a sighting, and flush."""
        flusher._reset()
        recorder.observe_many([(TIMING.name, (route, "2xx"), 5.0)] * requests)
        for _ in range(seen):
            sight(sighting(route=route, **changed))
        assert flush()

    def minute(self, *args: Any, **changed: Any) -> None:
        """Serve, let a minute go by, and have the leader do what is due."""
        self.serve(*args, **changed)
        self.clock.move(60)
        self.lead()

    def lead(self) -> None:
        compaction.compact(checkpoint=nothing)
        merging.merge(checkpoint=nothing)
        merging.trim(checkpoint=nothing)

    def close(self) -> None:
        """Let so much time go by that all that was served is merged."""
        self.clock.move(60)
        self.serve(1, route="/other/")
        self.clock.move(180)
        self.lead()


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setattr(runs, "_sources", {})
    monkeypatch.setattr(runs, "_subjects", {})
    runs.register_kind(TIMING.name)
    return Fleet(Clock(monkeypatch, *(f"perfsuite.metrics.{module}" for module in MODULES)))


def stored() -> list[StoredFinding]:
    return get_storage().findings()


def only() -> FindingRow:
    (row,) = findings()
    return row


def finding_id_of() -> str:
    made = sighting()
    return finding_id(made.kind, made.subject, made.alias, made.route, made.site)


# Merging


def test_the_sightings_of_several_processes_become_one_finding(fleet: Fleet) -> None:
    fleet.serve(10, 2, saving_us=10.0)
    fleet.serve(20, 3, saving_us=30.0)
    fleet.serve(5, route="/b/")
    fleet.clock.move(60)
    fleet.serve(7, 1, saving_us=5.0)
    assert Sighting.objects.using(store_alias()).count() == 3
    fleet.close()
    (row,) = stored()
    assert (row.count, row.runs, row.saving_us, row.saving_us_max) == (6, 37, 115.0, 30.0)
    assert Sighting.objects.using(store_alias()).count() == 0
    assert only().evidence["count"] == 6


def test_what_is_slow_is_a_finding_from_its_second_minute_on_and_shown_to_nobody_before(fleet: Fleet) -> None:
    fleet.minute(3, 2, evidence={"limit_us": 100})
    assert findings() == []
    assert finding(finding_id_of()) is None
    fleet.minute(3, 2, evidence={"limit_us": 100})
    assert (only().state, only().evidence["count"]) == ("open", 4)
    fleet.close()
    assert (only().state, only().evidence["count"]) == ("open", 4)


@pytest.mark.by_store
def test_what_is_slow_now_and_then_stays_a_suspicion_and_goes(fleet: Fleet) -> None:
    runs.register_subjects(STATEMENT.name, STATEMENT.labels)
    for _ in range(12):
        recorder.observe_many([(STATEMENT.name, ("SELECT ?", "default", "/a/"), 5.0)] * 400)
        fleet.minute(400, 1, evidence={"limit_us": 100})
    fleet.close()
    assert findings() == []
    assert [row.state for row in stored()] == ["suspected"]
    fleet.clock.move(9 * DAY)
    merging.trim(checkpoint=nothing)
    assert stored() == []


def test_the_minute_that_is_still_open_is_left(fleet: Fleet) -> None:
    fleet.serve(10, 2)
    fleet.clock.move(119)
    fleet.lead()
    assert stored() == []
    fleet.clock.move(1)
    fleet.lead()
    assert [row.count for row in stored()] == [2]


def test_an_empty_store_and_one_without_sightings_have_nothing_to_merge(fleet: Fleet) -> None:
    fleet.lead()
    fleet.minute(10)
    fleet.close()
    assert stored() == []
    assert get_storage().marks([MARK]) == {}


@pytest.mark.by_store
def test_minutes_without_sightings_are_merged_in_one_go_and_their_runs_count(fleet: Fleet) -> None:
    fleet.serve(10, 10)
    fleet.close()
    for _ in range(30):
        fleet.serve(1)
        fleet.clock.move(60)
        compaction.compact(checkpoint=nothing)
    assert merging.merge(checkpoint=nothing) == 1
    assert only().evidence["requests"] > 30


def test_runs_are_counted_per_route(fleet: Fleet) -> None:
    fleet.serve(10, 1, route="/a/")
    fleet.serve(20, 1, route="/b/")
    fleet.close()
    fleet.serve(5, 0, route="/a/")
    fleet.close()
    assert {row.route: row.evidence["requests"] for row in findings()} == {"/a/": 15, "/b/": 20}


def test_runs_outside_of_requests_are_counted_by_what_is_registered(fleet: Fleet) -> None:
    runs.register("commands", lambda window: {"<command> migrate": 3})
    fleet.serve(1, 1, route="<command> migrate")
    fleet.close()
    assert only().evidence["requests"] % 3 == 1  # one of the kind, and three for each stretch


# The state


@pytest.mark.by_store
def test_a_finding_resolves_when_its_route_ran_often_enough_and_comes_back(fleet: Fleet) -> None:
    fleet.serve(10, 10)
    fleet.close()
    for _ in range(8):
        fleet.minute(2)  # 16 runs are too few
    assert only().state == "open"
    for _ in range(4):
        fleet.minute(2)
    assert (only().state, only().state_by) == ("resolved", "")
    fleet.minute(100)
    assert only().state == "resolved"
    fleet.serve(1, 1)
    assert (only().state, only().reopened) == ("open", True)  # before the leader has merged it
    fleet.close()
    assert (only().state, only().regressions) == ("open", 1)


@pytest.mark.by_store
def test_without_requests_nothing_resolves(fleet: Fleet) -> None:
    fleet.serve(10, 10)
    fleet.close()
    for _ in range(20):
        fleet.minute(50, route="/other/")
    assert only().state == "open"


@pytest.mark.by_store
def test_an_ignored_one_stays_through_all_that_comes(fleet: Fleet) -> None:
    fleet.serve(10, 10)
    set_state(only().id, "ignored", by="ann")
    fleet.close()
    for _ in range(10):
        fleet.minute(50)
    fleet.serve(10, 10)
    fleet.close()
    assert (only().state, only().state_by, only().evidence["count"]) == ("ignored", "ann", 20)


# Crashes


class Killed(Exception):
    """The process ends here."""


class Mortal(ORMStorage):
    """Dies before or after a step, by chance. Each step itself happens wholly or not at all."""

    chance = random.Random(1)
    risk = 0.0

    def _step(self, name: str, *args: Any) -> Any:
        for before in (True, False):
            if self.chance.random() < type(self).risk:
                raise Killed
            if before:
                result = getattr(ORMStorage, name)(self, *args)
        return result

    def move_mark(self, *args: Any) -> bool:
        moved: bool = self._step("move_mark", *args)
        return moved

    def move_finding(self, *args: Any) -> bool:
        moved: bool = self._step("move_finding", *args)
        return moved

    def sightings(self, *args: Any) -> list[StoredSighting]:
        found: list[StoredSighting] = self._step("sightings", *args)
        return found

    def trim_sightings(self, *args: Any) -> int:
        gone: int = self._step("trim_sightings", *args)
        return gone


@pytest.mark.long_history
@override_settings(PERFSUITE={"METRICS": {"STORAGE": f"{__name__}.Mortal"}})
def test_killed_anywhere_every_sighting_and_every_run_counts_once(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, killed = random.Random(3), 0
    seen: dict[str, int] = {}
    ran: dict[str, int] = {}
    for _ in range(400):
        if killed >= 30:
            break
        monkeypatch.setattr(Mortal, "risk", 0.0)
        route = chance.choice(["/a/", "/b/", "/c/"])
        # The first in each route has a sighting, so that its runs count from then on, and nothing ever resolves.
        requests, sightings = chance.randint(1, 3), chance.choice([0, 1, 2]) if route in seen else 1
        fleet.serve(requests, sightings, route=route)
        seen[route] = seen.get(route, 0) + sightings
        ran[route] = ran.get(route, 0) + requests
        fleet.clock.move(chance.choice([5, 20, 60, 130]))
        compaction.compact(checkpoint=nothing)
        monkeypatch.setattr(Mortal, "risk", 0.06)
        try:
            merging.merge(checkpoint=nothing)
            merging.trim(checkpoint=nothing)
        except Killed:
            killed += 1
            monkeypatch.setattr(Mortal, "risk", 0.0)
            assert {row.route: row.evidence["count"] for row in findings()} == seen
    assert killed == 30
    monkeypatch.setattr(Mortal, "risk", 0.0)
    fleet.close()
    rows = {row.route: row for row in findings()}
    assert {route: row.evidence["count"] for route, row in rows.items()} == seen
    assert {route: row.evidence["requests"] for route, row in rows.items()} == ran


def test_of_two_that_merge_at_once_one_gives_up_and_nothing_doubles(fleet: Fleet) -> None:
    for route in ("/a/", "/b/"):
        fleet.serve(10, 2, route=route)
    fleet.clock.move(180)
    compaction.compact(checkpoint=nothing)
    calls = 0

    def overtaken() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:  # between the findings and the mark
            merging.merge(checkpoint=nothing)

    with pytest.raises(LeaseLost):
        merging.merge(checkpoint=overtaken)
    assert [row.count for row in stored()] == [2, 2]


class Overtaken(ORMStorage):
    """Another leader merges the finding between this one's read and its write."""

    armed = False

    def move_finding(self, old: Any, new: Any) -> bool:
        if type(self).armed:
            type(self).armed = False
            assert super().move_finding(old, new)
        return super().move_finding(old, new)


@pytest.mark.parametrize("known", [False, True])
def test_a_finding_that_another_leader_has_merged_meanwhile_is_left(fleet: Fleet, known: bool) -> None:
    with override_settings(PERFSUITE={"METRICS": {"STORAGE": f"{__name__}.Overtaken"}}):
        if known:
            fleet.serve(10, 2)
            fleet.close()
        fleet.serve(10, 2)
        Overtaken.armed = True
        fleet.close()
        assert Overtaken.armed is False
    assert only().evidence["count"] == (4 if known else 2)


class Decided(ORMStorage):
    """A person decides between the leader's read and its write."""

    armed = False

    def move_finding(self, old: Any, new: Any) -> bool:
        if type(self).armed:
            type(self).armed = False
            set_state(old.id, "ignored", by="ann")
        return super().move_finding(old, new)


@pytest.mark.parametrize("before", ["open", "resolved"])
def test_what_a_person_decides_while_the_leader_merges_is_not_lost(fleet: Fleet, before: str) -> None:
    with override_settings(PERFSUITE={"METRICS": {"STORAGE": f"{__name__}.Decided"}}):
        fleet.serve(10, 2)
        fleet.close()
        set_state(only().id, before)
        fleet.clock.move(1)
        fleet.serve(10, 2)  # which opens a resolved one
        Decided.armed = True
        fleet.close()
        assert Decided.armed is False
    assert (only().state, only().state_by, only().evidence["count"]) == ("ignored", "ann", 4)


def test_who_lost_the_lead_stops_before_anything_is_written(fleet: Fleet) -> None:
    fleet.serve(10, 2)
    fleet.clock.move(180)
    compaction.compact(checkpoint=nothing)
    assert leader.Candidate().renew()
    with pytest.raises(LeaseLost):
        merging.merge()
    with pytest.raises(LeaseLost):
        merging.trim()
    assert stored() == []


def test_merging_is_one_of_the_leader_s_jobs(fleet: Fleet) -> None:
    merging.register_jobs()
    fleet.serve(10, 2)
    fleet.clock.move(180)
    compaction.compact(checkpoint=nothing)
    leader.tick()
    assert [row.count for row in stored()] == [2]


# What goes


def test_resolved_findings_go_when_they_are_old_and_ignored_ones_never(fleet: Fleet) -> None:
    for kind, state in (("slow", "open"), ("duplicate", "resolved"), ("chatty", "ignored")):
        fleet.serve(10, 2, kind=kind)
        set_state(next(row.id for row in findings() if row.kind == kind), state)
    fleet.close()

    def left() -> set[str]:
        merging.trim(checkpoint=nothing)
        return {row.state for row in findings()}

    fleet.clock.move(merging.KEEP_RESOLVED_S - DAY)
    assert left() == {"open", "resolved", "ignored"}
    fleet.clock.move(2 * DAY)
    assert left() == {"open", "ignored"}
    fleet.clock.move(400 * DAY)
    assert left() == {"ignored"}
    fleet.clock.move(4_000 * DAY)
    assert left() == {"ignored"}


def test_sightings_that_are_not_merged_are_never_deleted(fleet: Fleet) -> None:
    fleet.serve(10, 2)
    fleet.clock.move(400 * DAY)
    merging.trim(checkpoint=nothing)
    assert Sighting.objects.using(store_alias()).count() == 1
    assert not Finding.objects.using(store_alias()).exists()


def test_a_finding_that_was_trimmed_and_is_seen_again_begins_anew(fleet: Fleet) -> None:
    fleet.serve(10, 2)
    fleet.close()
    set_state(only().id, "resolved")
    fleet.clock.move(merging.KEEP_RESOLVED_S + DAY)
    merging.trim(checkpoint=nothing)
    assert findings() == []
    fleet.serve(10, 3)
    fleet.close()
    assert (only().evidence["count"], only().regressions) == (3, 0)
