"""Suggestions and proofs as lines of text. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from perfsuite.indexes.suggesting.probing import Proof
from perfsuite.indexes.suggesting.suggestion import Evidence, Suggestion

STATEMENTS = 3
CHARS = 160


def suggestion_lines(suggestion: Suggestion) -> Iterator[str]:
    """Yield a suggestion: the index and what its statements cost, what makes it, and the costliest statements."""
    yield (
        f"{suggestion.alias} {suggestion.text}: {in_time(suggestion.us_per_day)} a day in "
        f"{suggestion.calls_per_day:,.0f} calls"
    )
    for name in (suggestion.register_line, suggestion.meta_line, suggestion.mongosh_line):
        if name:
            yield f"  {name}"
    for each in suggestion.evidence[:STATEMENTS]:
        yield from _evidence(each)
    if (more := len(suggestion.evidence) - STATEMENTS) > 0:
        yield f"  and {more} more statements"


def _evidence(evidence: Evidence) -> Iterator[str]:
    routes = ", ".join(evidence.routes[:STATEMENTS])
    yield (
        f"  {evidence.short_id} {in_time(evidence.us_per_day)} a day in {evidence.calls_per_day:,.0f} calls"
        f"{f' by {routes}' if routes else ''}"
    )
    text = evidence.fingerprint
    yield f"    {text if len(text) <= CHARS else text[: CHARS - 1] + '…'}"
    for fact in evidence.facts:
        yield f"    {fact}"


def proof_lines(proof: Proof) -> Iterator[str]:
    """Yield what was tried on the copy, and its plan and time before and after."""
    yield f"  on a copy of {proof.rows:,} rows: {proof.probe}"
    for name, took, plan in (
        ("before", proof.ms_before, proof.plan_before),
        ("after", proof.ms_after, proof.plan_after),
    ):
        yield f"    {name}: {took:,.2f} ms"
        for line in plan:
            yield f"      {line}"
    if proof.ms_after > 0:
        yield f"    {proof.ms_before / proof.ms_after:,.1f} times as fast"


def in_time(us: float) -> str:
    """Return microseconds in words."""
    for unit, size in (("h", 3.6e9), ("min", 6e7), ("s", 1e6)):
        if us >= size:
            return f"{us / size:,.1f} {unit}"
    return f"{us / 1e3:,.1f} ms"
