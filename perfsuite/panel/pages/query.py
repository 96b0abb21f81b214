"""The page of one statement, and the answer to its Explain button."""

from __future__ import annotations

import json
from typing import Any

from django.apps import apps
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from perfsuite.metrics.exemplars import ExemplarRow
from perfsuite.metrics.findings import findings
from perfsuite.metrics.query import Window
from perfsuite.metrics.reading import one_reading
from perfsuite.panel.pages import trend
from perfsuite.panel.pages.answers import EXPLAIN, NotThere, may
from perfsuite.panel.pages.steps import steps
from perfsuite.panel.pages.told import Told
from perfsuite.panel.pages.words import ago, clock, count, duration, instant, shortened
from perfsuite.panel.payload import RANGES, Range
from perfsuite.panel.place import Place
from perfsuite.panel.views import range_of
from perfsuite.queries import ranking
from perfsuite.queries.fingerprint import operation_of
from perfsuite.queries.ranking import Details, Statement
from perfsuite.queries.short_id import short_id

EXEMPLAR_CHARS = 4_000
MAX_FINDINGS = 20


def query(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Show a statement."""
    shown_range = range_of(request)
    with one_reading():
        found = _found(request, name, shown_range)
        return _page(request, place, found, shown_range, _kept_plan(found))


def explain(request: HttpRequest, place: Place, name: str) -> HttpResponse:
    """Ask the database for the plan and show it on the statement's page. Needs the permission; nothing is kept of it."""
    if not may(request, EXPLAIN):
        raise PermissionDenied
    shown_range = range_of(request)
    with one_reading():
        found = _found(request, name, shown_range)
        return _page(request, place, found, shown_range, _asked_plan(found))


def _found(request: HttpRequest, name: str, shown_range: Range) -> Statement:
    alias = request.GET.get("database", "")
    found = ranking.statement(name, alias, _window(shown_range))
    if found is None:
        where = f" on {shortened(alias, 40)!r}" if alias else ""
        days = ranking.WINDOW_S // 86_400
        raise NotThere(f"No statement {shortened(name, 40)!r} was recorded{where} in the last {days} days.")
    return found


def _window(shown_range: Range) -> Window:
    return Window.last(shown_range.seconds).aligned(shown_range.step)


def _page(
    request: HttpRequest, place: Place, found: Statement, shown_range: Range, plan: dict[str, Any] | None
) -> HttpResponse:
    window, name = _window(shown_range), short_id(found.fingerprint)
    known = ranking.details(found, window, shown_range.step)

    def url(page: str = "query", alias: str = found.alias, range_id: str = shown_range.id) -> str:
        return place.url(page, name, database=alias, range=range_id)

    context = {
        **place.context(request, "queries", f"Query {name}", shown_range.id),
        "ranges": [(each, url(range_id=each.id), each is shown_range) for each in RANGES.values()],
        "range_title": shown_range.title,
        "short_id": name,
        "fingerprint": found.fingerprint,
        "operation": operation_of(found.fingerprint),
        "alias": found.alias,
        "others": [(alias, url(alias=alias)) for alias in found.aliases if alias != found.alias],
        "ran": found.ran_in_window,
        "figures": _figures(known),
        "trend": _trend(known, window, shown_range.step),
        "routes": _routes(known),
        "sites": [(each.site, each.remembered, duration(each.slowest_us)) for each in known.sites],
        "exemplars": [_exemplar(route, row) for route, row in known.shown],
        "findings": _findings(found),
        "findings_url": place.url("findings"),
        "plan": plan,
        "may_explain": may(request, EXPLAIN),
        "explain_url": url("explain"),
    }
    return TemplateResponse(request, "perfsuite_panel/query.html", context)


def _figures(known: Details) -> list[tuple[str, str]]:
    value, counts = known.value, known.counts
    return [
        ("Calls", count(value.count)),
        ("Total time", duration(value.sum)),
        ("Average", duration(value.mean)),
        ("p95", duration(value.quantile(0.95))),
        ("p99", duration(value.quantile(0.99))),
        ("Slowest", duration(value.max if value.count else 0.0)),
        ("Rows / call", count(counts.rows_each)),
        ("Errors", count(counts.failed)),
        ("Slow", count(counts.slow)),
    ]


def _trend(known: Details, window: Window, step: int) -> dict[str, Any] | None:
    """Return the shapes of the two charts and the table behind them; None where nothing ran."""
    points = known.points
    if not any(point.count for point in points):
        return None
    p95 = [point.quantile(0.95) if point.count else None for point in points]
    average = [point.mean if point.count else None for point in points]
    highest = max(value for values in (p95, average) for value in values if value is not None)
    starts = range(window.start, window.end, step)
    return {
        "bars": trend.bars([point.count for point in points]),
        "p95": trend.line(p95, highest),
        "average": trend.line(average, highest),
        "most": count(max(point.count for point in points)),
        "highest": duration(highest),
        "start": clock(window.start),
        "end": clock(window.end),
        "points": [
            (clock(at), count(point.count), duration(point.mean), duration(point.quantile(0.95)))
            for at, point in zip(starts, points, strict=False)
            if point.count
        ],
    }


def _routes(known: Details) -> list[tuple[str, list[str]]]:
    return [
        (
            row.labels["route"],
            [
                count(row.value.count),
                duration(row.value.mean),
                duration(row.value.quantile(0.95)),
                duration(row.value.sum),
            ],
        )
        for row in known.routes
    ]


def _exemplar(route: str, row: ExemplarRow) -> dict[str, Any]:
    data = row.data
    params = data.get("params")
    text = data.get("sql") or data.get("command") or ""
    return {
        "at": instant(row.at),
        "clock": clock(row.at),
        "ago": ago(row.at),
        "took": duration(row.value),
        "route": route,
        "site": data.get("site") or "",
        "request_id": data.get("request_id") or "",
        "failed": bool(data.get("failed")),
        "text": shortened(text if isinstance(text, str) else json.dumps(text), EXEMPLAR_CHARS),
        "params": json.dumps(params, ensure_ascii=False) if params is not None else "",
    }


def _findings(found: Statement) -> list[Told]:
    return [Told(row) for row in findings() if (row.subject, row.alias) == (found.fingerprint, found.alias)][
        :MAX_FINDINGS
    ]


def _kept_plan(found: Statement) -> dict[str, Any] | None:
    """Return the plan that the leader has kept; None if there is none."""
    if not apps.is_installed("perfsuite.queries"):
        return None
    from perfsuite.queries.explain.daily import latest

    row = latest(found.fingerprint, found.alias)
    if row is None:
        return None
    said = f"Kept {ago(row.at)}, by EXPLAIN_DAILY."
    plan = row.data.get("plan")
    if plan:
        return {**_plan(plan), "said": said}
    return {"error": row.data.get("error", ""), "text": row.data.get("text", ""), "said": said}


def _asked_plan(found: Statement) -> dict[str, Any]:
    if not apps.is_installed("perfsuite.queries"):
        return {"error": "Add 'perfsuite.queries' to INSTALLED_APPS to ask for plans."}
    from perfsuite.queries.explain import NotExplainable, recorded

    try:
        plan = recorded.explain(found.fingerprint, found.alias)
    except NotExplainable as exc:
        return {"error": str(exc)}
    return {**_plan(plan.as_json()), "said": "Asked now; it is not kept."}


def _plan(plan: dict[str, Any]) -> dict[str, Any]:
    examined, returned = plan.get("examined"), plan.get("returned")
    run = f"{count(examined)} examined, {count(returned)} returned." if examined is not None else ""
    return {
        "engine": plan.get("engine", ""),
        "steps": steps(plan.get("root") or {}),
        "sentences": [
            each
            for each in (
                run,
                *(fact.get("text", "") for fact in plan.get("findings") or ()),
                *(plan.get("notes") or ()),
            )
            if each
        ],
    }
