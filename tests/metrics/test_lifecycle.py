"""What becomes of a finding, as a table: minutes with so many runs of its route and sightings, and the state after."""

from __future__ import annotations

import json
import random
from typing import NamedTuple
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfsuite.metrics.lifecycle import (
    MIN_RUNS,
    QUIET_S,
    RECENT_RUNS,
    advance,
    is_enough,
    is_no_accident,
    moved,
    share,
)
from perfsuite.metrics.storages import StoredFinding, StoredSighting

T = 1_800_000_000


def seen(
    count: int, at: int, site: str = "a.py:1 in b", saving_us: float = 10.0, n: int = 0, limit_us: float = 0.0
) -> StoredSighting:
    about = json.dumps(["slow", "SELECT ?", "default", "/a/", site])
    evidence = json.dumps({"n": n, "limit_us": limit_us} if limit_us else {"n": n})
    return StoredSighting(uuid4(), at, "f" * 32, at, count, saving_us * count, saving_us, about, evidence)


class Minute(NamedTuple):
    """Runs and sightings in a minute; or what a person sets."""

    runs: int = 0
    seen: int = 0
    times: int = 1
    sets: str = ""
    # The slowest of the sightings, in limits of a finding by time.
    limits: float = 1.5


def history(*minutes: Minute, limit_us: float = 0.0) -> tuple[StoredFinding, int]:
    finding, at = None, T
    for minute in minutes:
        for _ in range(minute.times):
            if minute.sets:
                assert finding is not None
                finding = moved(finding, minute.sets, at, "ann")
                continue
            saving_us = limit_us * (minute.limits - 1.0) if limit_us else 10.0
            sightings = (
                [seen(minute.seen, at + 30, saving_us=saving_us, limit_us=limit_us)] if minute.seen else []
            )
            at += 60
            finding = advance(finding, sightings, minute.runs, at)
    assert finding is not None
    return finding, at


M = Minute


def test_what_is_looked_for_once_a_day_is_open_until_it_was_not_found_for_three() -> None:
    once = seen(1, T)._replace(evidence=json.dumps({"every_s": 86_400}))
    finding = advance(None, [once], 10, T + 60)
    for days, state in ((1, "open"), (2.9, "open"), (3.1, "resolved")):
        finding = advance(finding, [], 5_000, T + round(days * 86_400))
        assert finding.state == state


@pytest.mark.parametrize(
    ("minutes", "state", "regressions"),
    [
        ([M(10, 10)], "open", 0),
        # As many runs as are enough where every one had a sighting, but for too short a time; and long, but of too few runs.
        ([M(10, 10), M(20, 0, 4)], "open", 0),
        ([M(10, 10), M(4, 0, 4), M(3)], "open", 0),
        ([M(10, 10), M(1, 0, 19)], "open", 0),
        ([M(10, 10), M(1, 0, 20)], "resolved", 0),
        ([M(10, 10), M(20, 0, 6)], "resolved", 0),
        # Time alone resolves nothing.
        ([M(10, 10), M(0, 0, 5_000)], "open", 0),
        # One run of ten had a sighting: 44 without one are enough, 43 are not.
        ([M(100, 10), M(43), M(0, 0, 60)], "open", 0),
        ([M(100, 10), M(44), M(0, 0, 60)], "resolved", 0),
        ([M(1_000, 1), M(4_602), M(0, 0, 60)], "open", 0),
        ([M(1_000, 1), M(4_603), M(0, 0, 60)], "resolved", 0),
        # A sighting in between begins the count of runs anew.
        ([M(10, 10), M(19), M(1, 1), M(19), M(0, 0, 60)], "open", 0),
        # Several sightings in a run, or runs that nobody counted.
        ([M(10, 50), M(20, 0, 6)], "resolved", 0),
        ([M(0, 5), M(0, 0, 100)], "open", 0),
        ([M(0, 5), M(5, 0, 6)], "resolved", 0),
        # It comes back.
        ([M(10, 10), M(20, 0, 6), M(10, 1)], "open", 1),
        ([M(10, 10), M(20, 0, 6), M(10, 1), M(1_000, 0, 6)], "resolved", 1),
        ([M(10, 10), M(20, 0, 6), M(10, 1), M(1_000, 0, 6), M(10, 1)], "open", 2),
        # Ignored stays, seen or unseen.
        ([M(10, 10), M(sets="ignored"), M(20, 0, 60)], "ignored", 0),
        ([M(10, 10), M(sets="ignored"), M(20, 0, 60), M(10, 10)], "ignored", 0),
        ([M(10, 10), M(sets="ignored"), M(20, 0, 60), M(sets="open"), M(19, 0), M(0, 0, 60)], "open", 0),
        ([M(10, 10), M(sets="ignored"), M(20, 0, 60), M(sets="open"), M(20, 0, 6)], "resolved", 0),
        # Resolved by a person, right and wrong.
        ([M(10, 10), M(sets="resolved"), M(20, 0, 60)], "resolved", 0),
        ([M(10, 10), M(sets="resolved"), M(10, 10)], "open", 1),
        ([M(10, 10), M(sets="resolved"), M(sets="open")], "open", 0),
    ],
)
def test_the_state_after_each_history(minutes: list[Minute], state: str, regressions: int) -> None:
    finding, _ = history(*minutes)
    assert (finding.state, finding.regressions) == (state, regressions)


