"""The page of all statements: what they cost, from the most expensive on."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from perfsuite.metrics.query import Window
from perfsuite.panel.pages.answers import chosen_of
from perfsuite.panel.pages.words import count, duration, shortened
from perfsuite.panel.payload import DEFAULT_RANGE, RANGES
from perfsuite.panel.place import Place
from perfsuite.panel.views import range_of
from perfsuite.queries.ranking import SORTS, Chosen, Line, Ranking, rank

COLUMNS = (
    ("count", "Calls"),
    ("", "Average"),
    ("p95", "p95"),
    ("", "p99"),
    ("total", "Total time"),
    ("", "Rows / call"),
    ("errors", "Errors"),
    ("", "Slow"),
)
FINGERPRINT_CHARS = 240


def queries(request: HttpRequest, place: Place) -> HttpResponse:
    """Show the statements of the range, in the order and narrowed to what the address says."""
    shown_range = range_of(request)
    asked = {name: request.GET.get(name, "")[:2_000] for name in ("alias", "route", "operation")}
    chosen = Chosen(chosen_of(request.GET.get("sort", "total"), "order", SORTS), **asked)
    ranking = rank(Window.last(shown_range.seconds).aligned(shown_range.step), chosen)
    kept = {
        **asked,
        "sort": chosen.sort if chosen.sort != "total" else "",
        "range": shown_range.id if shown_range.id != DEFAULT_RANGE else "",
    }
    context = {
        **place.context(request, "queries", "Queries", shown_range.id),
        "ranges": [
            (each, place.url("queries", **{**kept, "range": each.id}), each is shown_range)
            for each in RANGES.values()
        ],
        "columns": [
            (title, place.url("queries", **{**kept, "sort": sort}) if sort else "", sort == chosen.sort)
            for sort, title in COLUMNS
        ],
        "kept": [(name, kept[name]) for name in ("range", "sort") if kept[name]],
        "filters": _filters(ranking, chosen),
        "is_narrowed": any(asked.values()),
        "all_url": place.url("queries", range=kept["range"], sort=kept["sort"]),
        "is_by_errors": chosen.sort == "errors",
        "several": len(ranking.aliases) > 1,
        "lines": [_shown(line, place, kept["range"]) for line in ranking.lines],
        "of": ranking.of,
        "range_title": shown_range.title,
        "is_installed": apps.is_installed("perfsuite.queries"),
    }
    return TemplateResponse(request, "perfsuite_panel/queries.html", context)


def _filters(ranking: Ranking, chosen: Chosen) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "title": title,
            "chosen": value,
            # What was chosen stays to be seen where the range has nothing of it.
            "options": known if not value or value in known else [value, *known],
        }
        for name, title, value, known in (
            ("alias", "Database", chosen.alias, ranking.aliases),
            ("route", "Route", chosen.route, ranking.routes),
            ("operation", "Operation", chosen.operation, ranking.operations),
        )
    ]


def _shown(line: Line, place: Place, range_id: str) -> dict[str, Any]:
    value, counts = line.value, line.counts
    return {
        "fingerprint": shortened(line.fingerprint, FINGERPRINT_CHARS),
        "short_id": line.short_id,
        "url": place.url("query", line.short_id, database=line.alias, range=range_id) if line.is_one else "",
        "operation": line.operation if line.is_one else "-",
        "alias": line.alias,
        "figures": [
            count(value.count),
            duration(value.mean),
            duration(value.quantile(0.95)),
            duration(value.quantile(0.99)),
            duration(value.sum),
            count(counts.rows_each),
            count(counts.failed),
            count(counts.slow),
        ],
    }
