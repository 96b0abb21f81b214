"""Which statements are slow, how long that took, and whether it is by themselves: by the rule of a slow statement's finding.

On a busy machine any statement is slow once in a while. No index saves that time, and no plan says where it went.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from perfsuite.metrics.histogram import Histogram
from perfsuite.metrics.lifecycle import FAR, FAR_SHARE, MINUTE_S, is_no_accident
from perfsuite.metrics.query import Window, series_of, top, totals_of
from perfsuite.queries import kinds
from perfsuite.queries.conf import QuerySettings

DAY_S = 86_400
# The minutes that are looked at one by one; what was slow before them was slow in another.
LATELY_S = 3_600
# Series, of which a statement has one for each route.
MAX_SLOW = 400

LABELS = ("fingerprint", "alias", "route")
Labels = tuple[str, str, str]
Statement = tuple[str, str]


def slow_in(window: Window) -> dict[Labels, Histogram]:
    """Return the slow runs of the window, those first that took longest in all."""
    rows = top(kinds.SLOW, window, LABELS, limit=MAX_SLOW, percentiles=False)
    return {(row.labels["fingerprint"], row.labels["alias"], row.labels["route"]): row.value for row in rows}


def by_statement(slow: Mapping[Labels, Histogram]) -> dict[Statement, list[Labels]]:
    """Return the series of each statement."""
    grouped: dict[Statement, list[Labels]] = {}
    for labels in slow:
        grouped.setdefault(labels[:2], []).append(labels)
    return grouped


def runs_in(window: Window, of: Iterable[Labels]) -> dict[Labels, int]:
    """Return how often the statements of these series ran; one read, however many there are."""
    totals = totals_of(kinds.FINGERPRINT, window, of)
    return {(labels[0], labels[1], labels[2]): value.count for labels, value in totals.items()}


def is_by_itself(labels: Labels, slow: Histogram, runs: int) -> bool:
    """Tell whether a statement is slow by itself in a series, and not by accident."""
    limit_us = QuerySettings.get().slow_query_ms * 1_000.0
    if slow.max >= FAR * limit_us and slow.count >= FAR_SHARE * runs:
        return True
    return is_no_accident(slow.count, runs) and _in_two_minutes(labels, slow.count)


def _in_two_minutes(labels: Labels, seen: int) -> bool:
    lately = Window.last(LATELY_S).aligned(MINUTE_S)
    counts = [point.count for point in series_of(kinds.SLOW, lately, MINUTE_S, [labels])]
    return sum(counts) < seen or sum(1 for count in counts if count) > 1
