"""The leader's job: explains each slow statement once a day, keeps the plan, and tells of indexes that are missing.

Does nothing unless ``EXPLAIN_DAILY`` is on. A few statements are explained at a time, since the leader has other work to do. What
is told of once a day goes on to be counted: else what saves most would stand where its first minute has put it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from perfsuite.metrics.exemplars import ExemplarRow, exemplars, remember
from perfsuite.metrics.findings import FindingRow, finding, findings, set_state
from perfsuite.metrics.guard import Guard
from perfsuite.metrics.leader import still_leads
from perfsuite.metrics.lifecycle import EVERY, OPEN, RESOLVED, is_enough
from perfsuite.metrics.query import Window, top, totals_of
from perfsuite.metrics.sightings import Sighting, finding_id, sight
from perfsuite.metrics.storages import RESOLUTIONS
from perfsuite.queries import kinds
from perfsuite.queries.advice import reading_of
from perfsuite.queries.advisers import advisers
from perfsuite.queries.conf import QuerySettings
from perfsuite.queries.explain.errors import NotExplainable
from perfsuite.queries.explain.plans import SCAN, SEARCH, SORT, Fact, Plan
from perfsuite.queries.explain.recorded import explain, is_one
from perfsuite.queries.explain.slow import DAY_S, Labels, by_statement, is_by_itself, runs_in, slow_in
from perfsuite.queries.fingerprint import Shape, operation_of
from perfsuite.queries.repeats import WRITES
from perfsuite.queries.short_id import short_id

logger = logging.getLogger("perfsuite.queries")

guard = Guard("queries.explain.advisers")

# So long a statement must not have been slow to need no index any more.
CURED_S = 3_600
# What an open finding would have saved meanwhile is counted so often, and of so many at a time.
COUNTED_EVERY_S = 300
MAX_COUNTED = 100
MAX_AT_ONCE = 5
MAX_TRIED = 200
# More series than a store can hold: "all of them".
ALL = 100_000
MISSING_INDEX = "missing_index"
# The key in the evidence of what share of its slow runs' time an index saves.
SAVED = "saved"
# An index of which more of a statement's work is left is not told of: it is not what makes the statement slow.
MOST_LEFT = 0.5
# A plan longer than this is kept as text only; what is remembered is cut at 20,000 characters.
MAX_JSON_CHARS = 12_000
MAX_TEXT_CHARS = 6_000


def explain_slow() -> int:
    """Explain some statements that were slow within a day and not explained within one; return how many."""
    if not QuerySettings.get().explain_daily:
        return 0
    _resolve_cured()
    _count_on()
    done, day = 0, Window.last(DAY_S)
    slow = slow_in(day)
    untried = {
        each: of for each, of in by_statement(slow).items() if is_one(each[0]) and not _was_tried(*each)
    }
    runs = runs_in(day, [labels for of in untried.values() for labels in of])
    # Those that write are refused, which is kept too, but nobody waits for it.
    for fingerprint, alias in sorted(untried, key=lambda each: operation_of(each[0]) in WRITES):
        if done >= MAX_AT_ONCE:
            break
        of = untried[fingerprint, alias]
        series = [labels for labels in of if is_by_itself(labels, slow[labels], runs[labels])]
        if not series or _is_explained(fingerprint, alias):
            continue
        still_leads()
        done += 1
        try:
            plan = explain(fingerprint, alias, analyze=False)
        except NotExplainable as exc:
            logger.debug("No plan of %s: %s", short_id(fingerprint), exc)
            remember(kinds.PLAN, (fingerprint, alias), 1.0, {"error": str(exc)})
            continue
        remember(kinds.PLAN, (fingerprint, alias), 1.0, _kept(plan))
        _sight_missing_indexes(series, plan)
    return done


def latest(fingerprint: str, alias: str) -> ExemplarRow | None:
    """Return the plan that was kept last: ``data`` has ``plan`` (as ``Plan.as_json``) and ``text``, or the sentence ``error``."""
    row = max(exemplars(kinds.PLAN, (fingerprint, alias)), key=lambda each: each.at, default=None)
    if row is None:
        return None
    data = dict(row.data)
    try:
        data["plan"] = json.loads(data.get("plan") or "null")
    except ValueError:
        data["plan"] = None
    return ExemplarRow(row.at, row.value, data)


def _was_tried(fingerprint: str, alias: str) -> bool:
    at = _tried.get((fingerprint, alias))
    return at is not None and time.monotonic() - at < DAY_S


def _is_explained(fingerprint: str, alias: str) -> bool:
    if len(_tried) > MAX_TRIED:
        _tried.clear()
    _tried[fingerprint, alias] = time.monotonic()
    row = latest(fingerprint, alias)
    return row is not None and row.at > time.time() - DAY_S


# What this process has tried lately: what is remembered comes to the store with the next flush only.
_tried: dict[tuple[str, str], float] = {}


def _kept(plan: Plan) -> dict[str, Any]:
    """Return what is kept of a plan: as JSON in a text, since what is remembered may be nested so deep only, and for people."""
    text = json.dumps(plan.as_json(), separators=(",", ":"))
    return {"plan": text if len(text) <= MAX_JSON_CHARS else None, "text": plan.as_text()[:MAX_TEXT_CHARS]}


def _sight_missing_indexes(series: Sequence[Labels], plan: Plan) -> None:
    """Sight what the plan shows: tables read whole, and others of which an adviser knows an index that saves most of the work."""
    fingerprint, alias, _ = series[0]
    read_whole = plan.missing_indexes(QuerySettings.get().explain_scan_rows)
    told: list[dict[str, Any]] = []
    for fact in (*read_whole, *_others(fingerprint, plan)):
        advice = _advice(fingerprint, alias, fact.table)
        left = advice.pop("left", 1.0 if "keys" in advice else 0.0)
        if fact not in read_whole and ("keys" not in advice or left > MOST_LEFT):
            continue
        columns = fact.columns if fact in read_whole else tuple(advice["keys"])
        index_on = f"{fact.table} ({', '.join(advice.get('keys', columns))})"
        evidence = {
            "short_id": short_id(fingerprint),
            "engine": plan.engine,
            "table": fact.table,
            "columns": list(columns),
            "patterns": list(fact.patterns),
            "rows": fact.rows,
            "text": fact.text if fact.columns else replace(fact, columns=columns).text,
            EVERY: DAY_S,
            SAVED: 1.0 - left,
            "about": index_on if "keys" in advice or "sentence" not in advice else fact.table,
            "remedy": f"index on {index_on} on {alias}",
            **advice,
        }
        told.append(evidence)
    # Of one statement they are one finding, which shows what was told last: the time of its runs is saved once.
    most = max((evidence[SAVED] for evidence in told), default=0.0)
    for labels in series if told else ():
        saving_us = most * _slow_us(labels, _last_seen(labels))
        for evidence in told:
            sight(Sighting(MISSING_INDEX, *labels, "", saving_us, {**evidence, SAVED: most}))
            saving_us = 0.0


def _last_seen(labels: Labels) -> int:
    about = (MISSING_INDEX, *labels, "")
    known = finding(finding_id(*about))
    return known.last_seen if known is not None else 0


def _slow_us(labels: Labels, since: int) -> float:
    """Return what the slow runs of a series took within the day, those left out that are counted already."""
    day = Window.last(DAY_S)
    # Not the tile that it was counted in: too little is better than twice.
    window = Window(max(day.start, since - since % RESOLUTIONS[0] + RESOLUTIONS[0]), day.end)
    return totals_of(kinds.SLOW, window, [labels])[labels].sum


def _count_on() -> None:
    """Count what the open missing indexes would have saved since they were last seen."""
    due = int(time.time()) - COUNTED_EVERY_S
    for row in [row for row in findings(state=OPEN, kind=MISSING_INDEX) if row.last_seen <= due][
        :MAX_COUNTED
    ]:
        _count_on_one(row)


def _count_on_one(row: FindingRow) -> None:
    evidence, labels = row.evidence["last"], (row.subject, row.alias, row.route)
    saved = evidence.get(SAVED)
    if isinstance(saved, (int, float)) and (slow_us := _slow_us(labels, row.last_seen)):
        sight(Sighting(row.kind, *labels, row.site, slow_us * saved, evidence))


def _resolve_cured() -> None:
    """Resolve the missing indexes whose statement ran often enough in the last hour without being slow once.

    They are looked for once a day, and nobody should wait for days to see that the index was made.
    """
    lately = Window.last(CURED_S)
    rows = [row for row in findings(state=OPEN, kind=MISSING_INDEX) if row.last_seen < lately.start]
    if not rows:
        return
    slow, slow_today = _counts(kinds.SLOW, lately), _counts(kinds.SLOW, Window.last(DAY_S))
    ran, ran_today = _counts(kinds.FINGERPRINT, lately), _counts(kinds.FINGERPRINT, Window.last(DAY_S))
    for row in rows:
        about = row.subject, row.alias, row.route
        now = ran.get(about, 0)
        used_to = min(1.0, slow_today.get(about, 0) / max(1, ran_today.get(about, 0) - now))
        if about not in slow and is_enough(now, used_to):
            set_state(row.id, RESOLVED)


def _counts(kind: str, window: Window) -> dict[tuple[str, str, str], int]:
    rows = top(kind, window, ("fingerprint", "alias", "route"), "count", ALL, percentiles=False)
    return {
        (row.labels["fingerprint"], row.labels["alias"], row.labels["route"]): row.value.count for row in rows
    }


def _others(fingerprint: str, plan: Plan) -> list[Fact]:
    """Return the other tables of a statement that an index may be missing on: its first, and those whose rows are sorted."""
    found = {fact.table: fact for fact in plan.findings if fact.kind == SORT and fact.table}
    table = reading_of(Shape(fingerprint, operation_of(fingerprint))).table
    if table:
        found.setdefault(table, Fact(SEARCH, table))
    known = {fact.table for fact in plan.findings if fact.kind == SCAN}
    return [fact for name, fact in found.items() if name not in known]


def _advice(fingerprint: str, alias: str, table: str) -> dict[str, Any]:
    """Return what the advisers say; one that fails says nothing."""
    found: dict[str, Any] = {}
    for adviser in advisers if guard.on else ():
        try:
            found |= adviser(fingerprint, alias, table)
        except Exception as exc:  # noqa: BLE001 - the guard's
            guard.failed(exc)
    return found
