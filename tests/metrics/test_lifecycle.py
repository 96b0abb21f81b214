"""What becomes of a finding, as a table: minutes with so many runs of its route and sightings, and the state after."""

from __future__ import annotations

import json
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
    moved,
    share,
)
from perfsuite.metrics.storages import StoredFinding, StoredSighting

T = 1_800_000_000


def seen(
    count: int, at: int, site: str = "a.py:1 in b", saving_us: float = 10.0, n: int = 0
) -> StoredSighting:
    about = json.dumps(["slow", "SELECT ?", "default", "/a/", site])
    evidence = json.dumps({"n": n})
    return StoredSighting(uuid4(), at, "f" * 32, at, count, saving_us * count, saving_us, about, evidence)


class Minute(NamedTuple):
    """Runs and sightings in a minute; or what a person sets."""

    runs: int = 0
    seen: int = 0
    times: int = 1
    sets: str = ""


def history(*minutes: Minute) -> tuple[StoredFinding, int]:
    finding, at = None, T
    for minute in minutes:
        for _ in range(minute.times):
            if minute.sets:
                assert finding is not None
                finding = moved(finding, minute.sets, at, "ann")
                continue
            sightings = [seen(minute.seen, at + 30)] if minute.seen else []
            at += 60
            finding = advance(finding, sightings, minute.runs, at)
    assert finding is not None
    return finding, at


M = Minute


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
