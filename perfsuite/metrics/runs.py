"""How often each route ran: what a finding's sightings are a share of.

The metrics app counts no requests itself. Whoever records a kind whose values are the runs of a route registers it here by
name, so that a finding on that route can resolve; without any, findings stay open until a person resolves them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from perfsuite.metrics import query
from perfsuite.metrics.query import Window

# Given a window in whole minutes, returns how often each route ran in it.
Source = Callable[[Window], Mapping[str, int]]

_sources: dict[str, Source] = {}


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
