"""Findings in words: the name of a kind, and what to do, from the evidence of any kind.

A kind that is not known here is shown too: its name as a title, and its evidence's sentence, advice, or plain figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from perfsuite.metrics.findings import FindingRow
from perfsuite.panel.pages.words import ago, clock, count, duration, instant, shortened
from perfsuite.queries.short_id import short_id

TITLES = {
    "n_plus_one": "N+1 query",
    "duplicate": "Duplicate query",
    "chatty": "Chatty request",
    "slow": "Slow query",
    "unbounded": "Unbounded result",
    "missing_index": "Missing index",
    "wide_rows": "Wide rows",
    "count_pagination": "Count before each page",
    "long_transaction": "Long transaction",
    "tenant": "Tenant not named",
}
STATES = {"open": "Open", "ignored": "Ignored", "resolved": "Resolved"}
# What a person may do with a finding in a state: the state that comes of it, and the words of the button.
ACTIONS = {
    "open": (("ignored", "Ignore"), ("resolved", "Resolve")),
    "ignored": (("open", "Open again"), ("resolved", "Resolve")),
    "resolved": (("open", "Open again"), ("ignored", "Ignore")),
}
# The lines of an index in the evidence, and where each belongs.
INDEX_LINES = {"register": "indexes.py", "meta": "Meta.indexes", "mongosh": "mongosh"}
# Of a request's statement as it stands in a sentence or a list.
SUBJECT_CHARS = 300


@dataclass(frozen=True)
class Action:
    """A button: the state that it sets, and its words."""

    state: str
    title: str


@dataclass(frozen=True)
class Told:
    """A finding as it is shown."""

    row: FindingRow

    @property
    def id(self) -> str:
        """Its id."""
        return self.row.id

    @property
    def title(self) -> str:
        """The kind, and what it is about where the evidence names that."""
        about = str(self.row.evidence["last"].get("about") or "")
        return f"{title_of(self.row.kind)}: {shortened(about, 120)}" if about else title_of(self.row.kind)

    @property
    def sentence(self) -> str:
        """What to do."""
        return sentence_of(self.row)

    @property
    def code(self) -> str:
        """What to write, "" where that is no code or the sentence has it already."""
        advice = str(self.row.evidence["last"].get("advice") or "")
        return advice if "(" in advice and advice not in self.sentence else ""

    @property
    def lines(self) -> list[tuple[str, str]]:
        """What makes the index that is missing: where each line belongs, and the line."""
        last = self.row.evidence["last"]
        return [(where, str(last[name])) for name, where in INDEX_LINES.items() if last.get(name)]

    @property
    def state(self) -> str:
        """Its state in words, with who set it."""
        shown = "Re-opened" if self.row.reopened else STATES.get(self.row.state, self.row.state)
        return f"{shown} by {self.row.state_by}" if self.row.state_by else shown

    @property
    def is_statement(self) -> bool:
        """Whether its subject is a statement and not its route."""
        return self.row.subject not in ("", self.row.route)

    @property
    def subject(self) -> str:
        """The statement, shortened."""
        return shortened(self.row.subject, SUBJECT_CHARS)

    @property
    def short_id(self) -> str:
        """The name of its statement's page."""
        return short_id(self.row.subject)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Return the evidence that each kind has."""
        evidence = self.row.evidence
        facts = [
            ("Seen", "once" if evidence["count"] == 1 else f"{count(evidence['count'])} times"),
            ("Requests", count(evidence["requests"])),
        ]
        if evidence["saving_us_total"] > 0:
            each = evidence["saving_us_total"] / evidence["count"] if evidence["count"] else 0.0
            facts.append(
                ("To save", f"{duration(evidence['saving_us_total'])} in all, {duration(each)} each")
            )
        repeats = evidence["last"].get("count")
        if isinstance(repeats, int) and repeats > 1:
            facts.append(("Statements", f"{count(repeats)} in the last request"))
        return facts

    @property
    def last_seen(self) -> str:
        """How long ago it was seen last."""
        return ago(self.row.last_seen)

    @property
    def last_seen_at(self) -> dict[str, str]:
        """The same instant for machines and for who points at it."""
        return {"machine": instant(self.row.last_seen), "title": clock(self.row.last_seen)}

    @property
    def actions(self) -> list[Action]:
        """What a person may do with it."""
        return [Action(*each) for each in ACTIONS.get(self.row.state, ())]


def title_of(kind: str) -> str:
    """Return the name of a kind, made of its id if it is not known."""
    return TITLES.get(kind) or kind.replace("_", " ").capitalize() or "Finding"


def sentence_of(row: FindingRow) -> str:
    """Return what the evidence says: its sentence or text, what it tells of tables without their tenant, or its figures."""
    last = row.evidence["last"]
    if row.kind == "missing_index" and last.get("table"):
        columns = ", ".join(str(each) for each in _list(last.get("columns")))
        said = last.get("text") or f"All of {last['table']} is read and filtered by {columns}."
        if last.get("sentence"):  # the adviser's, which knows the statement and not its plan alone
            return f"{said} {last['sentence']}"
        return f"{said} Declare an index on {columns}." if columns and not last.get("patterns") else str(said)
    for name in ("sentence", "text"):
        if last.get(name):
            return str(last[name])
    tables = [each for each in _list(last.get("tables")) if isinstance(each, dict)]
    if tables:
        named = ", ".join(f"{each.get('table')} without {each.get('column')}" for each in tables)
        return (
            f"The statement reaches {named}: filter by the tenant, "
            'or run it in "with across_tenants(reason):" if it is meant for all.'
        )
    if last.get("advice"):
        return str(last["advice"])
    figures = [
        f"{name} {value}" for name, value in sorted(last.items()) if isinstance(value, (int, float, str))
    ]
    return f"{title_of(row.kind)}: {shortened('; '.join(figures), SUBJECT_CHARS)}." if figures else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