@pytest.mark.parametrize(
    ("minutes", "state", "regressions"),
    [
        # Once, in a minute however bad, or seldom: a busy machine.
        ([M(1, 1)], "suspected", 0),
        ([M(10, 10)], "suspected", 0),
        ([M(1, 1), M(1), M(1, 1)], "suspected", 0),
        ([M(100, 1, 30)], "suspected", 0),
        ([M(1, 1, limits=9.9)], "suspected", 0),
        # Always, mostly, or one of ten: the statement.
        ([M(1, 1), M(1, 1)], "open", 0),
        ([M(1, 1), M(0, 0, 1_440), M(1, 1)], "open", 0),
        ([M(2, 1), M(2, 1), M(2, 1)], "open", 0),
        ([M(100, 10), M(100, 10)], "open", 0),
        ([M(10_000, 600), M(10_000, 600)], "open", 0),
        ([M(0, 1), M(0, 1)], "open", 0),
        # A nightly report is told at once, and what only once took so long of many is not.
        ([M(1, 1, limits=10.0)], "open", 0),
        ([M(3, 1, limits=10.0)], "suspected", 0),
        ([M(100, 1, limits=50.0)], "suspected", 0),
        # What came to nothing counts no more, and hours between accidents are no proof.
        ([M(1, 1), M(20, 0, 6), M(1, 1)], "suspected", 0),
        ([M(1, 1), M(20, 0, 6), M(1, 1), M(20, 0, 6), M(1, 1)], "suspected", 0),
        ([M(1, 1), M(20, 0, 6), M(1, 1), M(1, 1)], "open", 0),
        # It is resolved as any other, and does not come back by accident.
        ([M(5, 5, 2), M(20, 0, 6)], "resolved", 0),
        ([M(5, 5, 2), M(20, 0, 6), M(10, 1)], "resolved", 0),
        ([M(5, 5, 2), M(20, 0, 6), M(10, 1), M(20, 0, 30), M(10, 1)], "resolved", 0),
        ([M(5, 5, 2), M(20, 0, 6), M(5, 5, 2)], "open", 1),
        ([M(5, 5, 2), M(20, 0, 6), M(5, 5), M(0, 0, 60), M(5, 5)], "open", 1),
        ([M(5, 5, 2), M(20, 0, 6), M(1, 1, limits=12.0)], "open", 1),
        # A person's word is taken, and what was seen before it is no proof against it.
        ([M(5, 5, 2), M(sets="resolved"), M(5, 5)], "resolved", 0),
        ([M(5, 5, 2), M(sets="resolved"), M(5, 5, 2)], "open", 1),
        ([M(5, 5, 2), M(sets="ignored"), M(5, 5, 9)], "ignored", 0),
    ],
)
def test_what_is_slow_by_accident_is_no_finding_and_what_is_slow_by_itself_is(
    minutes: list[Minute], state: str, regressions: int
) -> None:
    finding, _ = history(*minutes, limit_us=100_000.0)
    assert (finding.state, finding.regressions) == (state, regressions)


def test_several_minutes_that_are_merged_at_once_are_several() -> None:
    def of(*at: int) -> str:
        return advance(None, [seen(1, T + each, limit_us=1_000.0) for each in at], len(at), T + 600).state

    assert (of(1, 5), of(1, 90)) == ("suspected", "open")


def test_a_sighting_from_before_a_finding_was_resolved_does_not_open_it() -> None:
    finding, at = history(M(5, 5, 2), M(sets="resolved"), limit_us=1_000.0)
    before = [seen(5, at - 90, limit_us=1_000.0), seen(5, at - 10, limit_us=1_000.0)]
    assert advance(finding, before, 10, at + 60).state == "resolved"


def test_a_suspicion_that_came_to_nothing_is_not_written_again() -> None:
    finding, at = history(M(1, 1), M(20, 0, 6), limit_us=1_000.0)
    assert advance(finding, [], 50, at + 60) == finding._replace(merged_to=at + 60)


@given(st.integers(2, 400), st.integers(0, 3_000))
def test_more_slow_runs_of_as_many_and_fewer_runs_are_never_less_of_a_proof(seen: int, others: int) -> None:
    runs = seen + others
    if is_no_accident(seen, runs):
        assert is_no_accident(seen + 1, runs)
        assert is_no_accident(seen, max(seen, runs - 1))


