"""What becomes of a finding: pure, without a store and without a clock.

    open -> resolved     when its route ran often enough without a sighting, or by a person
    resolved -> open     on a sighting later than that: a regression
    ignored              by a person, until a person says otherwise

Enough is when so many runs without a sighting would be a surprise, were the share of runs with one still what it was:
``(1 - share) ** runs < 0.01``, and at least 20.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from perfsuite.metrics.storages import StoredFinding, StoredSighting

OPEN, IGNORED, RESOLVED = "open", "ignored", "resolved"
STATES = (OPEN, IGNORED, RESOLVED)

MIN_RUNS = 20
SURPRISE = 0.01
# A finding is not resolved sooner than this after its last sighting, however many runs there were.
QUIET_S = 300
# The share is that of about the last so many runs, so that what was fixed in part is not judged by what it was before.
RECENT_RUNS = 2_000.0


def advance(
    finding: StoredFinding | None, sightings: Sequence[StoredSighting], runs: int, to: int
) -> StoredFinding:
    """Return the finding after a stretch of time that ends at ``to``, in which its route ran ``runs`` times.

    ``sightings`` are those of the stretch; without a finding so far there must be at least one, and they begin it.
    """
    if sightings:
        finding = _seen(finding or begun(sightings), sightings, runs)
    elif finding is not None:
        finding = _unseen(finding, runs, to)
    else:
        raise ValueError("A finding begins with a sighting; pass at least one.")
    return finding._replace(merged_to=to)


def moved(finding: StoredFinding, state: str, at: int, by: str) -> StoredFinding:
    """Return the finding in the state that somebody chose. Opened, it has all its runs without a sighting still before it."""
    return finding._replace(state=state, state_at=at, state_by=by, quiet_runs=0)


def share(finding: StoredFinding) -> float:
    """Return the share of runs that had a sighting, from 0 to 1; 1 where no runs were counted."""
    return min(1.0, finding.recent_count / finding.recent_runs) if finding.recent_runs else 1.0


def is_enough(runs: int, share: float) -> bool:
    """Tell whether so many runs without a sighting say that there will be no more, if ``share`` of them used to have one."""
    return runs >= MIN_RUNS and (1.0 - share) ** runs < SURPRISE


def begun(sightings: Sequence[StoredSighting]) -> StoredFinding:
    """Return the finding that these sightings begin, without anything counted yet."""
    first = min(sightings, key=lambda each: each.at)
    kind, subject, alias, route, site = json.loads(first.about)
    return StoredFinding(
        id=first.finding,
        kind=kind,
        subject=subject,
        evidence=first.evidence,
        state=OPEN,
        first_seen=first.at,
        last_seen=first.at,
        alias=alias,
        route=route,
        site=site,
        count=0,
        saving_us=0.0,
        saving_us_max=0.0,
        runs=0,
        quiet_runs=0,
        recent_runs=0.0,
        recent_count=0.0,
        merged_to=0,
        state_at=first.at,
        state_by="",
        regressions=0,
    )


def _seen(finding: StoredFinding, sightings: Sequence[StoredSighting], runs: int) -> StoredFinding:
    latest = max(sightings, key=lambda each: each.at)
    seen = sum(each.count for each in sightings)
    if finding.state == RESOLVED and latest.at > finding.state_at:
        regressions = finding.regressions + 1
        finding = finding._replace(state=OPEN, state_at=latest.at, state_by="", regressions=regressions)
    if latest.at >= finding.last_seen:  # where the code stands now, and what was seen of it last
        finding = finding._replace(evidence=latest.evidence, site=json.loads(latest.about)[4])
    # The runs without one count now: a finding that was resolved too soon has a smaller share from here on.
    halved = 0.5 if finding.recent_runs > RECENT_RUNS else 1.0
    return finding._replace(
        first_seen=min(finding.first_seen, *(each.at for each in sightings)),
        last_seen=max(finding.last_seen, latest.at),
        count=finding.count + seen,
        saving_us=finding.saving_us + sum(each.saving_us for each in sightings),
        saving_us_max=max(finding.saving_us_max, *(each.saving_us_max for each in sightings)),
        runs=finding.runs + runs,
        quiet_runs=0,
        recent_runs=halved * (finding.recent_runs + finding.quiet_runs) + runs,
        recent_count=halved * finding.recent_count + seen,
    )


def _unseen(finding: StoredFinding, runs: int, to: int) -> StoredFinding:
    if finding.state == RESOLVED:
        return finding
    finding = finding._replace(runs=finding.runs + runs, quiet_runs=finding.quiet_runs + runs)
    quiet_s = to - finding.last_seen
    if finding.state == OPEN and quiet_s >= QUIET_S and is_enough(finding.quiet_runs, share(finding)):
        return finding._replace(state=RESOLVED, state_at=to, state_by="")
    return finding
