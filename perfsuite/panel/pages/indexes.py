"""The page of indexes: what is missing, declared against present, waste, and what the tables hold.

Shows what the leader has collected, and asks no database itself. Nothing is applied here: the page shows what to type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.apps import apps
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from perfsuite.indexes import kept, rendering
from perfsuite.indexes.collecting import collected_aliases
from perfsuite.indexes.conf import IndexSettings
from perfsuite.indexes.reports import Analysis, IndexReport, TableReport
from perfsuite.panel.pages.answers import chosen_of
from perfsuite.panel.pages.words import ago, clock, count, duration, instant, shortened
from perfsuite.panel.place import Place

# What is beyond, `manage.py list_indexes` and `manage.py analyze_collections` list.
SHOWN = 100
WASTE_SHOWN = 30
TABLES_SHOWN = 50
SUGGESTIONS_SHOWN = 20
TEXT_CHARS = 300
# Uses of an index that are counted from later on than those of the others are told so.
LATER_S = 60
STATES = {
    "": "Yours",
    "missing": "Missing",
    "conflict": "Conflict",
    "unsupported": "Unsupported",
    "declared": "Declared",
    "foreign": "Foreign",
    "migrations": "Migrations'",
    "all": "All",
}
# Whose an index is that nobody declared: of a constraint, or of a field or Meta.indexes.
_OF_MIGRATIONS = ("django", "constraint")
APPLY, KEEP = "python manage.py setup_indexes --apply", "python manage.py analyze_collections --keep"


def indexes(request: HttpRequest, place: Place) -> HttpResponse:
    """Show the indexes of one database, those in a state if the address names it."""
    aliases = collected_aliases()
    known = {alias: alias for alias in aliases}
    alias = chosen_of(request.GET.get("database", aliases[0]), "database", known)
    state = chosen_of(request.GET.get("state", ""), "state", STATES)
    held = kept.latest([alias])[alias]
    context = {
        **place.context(request, "indexes", "Indexes"),
        "is_installed": apps.is_installed("perfsuite.indexes"),
        "databases": [
            (each, place.url("indexes", database=each, state=state), each == alias) for each in aliases
        ],
        "alias": alias,
        "error": held.error,
        "error_ago": ago(held.error_at) if held.error else "",
        "every": duration(IndexSettings.get().collect_every_s * 1e6)
        if IndexSettings.get().collect_every_s
        else "",
        "keep": _for(KEEP, alias),
        "apply": _for(APPLY, alias),
        "analysis": held.analysis,
        "suggestions": [_suggested(each, place) for each in held.suggestions[:SUGGESTIONS_SHOWN]],
    }
    if held.analysis is not None:
        context.update(_told(held.analysis, state, place))
    return TemplateResponse(request, "perfsuite_panel/indexes.html", context)


def _told(analysis: Analysis, state: str, place: Place) -> dict[str, Any]:
    tables = {each.table: each for each in analysis.tables}
    in_state = [each for each in analysis.indexes if _is_in(each, state)]
    in_state.sort(key=lambda each: (list(STATES).index(_state(each)), each.table, each.name))
    waste = [each for each in analysis.indexes if each.waste]
    # Those that a command drops before those that a migration has to.
    waste.sort(key=lambda each: (each.state != "foreign", -(each.size or 0), each.table, each.name))
    since = min((each.since for each in analysis.indexes if each.since), default=0)
    largest = sorted(analysis.tables, key=lambda each: (-(each.total or each.rows or 0), each.table))
    return {
        "collected": {"ago": ago(analysis.at), "machine": instant(analysis.at), "title": clock(analysis.at)},
        "states": [
            (
                title,
                place.url("indexes", database=analysis.alias, state=each),
                each == state,
                count(sum(_is_in(index, each) for index in analysis.indexes)),
            )
            for each, title in STATES.items()
        ],
        "state": state,
        "is_missing": any(each.state == "missing" for each in analysis.indexes),
        "indexes": [_index(each, since) for each in in_state[:SHOWN]],
        "of_indexes": len(in_state),
        "waste": [_wasted(each, tables.get(each.table)) for each in waste[:WASTE_SHOWN]],
        "of_waste": len(waste),
        "wasted": rendering.in_bytes(_total(waste)),
        "tables": [_table(each) for each in largest[:TABLES_SHOWN]],
        "of_tables": len(analysis.tables),
        "counts_uses": any(each.uses is not None for each in analysis.indexes),
        "counted_since": clock(since) if since else "",
        "left_out": analysis.left_out,
    }


def _state(index: IndexReport) -> str:
    return "migrations" if index.state in _OF_MIGRATIONS else index.state


def _is_in(index: IndexReport, state: str) -> bool:
    return state == "all" or _state(index) == state or (not state and _state(index) != "migrations")


def _index(index: IndexReport, since: int) -> dict[str, Any]:
    is_later = index.since is not None and index.since > since + LATER_S
    return {
        "name": index.name,
        "table": index.table,
        "state": _state(index),
        "title": STATES[_state(index)] if index.state not in _OF_MIGRATIONS else "Migrations",
        "definition": shortened(index.definition, TEXT_CHARS),
        "size": rendering.in_bytes(index.size) or "-",
        "uses": count(index.uses),
        "since": clock(index.since or 0) if is_later else "",
        "note": shortened(index.note, TEXT_CHARS),
        "source": index.source,
    }


def _wasted(index: IndexReport, table: TableReport | None) -> dict[str, Any]:
    return {
        "name": index.name,
        "table": index.table,
        "reason": index.waste,
        "size": rendering.in_bytes(index.size) or "-",
        "writes": count(table.writes) if table else "-",
        "command": _drop(index) if index.state == "foreign" else "",
        "advice": _ADVICE.get(index.state, ""),
    }


_ADVICE = {
    "declared": "It is declared: remove the declaration first, if nothing needs it.",
    "django": "A migration made it: change the field or Meta.indexes of the model, and migrate.",
}


def _drop(index: IndexReport) -> str:
    return _for(
        f"python manage.py setup_indexes --drop-unused {index.table}.{index.name} --apply --yes", index.alias
    )


def _for(command: str, alias: str) -> str:
    return f"{command} --database {alias}"


def _table(table: TableReport) -> dict[str, Any]:
    figures = [
        count(table.rows),
        rendering.in_bytes(table.size) or "-",
        rendering.in_bytes(round(table.average)) if table.average else "-",
        count(table.indexes),
        rendering.in_bytes(table.index_size) or "-",
        f"{table.ratio:.2f}" if table.ratio is not None else "-",
    ]
    return {
        "name": table.table,
        "figures": figures,
        "growth": rendering.growth(table) or "-",
        "uses": [count(table.scans), count(table.reads), count(table.writes)],
        "is_scanned": bool(
            table.scans and table.rows and table.rows > 1_000 and table.scans > (table.reads or 0)
        ),
    }


def _suggested(suggestion: Mapping[str, Any], place: Place) -> dict[str, Any]:
    alias = str(suggestion.get("database", ""))
    lines = (
        ("indexes.py", suggestion.get("register")),
        ("Meta.indexes", suggestion.get("meta")),
        ("mongosh", suggestion.get("mongosh")),
    )
    return {
        "table": suggestion.get("table", ""),
        "keys": ", ".join(map(str, suggestion.get("keys") or ())),
        "model": suggestion.get("model", ""),
        "per_day": duration(float(suggestion.get("us_per_day") or 0)),
        "calls": count(round(float(suggestion.get("calls_per_day") or 0))),
        "lines": [(where, line) for where, line in lines if line],
        "evidence": [_asking(each, alias, place) for each in suggestion.get("evidence") or ()],
    }


def _asking(evidence: Mapping[str, Any], alias: str, place: Place) -> dict[str, Any]:
    return {
        "fingerprint": shortened(str(evidence.get("fingerprint", "")), TEXT_CHARS),
        "url": place.url("query", str(evidence.get("short_id") or "none"), database=alias),
        "routes": ", ".join(map(str, evidence.get("routes") or ())),
        "calls": count(round(float(evidence.get("calls_per_day") or 0))),
        "per_day": duration(float(evidence.get("us_per_day") or 0)),
        "facts": list(evidence.get("facts") or ()),
    }


def _total(indexes: Iterable[IndexReport]) -> int | None:
    sizes = [each.size for each in indexes if each.size is not None]
    return sum(sizes) if sizes else None
