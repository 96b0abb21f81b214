"""How often each route ran, and each statement of it: what a finding's sightings are a share of.

The metrics app counts neither itself. Whoever records a kind whose values are the runs of a route registers it here by
name, so that a finding on that route can resolve; without any, findings stay open until a person resolves them. A finding by time
(lifecycle.py) is about one statement of a route, and is a share of how often that ran.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from perfsuite.metrics import lifecycle, query
from perfsuite.metrics.query import Window
from perfsuite.metrics.storages import StoredFinding

# Given a window in whole minutes, returns how often each route ran in it.
Source = Callable[[Window], Mapping[str, int]]

# A finding's subject, alias and route.
About = tuple[str, str, str]

_sources: dict[str, Source] = {}
_subjects: dict[str, tuple[str, str, str]] = {}


def register(name: str, source: Source) -> None:
    """Have ``source(window)`` asked how often each route ran. Registering a name again replaces it."""
    _sources[name] = source


def register_kind(kind: str, label: str = "route") -> None:
    """Count each value recorded of ``kind`` as one run of the route that its ``label`` names."""

    def counted(window: Window) -> Mapping[str, int]:
        rows = query.top(kind, window, by=(label,), order="count", limit=100_000, percentiles=False)
        return {row.labels[label]: row.value.count for row in rows}

    register(kind, counted)


def runs(window: Window) -> dict[str, int]:
    """Return how often each route ran in the window, added up over all that is registered."""
    total: dict[str, int] = {}
    if window.seconds > 0:
        for source in list(_sources.values()):
            for route, count in source(window).items():
                total[route] = total.get(route, 0) + count
    return total


def register_subjects(kind: str, labels: tuple[str, str, str]) -> None:
    """Count each value recorded of ``kind`` as a run of what its ``labels`` name as the subject, alias and route of findings."""
    _subjects[kind] = labels


def subject_runs(window: Window) -> dict[About, int]:
    """Return how often each subject ran in the window, by subject, alias and route."""
    total: dict[About, int] = {}
    if window.seconds > 0:
        for kind, labels in list(_subjects.items()):
            for row in query.top(kind, window, by=labels, order="count", limit=100_000, percentiles=False):
                about = row.labels[labels[0]], row.labels[labels[1]], row.labels[labels[2]]
                total[about] = total.get(about, 0) + row.value.count
    return total


class Ran:
    """How often what findings are about ran up to an instant; each count is asked once for all of them."""

    def __init__(self, end: int) -> None:
        self.end = end
        self._routes: dict[int, dict[str, int]] = {}
        self._subjects: dict[int, dict[About, int]] = {}

    def of(self, finding: StoredFinding, since: int) -> int:
        """Return how often it ran from ``since`` to the end: its statement if it is a finding by time, else its route."""
        window = Window(since, self.end)
        if lifecycle.limit_us(finding):
            if since not in self._subjects:
                self._subjects[since] = subject_runs(window)
            return self._subjects[since].get((finding.subject, finding.alias, finding.route), 0)
        if since not in self._routes:
            self._routes[since] = runs(window)
        return self._routes[since].get(finding.route, 0)
