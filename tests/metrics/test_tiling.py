"""Which rows a window is read by, against asking for each row anew."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

import pytest

from perfsuite.metrics import query
from perfsuite.metrics.query import Window
from perfsuite.metrics.storages import RESOLUTIONS, Span

DAY = 86_400
AGES = (0, 60, 3_600, DAY, 9 * DAY, 40 * DAY)


def row_by_row(
    marks: Mapping[int, int], window: Window, coarsest: int, kept: Mapping[int, int]
) -> list[Span]:
    """Return the rows that cover a window, by asking at the end of each for the next."""
    usable = [r for r in RESOLUTIONS if r == RESOLUTIONS[0] or (r <= coarsest and r in marks)]
    compacted = max((marks[r] for r in usable if r in marks), default=0)
    at = window.start - window.start % next(
        (r for r in RESOLUTIONS if window.start >= kept[r]), RESOLUTIONS[-1]
    )
    spans: list[Span] = []
    while at < window.end:
        if at >= max(compacted, kept[RESOLUTIONS[0]]):
            return [*spans, Span(RESOLUTIONS[0], at, window.end)]
        size = query._largest_at(at, window.end, usable, marks, kept)
        if spans and spans[-1].resolution == size:
            spans[-1] = spans[-1]._replace(end=at + size)
        else:
            spans.append(Span(size, at, at + size))
        at += size
    return spans


@pytest.mark.parametrize("seed", range(200))
def test_the_rows_are_those_that_are_found_one_by_one(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(seed)
    now = int(time.time())
    marks = {}
    for resolution in RESOLUTIONS[1:]:
        if draw.random() < 0.8:
            mark = now - draw.choice(AGES) - draw.randrange(5_000)
            marks[resolution] = mark - (mark % resolution if draw.random() < 0.9 else 0)
    kept = {r: draw.choice([0, now - draw.randrange(20 * DAY)]) for r in RESOLUTIONS}
    monkeypatch.setattr(query, "_kept", lambda marks: kept)
    end = now - draw.randrange(DAY)
    start = end - draw.choice([60, 3_600, DAY, 3 * DAY])
    window = Window(start - start % draw.choice([1, 60, DAY]), end - end % draw.choice([1, 60]))
    if window.start >= window.end:
        return
    coarsest = draw.choice(RESOLUTIONS)

    assert query._tiled(marks, window, coarsest) == row_by_row(marks, window, coarsest, kept)


@pytest.mark.parametrize("compacted", [{}, {60: 60}, {60: 60, 3_600: 3_600}])
def test_a_year_of_a_site_that_began_today_is_not_gone_through_minute_by_minute(
    compacted: dict[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    largest_at = query._largest_at
    monkeypatch.setattr(query, "_largest_at", lambda at, *others: asked.append(at) or largest_at(at, *others))
    now = int(time.time())
    marks = {resolution: now - now % step for resolution, step in compacted.items()}

    query._tiled(marks, Window(now - 400 * DAY, now), DAY)

    assert len(asked) < 50
