"""Statements that were followed, grouped by their fingerprints, and what is found of them; for tests and the debug toolbar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from perfsuite.queries.advice import advise
from perfsuite.queries.following import Ran
from perfsuite.queries.repeats import Found, Limits, Statement, findings_of

MAX_SITES = 5
NO_SITE = "no line of the project's"
KINDS = {"n_plus_one": "N+1", "duplicate": "Duplicate", "chatty": "Too many statements"}

Key = tuple[str, str]


class Group(NamedTuple):
    """The statements of one fingerprint on one alias."""

    fingerprint: str
    alias: str
    ran: list[Ran]

    @property
    def seconds(self) -> float:
        """The time that they took together."""
        return sum(each.seconds for each in self.ran)

    def sites(self) -> Iterator[str]:
        """Yield the lines that ran them, the most frequent first, each as ``at app/views.py:42 in listing, 3 x``."""
        sites = Counter(each.site.where if each.site is not None else "" for each in self.ran)
        for site, count in sites.most_common(MAX_SITES):
            yield f"at {site or NO_SITE}" + (f", {count} x" if len(sites) > 1 else "")
        if len(sites) > MAX_SITES:
            yield f"and at {len(sites) - MAX_SITES} other lines"


def groups_of(ran: Sequence[Ran], first: Mapping[Key, object] | None = None) -> list[Group]:
    """Return the groups: those in ``first``, then those of the most statements, then those that took longest."""
    groups: dict[Key, Group] = {}
    for each in ran:
        key = each.shape.fingerprint, each.alias
        groups.setdefault(key, Group(*key, [])).ran.append(each)
    first = first or {}
    ranked = sorted(
        groups.items(), key=lambda item: (item[0] not in first, -len(item[1].ran), -item[1].seconds)
    )
    return [group for _, group in ranked]


def found_in(ran: Sequence[Ran], limits: Limits) -> list[Found]:
    """Return what is repeated within one unit, or is too many for one."""
    shapes = {(each.statement[0], each.alias): each.shape for each in ran}
    units: dict[object, list[Statement]] = {}
    for each in ran:
        units.setdefault(each.unit, []).append(each.statement)
    found = []
    for statements in units.values():
        found += findings_of(statements, lambda what, alias: shapes[what, alias], limits)
    return found


def advice_on(found: Sequence[Found]) -> dict[Key, list[str]]:
    """Return what the suite says in production of each fingerprint's repetitions, with the kind of each."""
    advice: dict[Key, dict[str, None]] = {}
    for each in found:
        sentences = advice.setdefault((each.shape.fingerprint, each.alias), {})
        sentences[f"{KINDS[each.kind]}: {advise(each).sentence}"] = None
    return {key: list(sentences) for key, sentences in advice.items()}
