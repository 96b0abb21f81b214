"""The findings as a command lists them, and which of them a CI run fails on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from perfsuite.metrics.findings import FindingRow

SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
NEW, OPEN = "new", "open"


def seconds_of(text: str) -> int:
    """Return the seconds of a duration such as ``90s``, ``30m``, ``1h`` or ``7d``; raise ``ValueError`` for any other text."""
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smhd])", text, re.ASCII)
    if match is None:
        raise ValueError(f"A duration is a number with s, m, h or d behind it, not {text!r}; write 1h.")
    return int(match[1]) * SECONDS[match[2]]


def failing(rows: Sequence[FindingRow], fail_on: str, since: float | None) -> list[FindingRow]:
    """Return the open findings to fail on; of ``new``, those first seen at or after ``since``."""
    if fail_on == NEW and since is None:
        raise ValueError("What is new depends on since when; add --since 1h to --fail-on new.")
    return [
        row
        for row in rows
        if fail_on
        and row.state == OPEN
        and (fail_on == OPEN or (since is not None and row.first_seen >= since))
    ]


def as_json(row: FindingRow) -> dict[str, Any]:
    """Return a finding as plain data."""
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "reopened": row.reopened,
        "subject": row.subject,
        "alias": row.alias,
        "route": row.route,
        "site": row.site,
        "first_seen": row.first_seen,
        "last_seen": row.last_seen,
        "evidence": dict(row.evidence),
    }


def as_line(row: FindingRow) -> str:
    """Return a finding on one line: what, where, how often, what it costs, and what to do if that is known."""
    saving_ms = row.evidence["saving_us_total"] / 1e3
    parts = [
        f"{row.id} {row.state} {row.kind} {row.route}",
        f"on {row.alias}" if row.alias else "",
        f"at {row.site}" if row.site else "",
        f"seen {row.evidence['count']:,} times, {saving_ms:,.1f} ms to save",
    ]
    line = f"{', '.join(part for part in parts if part)}: {sentence_of(row) or row.subject}"
    return " ".join(line.split())


def sentence_of(row: FindingRow) -> str:
    """Return what a finding says to do, behind what was seen where that is a sentence of its own; "" if it says nothing."""
    last = row.evidence["last"]
    said = last.get("sentence") or last.get("advice") or ""
    return " ".join(f"{last.get('text') or ''} {said}".split())
