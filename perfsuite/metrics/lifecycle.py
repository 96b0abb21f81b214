"""What becomes of a finding: pure, without a store and without a clock.

    open -> resolved     when its route ran often enough without a sighting, or by a person
    resolved -> open     on a sighting later than that: a regression
    ignored              by a person, until a person says otherwise
    suspected -> open    a finding by time, once it is no accident

Enough is when so many runs without a sighting would be a surprise, were the share of runs with one still what it was:
``(1 - share) ** runs < 0.01``, and at least 20.

What is looked for once in a while only, as its ``every_s`` in the evidence says, has most runs without a sighting. It is resolved
when it was not found for three such whiles; who looks for it may know sooner.

A finding by time is one whose evidence has a ``limit_us``, which a run of its subject, a statement, took longer than. On a busy
machine any statement does, once in a while, so such a finding is only suspected at first and is shown to nobody, and one that is
resolved stays so at first. It is no accident when it was seen in two minutes, which a machine is seldom busy for without a break,
when so many sightings would be a surprise if one run of a hundred were slow by accident, and when at least one run of twenty had
one, which is to say that its p95 is over the limit. Sightings that come to nothing are forgotten, as an open finding is resolved.

The exception is what took ten times the limit and is seldom asked for: a nightly report would wait a night for its second
sighting, and a machine is seldom so busy. One such sighting is enough where at least half of the runs had one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from perfsuite.metrics.storages import StoredFinding, StoredSighting

OPEN, IGNORED, RESOLVED, SUSPECTED = "open", "ignored", "resolved", "suspected"
# Those that findings are shown in, and that a person may set.
STATES = (OPEN, IGNORED, RESOLVED)

MIN_RUNS = 20
SURPRISE = 0.01
# A finding is not resolved sooner than this after its last sighting, however many runs there were.
QUIET_S = 300
# The share is that of about the last so many runs, so that what was fixed in part is not judged by what it was before.
RECENT_RUNS = 2_000.0

# The key in the evidence of a finding by time.
LIMIT = "limit_us"
# The key in the evidence of a finding that is looked for once in so many seconds, and how many times nothing must be found.
EVERY = "every_s"
TIMES_NOT_FOUND = 3
# A busy machine makes about so many of all runs slow; what is slow more often than the second of these is slow by itself.
BY_ACCIDENT = 0.01
PROVED_SHARE = 0.05
# With more runs than this, so large a share is no accident.
MANY_RUNS = 500
# So many times the limit in one run, and in so large a share of the runs, is proof at once.
FAR = 10.0
FAR_SHARE = 0.5
MINUTE_S = 60


def advance(
    finding: StoredFinding | None, sightings: Sequence[StoredSighting], runs: int, to: int
) -> StoredFinding:
    """Return the finding after a stretch of time that ends at ``to``, in which its route ran ``runs`` times.

    ``sightings`` are those of the stretch; without a finding so far there must be at least one, and they begin it.
    """
    if sightings:
        finding = _seen(_afresh(finding, sightings), sightings, runs)
    elif finding is not None:
        finding = _unseen(finding, runs, to)
    else:
        raise ValueError("A finding begins with a sighting; pass at least one.")
    return finding._replace(merged_to=to)


def moved(finding: StoredFinding, state: str, at: int, by: str) -> StoredFinding:
    """Return the finding in the state that somebody chose. Opened, it has all its runs without a sighting still before it."""
    finding = finding._replace(state=state, state_at=at, state_by=by, quiet_runs=0)
    return _cleared(finding) if state == RESOLVED and limit_us(finding) else finding


def limit_us(finding: StoredFinding) -> float:
    """Return what a run may take; 0 for a finding that is not by time."""
    limit = json.loads(finding.evidence).get(LIMIT)
    return limit if isinstance(limit, (int, float)) else 0.0


def quiet_s(finding: StoredFinding) -> float:
    """Return how long a finding is open at least after its last sighting."""
    every_s = json.loads(finding.evidence).get(EVERY)
    return max(QUIET_S, TIMES_NOT_FOUND * every_s) if isinstance(every_s, (int, float)) else QUIET_S


def is_pending(finding: StoredFinding) -> bool:
    """Tell whether a finding by time has sightings which do not say yet whether it is one, or is one again."""
    return finding.state in (SUSPECTED, RESOLVED) and finding.recent_count > 0 and limit_us(finding) > 0


def is_no_accident(seen: int, runs: int) -> bool:
    """Tell whether ``seen`` slow ones of so many runs are more than a busy machine makes of a quick statement.

    The first is not counted: had it not been slow, nobody would ask.
    """
    runs = max(runs, seen)
    if seen < 2 or seen < PROVED_SHARE * runs:
        return False
    if runs > MANY_RUNS:
        return True
    others, fewer = runs - 1, 0.0
    for slow in range(seen - 1):
        fewer += math.comb(others, slow) * BY_ACCIDENT**slow * (1.0 - BY_ACCIDENT) ** (others - slow)
    return 1.0 - fewer < SURPRISE + 1e-9  # two of two are just that


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
    made = StoredFinding(
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
    return made._replace(state=SUSPECTED) if limit_us(made) else made


def _afresh(finding: StoredFinding | None, sightings: Sequence[StoredSighting]) -> StoredFinding:
    """Return the finding, or the one that the sightings begin: also where those before came to nothing."""
    if finding is None or (finding.state == SUSPECTED and not finding.recent_count):
        return begun(sightings)
    return finding


def _cleared(finding: StoredFinding) -> StoredFinding:
    """Return the finding without what its last sightings say about the next ones."""
    return finding._replace(quiet_runs=0, recent_runs=0.0, recent_count=0.0)


def _seen(finding: StoredFinding, sightings: Sequence[StoredSighting], runs: int) -> StoredFinding:
    latest = max(sightings, key=lambda each: each.at)
    seen = sum(each.count for each in sightings)
    if finding.state == RESOLVED and latest.at > finding.state_at and not limit_us(finding):
        finding = _come_back(finding, latest.at)
    had_before = finding.recent_count > 0
    if latest.at >= finding.last_seen:  # where the code stands now, and what was seen of it last
        finding = finding._replace(evidence=latest.evidence, site=json.loads(latest.about)[4])
    # The runs without one count now: a finding that was resolved too soon has a smaller share from here on.
    halved = 0.5 if finding.recent_runs > RECENT_RUNS else 1.0
    finding = finding._replace(
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
    if not is_pending(finding) or not _is_proved(finding, sightings, had_before):
        return finding
    if finding.state == SUSPECTED:
        return finding._replace(state=OPEN, state_at=latest.at)
    return _come_back(finding, latest.at) if latest.at > finding.state_at else finding


def _come_back(finding: StoredFinding, at: int) -> StoredFinding:
    return finding._replace(state=OPEN, state_at=at, state_by="", regressions=finding.regressions + 1)


def _is_proved(finding: StoredFinding, sightings: Sequence[StoredSighting], had_before: bool) -> bool:
    """Tell whether a finding by time is no accident; ``had_before`` says that it was seen in an earlier minute too."""
    seen, runs = round(finding.recent_count), round(finding.recent_runs)
    # What is saved is what a run took longer than the limit.
    most_us = max(each.saving_us_max for each in sightings) + limit_us(finding)
    if most_us >= FAR * limit_us(finding) and seen >= FAR_SHARE * runs:
        return True
    minutes = {each.at // MINUTE_S for each in sightings}
    return (had_before or len(minutes) > 1) and is_no_accident(seen, runs)


def _unseen(finding: StoredFinding, runs: int, to: int) -> StoredFinding:
    pending = is_pending(finding)
    if not pending and finding.state in (RESOLVED, SUSPECTED):
        return finding
    if finding.state != RESOLVED:
        finding = finding._replace(runs=finding.runs + runs)
    finding = finding._replace(quiet_runs=finding.quiet_runs + runs)
    if not is_enough(finding.quiet_runs, share(finding)) or to - finding.last_seen < quiet_s(finding):
        return finding
    if pending:
        return _cleared(finding)
    if finding.state == OPEN:
        resolved = finding._replace(state=RESOLVED, state_at=to, state_by="")
        return _cleared(resolved) if limit_us(finding) else resolved
    return finding
