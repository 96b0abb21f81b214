"""The leader's job: explains each slow statement once a day, keeps the plan, and tells of indexes that are missing.

Does nothing unless ``EXPLAIN_DAILY`` is on. A few statements are explained at a time, since the leader has other work to do.
"""

from __future__ import annotations

import json
import logging
import time
from typing import Any

from perfsuite.metrics.exemplars import ExemplarRow, exemplars, remember
from perfsuite.metrics.leader import still_leads
from perfsuite.metrics.query import Row, Window, top
from perfsuite.metrics.sightings import Sighting, sight
from perfsuite.queries import kinds
from perfsuite.queries.conf import QuerySettings
from perfsuite.queries.explain.errors import NotExplainable
from perfsuite.queries.explain.plans import Plan
from perfsuite.queries.explain.recorded import explain, is_one
from perfsuite.queries.short_id import short_id

logger = logging.getLogger("perfsuite.queries")

EVERY_S = 300.0
DAY_S = 86_400
MAX_AT_ONCE = 5
MAX_SLOW = 200
# A plan longer than this is kept as text only; what is remembered is cut at 20,000 characters.
MAX_JSON_CHARS = 12_000
MAX_TEXT_CHARS = 6_000


def explain_slow() -> int:
    """Explain some statements that were slow within a day and not explained within one; return how many."""
    if not QuerySettings.get().explain_daily:
        return 0
    done = 0
    for row in top(
        kinds.SLOW, Window.last(DAY_S), ("fingerprint", "alias"), limit=MAX_SLOW, percentiles=False
    ):
        fingerprint, alias = row.labels["fingerprint"], row.labels["alias"]
        if done >= MAX_AT_ONCE:
            break
        if not is_one(fingerprint) or _is_explained(fingerprint, alias):
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
        _sight_missing_indexes(row, plan)
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


def _is_explained(fingerprint: str, alias: str) -> bool:
    if (fingerprint, alias) in _tried and time.monotonic() - _tried[fingerprint, alias] < DAY_S:
        return True
    if len(_tried) > MAX_SLOW:
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


def _sight_missing_indexes(slow: Row, plan: Plan) -> None:
    fingerprint, alias = slow.labels["fingerprint"], slow.labels["alias"]
    for fact in plan.missing_indexes(QuerySettings.get().explain_scan_rows):
        evidence = {
            "short_id": short_id(fingerprint),
            "engine": plan.engine,
            "table": fact.table,
            "columns": list(fact.columns),
            "patterns": list(fact.patterns),
            "rows": fact.rows,
            "text": fact.text,
        }
        for route in _routes(fingerprint, alias):
            sight(Sighting("missing_index", fingerprint, alias, route, "", slow.value.mean, evidence))


def _routes(fingerprint: str, alias: str) -> list[str]:
    """Return the routes on which the statement was slow."""
    rows = top(
        kinds.SLOW, Window.last(DAY_S), ("fingerprint", "alias", "route"), limit=MAX_SLOW, percentiles=False
    )
    return [
        row.labels["route"]
        for row in rows
        if (row.labels["fingerprint"], row.labels["alias"]) == (fingerprint, alias)
    ]
