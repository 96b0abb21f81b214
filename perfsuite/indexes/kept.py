"""What was collected last of each database, kept in the metrics store in parts, so that a page need not ask the database.

The parts are exemplars of one kind, whose value is the time of the collection: the store keeps the largest, which is the last.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from perfsuite.indexes import kinds
from perfsuite.indexes.reports import Analysis, IndexReport, TableReport
from perfsuite.metrics.exemplars import ExemplarRow, exemplars_of, remember

MAX_TABLES = 300
MAX_INDEXES = 600
MAX_PARTS = 60
# Of a part's text, quotes and all; what is remembered is cut at 20,000 characters.
PART_CHARS = 18_000
TEXT_CHARS = 400
MAX_SUGGESTIONS = 30
_ERROR, _SUGGESTED = "error", "suggested"
# What matters most is kept where there are very many.
_ORDER = ("missing", "conflict", "declared", "unsupported", "foreign", "django", "constraint")


@dataclass(frozen=True)
class Kept:
    """What the store has of one database: its last collection, and since when it cannot be read, in a sentence.

    ``suggestions`` are the missing indexes as ``Suggestion.as_json`` has them, the costliest first.
    """

    alias: str
    analysis: Analysis | None = None
    error: str = ""
    error_at: int = 0
    suggestions: tuple[dict[str, Any], ...] = ()


def keep(analysis: Analysis) -> None:
    """Keep a collection in the place of the one before; it comes to the store with the next flush."""
    tables = sorted(analysis.tables, key=lambda each: -(each.total or each.rows or 0))[:MAX_TABLES]
    indexes = sorted(analysis.indexes, key=_importance)[:MAX_INDEXES]
    lines = [_line("t", each) for each in tables] + [_line("i", each) for each in indexes]
    parts = list(_packed(lines))
    kept = parts[:MAX_PARTS]
    left_out = len(analysis.tables) + len(analysis.indexes) - sum(map(len, kept))
    for number, part in enumerate(kept):
        data = {
            "at": analysis.at,
            "parts": len(kept),
            "engine": analysis.engine,
            "left_out": left_out,
            "text": f"[{','.join(part)}]",
        }
        remember(kinds.COLLECTED, (analysis.alias, str(number)), analysis.at, data)


def keep_error(alias: str, sentence: str, at: int) -> None:
    """Keep why a database could not be read."""
    remember(kinds.COLLECTED, (alias, _ERROR), at, {"at": at, "error": sentence})


def keep_suggestions(alias: str, suggestions: Iterable[dict[str, Any]], at: int) -> None:
    """Keep which indexes are missing, as many as fit into one part."""
    kept: list[str] = []
    chars = 0
    for each in list(suggestions)[:MAX_SUGGESTIONS]:
        text = json.dumps(each, separators=(",", ":"))
        chars += len(json.dumps(text))
        if chars > PART_CHARS:
            break
        kept.append(text)
    remember(kinds.COLLECTED, (alias, _SUGGESTED), at, {"at": at, "text": f"[{','.join(kept)}]"})


def latest(aliases: Iterable[str]) -> dict[str, Kept]:
    """Return what was collected last of each. Two reads of the store; raises ``StoreUnavailable``."""
    aliases = list(aliases)
    firsts = _newest([(alias, part) for alias in aliases for part in ("0", _ERROR, _SUGGESTED)])
    others = [
        (alias, str(number))
        for alias in aliases
        if (alias, "0") in firsts
        for number in range(1, min(MAX_PARTS, int(firsts[alias, "0"].data.get("parts", 1))))
    ]
    rows = {**firsts, **_newest(others)}
    return {alias: _kept(alias, rows) for alias in aliases}


def _newest(labels: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], ExemplarRow]:
    found: dict[tuple[str, ...], ExemplarRow] = {}
    for place, row in exemplars_of(kinds.COLLECTED, labels):
        if place not in found or row.value > found[place].value:
            found[place] = row
    return found


def _kept(alias: str, rows: dict[tuple[str, ...], ExemplarRow]) -> Kept:
    failed, first = rows.get((alias, _ERROR)), rows.get((alias, "0"))
    error, error_at = (str(failed.data.get("error", "")), int(failed.value)) if failed else ("", 0)
    suggested = rows.get((alias, _SUGGESTED))
    suggestions = tuple(_loaded(suggested.data.get("text"))) if suggested else ()
    if first is None:
        return Kept(alias, None, error, error_at, suggestions)
    at = int(first.value)
    lines: list[list[Any]] = []
    for number in range(int(first.data.get("parts", 1))):
        row = rows.get((alias, str(number)))
        # One of another time belongs to a collection that is not wholly written yet.
        if row is not None and int(row.value) == at:
            lines += _loaded(row.data.get("text"))
    analysis = Analysis(
        alias,
        str(first.data.get("engine", "")),
        at,
        tuple(TableReport(alias, *values) for kind, *values in lines if kind == "t"),
        tuple(IndexReport(alias, *values) for kind, *values in lines if kind == "i"),
        int(first.data.get("left_out", 0)),
    )
    return Kept(alias, analysis, error if error_at > at else "", error_at, suggestions)


def _loaded(text: Any) -> list[Any]:
    try:
        return list(json.loads(text or "[]"))
    except ValueError:  # cut, which the lengths above are to prevent
        return []


def _importance(report: IndexReport) -> tuple[int, bool, int, str, str]:
    order = _ORDER.index(report.state) if report.state in _ORDER else len(_ORDER)
    return (0 if report.waste else min(order, 3), order > 3, -(report.size or 0), report.table, report.name)


def _line(kind: str, report: TableReport | IndexReport) -> str:
    values = [getattr(report, each.name) for each in dataclasses.fields(report)][1:]
    shortened = [each[:TEXT_CHARS] if isinstance(each, str) else each for each in values]
    return json.dumps([kind, *shortened], separators=(",", ":"))


def _packed(lines: list[str]) -> Iterator[list[str]]:
    part: list[str] = []
    chars = 0
    for line in lines:
        size = len(json.dumps(line))
        if part and chars + size > PART_CHARS:
            yield part
            part, chars = [], 0
        part.append(line)
        chars += size
    yield part