def test_a_quick_statement_on_a_busy_machine_is_hardly_ever_found_and_a_slow_one_soon() -> None:
    chance = random.Random(6)

    def is_found(slow_share: float, a_minute: int, minutes: int) -> bool:
        finding, at = None, T
        for _ in range(minutes):
            slow = sum(chance.random() < slow_share for _ in range(a_minute))
            at += 60
            if finding is not None or slow:
                finding = advance(finding, [seen(slow, at - 30, limit_us=1e5)] if slow else [], a_minute, at)
            if finding is not None and finding.state == "open":
                return True
        return False

    busy = sum(is_found(0.005, a_minute, 240) for a_minute in (1, 3, 10, 50) for _ in range(25))
    slow = sum(is_found(0.5, a_minute, 15) for a_minute in (1, 3, 10, 50) for _ in range(25))
    assert busy <= 5
    assert slow >= 95


def test_a_finding_is_what_its_first_sighting_is_about() -> None:
    finding = advance(None, [seen(3, T + 5, n=2), seen(2, T + 1, n=1)], 40, T + 60)
    assert finding[:3] == ("f" * 32, "slow", "SELECT ?")
    assert (finding.alias, finding.route, finding.site) == ("default", "/a/", "a.py:1 in b")
    assert (finding.first_seen, finding.last_seen, finding.merged_to) == (T + 1, T + 5, T + 60)
    assert (finding.count, finding.runs, finding.saving_us, finding.saving_us_max) == (5, 40, 50.0, 10.0)
    assert json.loads(finding.evidence) == {"n": 2}


def test_the_latest_sighting_gives_evidence_and_line() -> None:
    finding = advance(None, [seen(1, T, n=1)], 1, T + 60)
    finding = advance(finding, [seen(1, T + 70, site="a.py:9 in b", n=2)], 1, T + 120)
    assert (json.loads(finding.evidence), finding.site) == ({"n": 2}, "a.py:9 in b")
    # One that has waited in its process while the store was away.
    finding = advance(finding, [seen(1, T + 65, site="a.py:1 in b", n=3)], 1, T + 180)
    assert (json.loads(finding.evidence), finding.site) == ({"n": 2}, "a.py:9 in b")
    assert (finding.count, finding.last_seen) == (3, T + 70)


def test_a_sighting_from_before_somebody_resolved_it_does_not_open_it() -> None:
    finding = moved(advance(None, [seen(1, T)], 1, T + 60), "resolved", T + 100, "ann")
    finding = advance(finding, [seen(1, T + 100)], 1, T + 120)
    assert (finding.state, finding.state_by, finding.count) == ("resolved", "ann", 2)
    finding = advance(finding, [seen(1, T + 101)], 1, T + 180)
    assert (finding.state, finding.state_by, finding.state_at) == ("open", "", T + 101)


def test_runs_are_not_counted_while_it_is_resolved() -> None:
    resolved, at = history(M(10, 10), M(20, 0, 6))
    later = advance(resolved, [], 1_000, at + 60)
    assert later == resolved._replace(merged_to=at + 60)
    assert resolved.runs == 10 + 5 * 20


def test_a_finding_that_came_back_needs_more_runs_than_before_to_resolve() -> None:
    """What was resolved too soon had a smaller share than its first runs said."""
    finding, at = history(M(1, 1), M(20, 0, 6), M(1, 1))
    assert share(finding) == pytest.approx(2 / (1 + 100 + 1))
    assert not is_enough(100, share(finding))
    assert advance(finding, [], 100, at + QUIET_S + 60).state == "open"


def test_the_share_follows_a_partial_fix() -> None:
    before, _ = history(M(1_000, 900, 5))
    assert share(before) > 0.8
    after, _ = history(M(1_000, 900, 5), M(1_000, 10, 15))
    assert share(after) < 0.02
    assert after.recent_runs <= RECENT_RUNS + 1_000


def test_nothing_comes_of_nothing() -> None:
    with pytest.raises(ValueError, match="begins with a sighting"):
        advance(None, [], 5, T)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_enough_is_never_fewer_than_the_least_and_grows_with_rarity(runs: int, share: float) -> None:
    if is_enough(runs, share):
        assert runs >= MIN_RUNS
        assert is_enough(runs + 1, share)
        assert is_enough(runs, min(1.0, share + 0.1))


minutes = st.builds(
    Minute,
    runs=st.integers(0, 100),
    seen=st.integers(0, 3),
    times=st.integers(1, 10),
    sets=st.sampled_from(["", "", "", "", "open", "ignored", "resolved"]),
)


@given(st.lists(minutes, max_size=30))
def test_for_any_history_counts_are_exact_and_only_a_person_ignores(steps: list[Minute]) -> None:
    steps = [M(5, 1), *steps]
    finding, at = history(*steps)
    assert finding.count == sum(step.seen * step.times for step in steps if not step.sets)
    assert finding.runs <= sum(step.runs * step.times for step in steps if not step.sets)
    assert T <= finding.first_seen <= finding.last_seen <= finding.merged_to == at
    assert 0 <= share(finding) <= 1
    if finding.state == "ignored":
        assert [step.sets for step in steps if step.sets][-1] == "ignored"
