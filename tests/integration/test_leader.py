"""Of several processes one leads, and when it dies another takes over; never do two lead at the same instant."""

from __future__ import annotations

from pathlib import Path

from tests.integration.leads import Lead, overlaps
from tests.integration.site import Site
from tests.integration.takeovers import kill_leaders_of_fleets

TAKEOVER_S = 30.0
FLEETS = 3


def test_when_a_leader_is_killed_another_leads_within_30_seconds_and_never_two_at_once(
    template: Site, tmp_path: Path
) -> None:
    outcome = kill_leaders_of_fleets(template, FLEETS, 1, tmp_path)

    assert len(outcome.takeovers_s) == FLEETS
    assert min(outcome.takeovers_s) > 0
    assert max(outcome.takeovers_s) <= TAKEOVER_S
    assert outcome.overlaps == []


def test_two_leads_at_the_same_instant_would_be_seen() -> None:
    one, after, beside = Lead(1, 0.0, 10.0), Lead(2, 10.0, 20.0), Lead(3, 19.0, 21.0)

    assert overlaps([one, after]) == []
    assert overlaps([one, after, beside]) == [(after, beside)]
